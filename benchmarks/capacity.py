"""How many identities fit, how long does it take to find them, and how much memory does it need?

    python benchmarks/capacity.py WORK [--identities 300000] [--fmr 1e-4] [--sampling pca] [--full 20000]

Samples as `nonesuch identities` does, for the default generator, and notes after each block of candidates how many were
drawn and kept. Where the space is fuller, fewer candidates fit: the share that does is the curve. The last third of it
is extrapolated to where one in a thousand fits, which is as good as full. With --full, as many of the sample are also
compared as the authors of Vec2Face do it, by one full matrix, and must agree.

WORK/capacity.json holds every run so far; WORK/capacity.png shows all.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from peak_memory import peak_megabytes

from nonesuch.core import files
from nonesuch.generators.generator import GeneratorCard
from nonesuch.identities.sampling import KeptApart, keep_apart, one_by_one
from nonesuch.identities.source import SamplingOptions, identity_source
from nonesuch.models import read_model_card, shipped_embedder_card, weights_path

FULL = 1e-3  # share of candidates that fit, below which the space counts as full
BUCKETS = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--identities", type=int, default=300_000)
    parser.add_argument("--fmr", type=float, default=1e-4)
    parser.add_argument("--sampling", choices=["pca", "sphere"], default="pca")
    parser.add_argument("--full", type=int, default=0)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    run = _sampled(options.identities, options.fmr, options.sampling, options.full)
    place = options.work / "capacity.json"
    runs = files.read_json(place)["runs"] if place.exists() else []
    runs = [old for old in runs if (old["sampling"], old["fmr"]) != (options.sampling, options.fmr)] + [run]
    files.write_json(place, {"runs": runs})
    _plot(runs, options.work / "capacity.png")
    print(json.dumps({name: value for name, value in run.items() if name != "curve"}, indent=2))


def _sampled(count: int, fmr: float, sampling: str, full: int) -> dict[str, Any]:
    path = weights_path("idiff_fast")
    card = read_model_card(path, GeneratorCard)
    known = shipped_embedder_card(card.embedder, card.embedder_sha256)
    source = identity_source(card, path, known, SamplingOptions(sampling, fmr=fmr))
    curve: list[tuple[int, int]] = [(0, 0)]
    begun, told = time.perf_counter(), [time.perf_counter()]

    def note(kept: KeptApart) -> None:
        curve.append((kept.drawn, len(kept.vectors)))
        if time.perf_counter() > told[0] + 30:
            told[0] = time.perf_counter()
            print(f"{len(kept.vectors):,} of {kept.drawn:,}, {told[0] - begun:.0f} s", flush=True)

    found, ended = None, ""
    try:
        found = keep_apart(one_by_one(source.draw), count, 0, source.max_cosine, rough=source.draw.rough, on_block=note)
    except Exception as error:  # it is full: the curve ends there
        ended = str(error)
    run = {
        "sampling": sampling,
        "fmr": fmr,
        "max_cosine": source.max_cosine,
        "identities": curve[-1][1],
        "drawn": curve[-1][0],
        "seconds": round(time.perf_counter() - begun, 1),
        "peak_megabytes": round(peak_megabytes()),
        "threads": torch.get_num_threads(),
        "closest": None if found is None else found.closest,
        "ended": ended,
        "curve": _shares(np.array(curve)),
    }
    run["full_at"] = _extrapolated(run["curve"])
    if full and found is not None:
        run |= _full_matrix(found.vectors[:full])
    return run


def _shares(curve: np.ndarray) -> list[tuple[float, float]]:
    """(identities, share of the candidates that fit), over equal steps of identities."""
    edges = np.searchsorted(curve[:, 1], np.linspace(0, curve[-1, 1], BUCKETS + 1))
    steps = curve[np.unique(edges)]
    fit = np.diff(steps[:, 1]) / np.maximum(np.diff(steps[:, 0]), 1)
    return [(float(n), float(share)) for n, share in zip((steps[1:, 1] + steps[:-1, 1]) / 2, fit, strict=True)]


def _extrapolated(curve: list[tuple[float, float]]) -> float | None:
    """Identities at which one candidate in a thousand fits: log share over log identities, by the curve's last third.

    None where nearly all fit, so that the curve says nothing yet.
    """
    last = np.log(np.array([point for point in curve[-len(curve) // 3 :] if point[1] > 0]))
    if len(last) < 3 or np.exp(last[-1, 1]) > 0.8:
        return None
    slope, offset = np.polyfit(np.log(-last[:, 1]), last[:, 0], 1)  # -log share grows as a power of the identities
    return float(np.exp(offset + slope * np.log(-np.log(FULL))))


def _full_matrix(vectors: np.ndarray) -> dict[str, Any]:
    begun = time.perf_counter()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -1)
    closest = float(cosines.max())
    return {
        "full_matrix_of": len(vectors),
        "full_matrix_seconds": round(time.perf_counter() - begun, 1),
        "full_matrix_megabytes": round(cosines.nbytes / 2**20),
        "full_matrix_closest": closest,
    }


def _plot(runs: list[dict[str, Any]], place: Path) -> None:
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.4), dpi=130)
    for number, run in enumerate(sorted(runs, key=lambda run: (run["sampling"], -run["fmr"]))):
        points = np.array(run["curve"])
        name = f"{run['sampling']}, FMR {run['fmr']:g} (cosine {run['max_cosine']:g})"
        axes.plot(points[:, 0], 100 * points[:, 1], color=f"C{number}", label=name)
        if run["full_at"] is not None and run["full_at"] > points[-1, 0]:
            ends = [points[-1, 0], run["full_at"]], [100 * points[-1, 1], 100 * FULL]
            axes.plot(*ends, color=f"C{number}", linestyle=":")
    axes.set(xscale="log", yscale="log", xlabel="identities kept", ylabel="candidates that fit, %")
    axes.set_title("How full the space is (dotted: extrapolated)")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(place)


if __name__ == "__main__":
    main()
