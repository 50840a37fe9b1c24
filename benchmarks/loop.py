"""The loop closed: recognisers are trained on generated people and tested on real ones.

    python benchmarks/loop.py WORK --lfw lfw112.tar --pairs lfw_pairs.txt --heldout lfw_heldout_people.txt \\
        --celeba celeba112.tar [--rows NAME ...] [--images 100000]

Each row is a dataset (made by `nonesuch generate` in WORK, or photographs) and a small recogniser that sees 100,000 of
its images. It is tested on real faces that nobody trained on: LFW's people of folds 8-10, all pairs of at most 10
images each, and the official pairs of these folds. Rows run one by one and resume; each is written to WORK/rows as it
ends, and the table shows the rows that are there. Two processes with --rows of their own and OMP_NUM_THREADS=1 are
faster than one on two cores.
"""

import argparse
import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table

from nonesuch import create_model, load_embedder
from nonesuch.core import files
from nonesuch.core.allocator import keep_memory
from nonesuch.embedders.embedder import Embedder, EmbedderCard, freeze
from nonesuch.evaluation.all_pairs import compare_all
from nonesuch.evaluation.figures import comparison_scores
from nonesuch.evaluation.pairs import read_pairs
from nonesuch.evaluation.rates import rates_with_intervals
from nonesuch.evaluation.verification import fold_accuracies
from nonesuch.formats.photographs import read_names
from nonesuch.formats.readers import find
from nonesuch.measures.figure import plain
from nonesuch.measures.metrics import EER, TAR
from nonesuch.measures.similarity import normalised

MOST_PER_PERSON, FOLDS = 10, {8, 9, 10}
console = Console(highlight=False, width=150)


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        name: of the row.
        data: what it trains on: a name of `DATASETS`, "lfw" or "celeba", several joined by +; "" for nothing.
        identities: only the first so many; 0 for all.
        seed: of the training.
    """

    name: str
    data: str
    identities: int = 0
    seed: int = 0


GENERATE = ["--generator", "vec2face_small", "--images", "20", "--seed", "21"]
DATASETS = {
    "people": ["--identities", "2000", *GENERATE],
    "published": ["--identities", "500", *GENERATE, "--sigma", "0.3:40,0.5:40,0.7:20"],
    "wide": ["--identities", "500", *GENERATE, "--sigma", "0.7:40,0.9:40,1.1:20"],
    "alike": ["--identities", "500", *GENERATE, "--sigma", "0:100"],
    "still": ["--identities", "500", *GENERATE, "--style", "0"],
    "apart": ["--identities", "500", *GENERATE, "--max-similarity", "0.4"],
    "near": ["--identities", "500", *GENERATE, "--max-similarity", "1"],
    "steered": ["--identities", "500", *GENERATE, "--steer", "10%: yaw=choice(-30,30)"],
}
ROWS = [
    Row("floor: raw pixels", "pixels"),
    Row("floor: random weights", ""),
    Row("500 x 20", "people", 500),
    Row("1000 x 20", "people", 1000),
    Row("real: CelebA's train part", "celeba"),
    Row("2000 x 20", "people"),
    Row("real: LFW's training people", "lfw"),
    Row("250 x 20", "people", 250),
    Row("500 x 20, seed 1", "people", 500, 1),
    Row("500 x 20, seed 2", "people", 500, 2),
    Row("sigma 0.3 0.5 0.7 (published)", "published"),
    Row("sigma 0.7 0.9 1.1", "wide"),
    Row("sigma 0 (no perturbation)", "alike"),
    Row("style code off", "still"),
    Row("identities at most 0.4 alike", "apart"),
    Row("identities as drawn", "near"),
    Row("a tenth at yaw 30 (AttrOP)", "steered"),
    Row("mix: 1000 x 20 and LFW", "people+lfw", 1000),
]


class Bench:
    """The places of things, and the real faces that the rows are tested on."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.folder = options, options.work
        self.folder.mkdir(parents=True, exist_ok=True)
        self.heldout = read_names(options.heldout)
        lfw = find(options.lfw)
        rows, self.pairs = read_pairs(options.pairs, lfw).of_folds(FOLDS).used()
        people = [photograph.identity for photograph in lfw]
        capped, counts = [], Counter[str]()
        for row, person in enumerate(people):
            counts[person] += 1
            if person in self.heldout and counts[person] <= MOST_PER_PERSON:
                capped.append(row)
        self.rows, places = np.unique(np.concatenate([rows, capped]), return_inverse=True)
        self.pair_rows, self.capped = places[: len(rows)], places[len(rows) :]
        self.crops = np.stack([lfw[row].read_crop() for row in self.rows])
        self.people = np.unique([people[row] for row in self.rows[self.capped]], return_inverse=True)[1]

    def figures(self, embeddings: np.ndarray) -> dict[str, object]:
        """What a table row shows, from raw embeddings of the test crops."""
        unit = normalised(embeddings.astype(np.float32))
        scores = comparison_scores(unit[self.pair_rows], self.pairs, np.ones(len(self.pair_rows), dtype=bool))
        found = rates_with_intervals(compare_all(unit[self.capped], self.people), self.people)
        return {
            "accuracy": float(fold_accuracies(scores, self.pairs.mated, self.pairs.folds).mean()),
            "eer": plain(found.eer),
            "tar": plain(found.tar),
        }

    def sources(self, row: Row) -> tuple[list[Path], set[str]]:
        """The data that a row trains on, made if need be, and the people that are left out."""
        sources, left_out = [], set(self.heldout)
        for name in row.data.split("+"):
            if name in DATASETS:
                sources.append(self.folder / name)
                nonesuch("generate", sources[-1], *DATASETS[name], "--no-summary")
            else:
                sources.append(self.options.lfw if name == "lfw" else self.options.celeba)
            photographs = find(sources[-1], split="train")
            counts = Counter(photograph.identity for photograph in photographs)
            left_out |= {person for person, count in counts.items() if count < 2}
            if row.identities and name in DATASETS:
                left_out |= set(sorted(counts)[row.identities :])
        return sources, left_out


def nonesuch(*arguments: object) -> None:
    """Run the command line."""
    subprocess.run([sys.executable, "-m", "nonesuch", *map(str, arguments)], check=True)


def train(bench: Bench, row: Row) -> tuple[Embedder, dict[str, object]]:
    """A recogniser by `nonesuch recognize train`, and facts about its training."""
    sources, left_out = bench.sources(row)
    people = [photograph.identity for source in sources for photograph in find(source, split="train")]
    sizes = [person for person in people if person not in left_out]
    run = bench.folder / "runs" / slug(row.name)
    run.mkdir(parents=True, exist_ok=True)
    names = run.with_suffix(".txt")
    names.write_text("\n".join(sorted(left_out)))
    data = [part for source in sources for part in ("--data", source)]
    options = ["--epochs", bench.options.images / len(sizes), "--seed", row.seed]
    options += ["--cache", "--dtype", bench.options.dtype]
    options += ["--exclude", names] if len(sizes) < len(people) else []
    nonesuch("recognize", "train", run, *data, *options)
    speeds = [json.loads(line)["images_per_second"] for line in (run / "log.jsonl").read_text().splitlines()]
    about: dict[str, object] = {
        "identities": len(set(sizes)),
        "images": len(sizes),
        "images_per_second": float(np.median(speeds)),
    }
    return load_embedder(run / "mini.safetensors", "cpu"), about


def embedded(embedder: Embedder, crops: np.ndarray) -> np.ndarray:
    """Embeddings of crops and their mirror images, summed."""
    return embedder.embed(crops) + embedder.embed(np.ascontiguousarray(crops[:, :, ::-1]))


def run_row(bench: Bench, row: Row) -> dict[str, object]:
    if row.data == "pixels":
        pixels = torch.from_numpy(bench.crops).permute(0, 3, 1, 2).float()
        vectors = F.interpolate(pixels, size=(28, 28), mode="area").flatten(1).numpy()
        return bench.figures(vectors - vectors.mean(0))
    if row.data:
        embedder, about = train(bench, row)
        return {**bench.figures(embedded(embedder, bench.crops)), **about}
    torch.manual_seed(0)
    network = freeze(create_model("iresnet_mini"), torch.device("cpu"))
    card = EmbedderCard(
        name="random", architecture="", sha256="", licence="", source="", training_data="", embedding_dim=256
    )
    return bench.figures(embedded(Embedder(card, network, torch.device("cpu")), bench.crops))


def slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def row_file(bench: Bench, row: Row) -> Path:
    return bench.folder / "rows" / f"{slug(row.name)}.json"


def finished(bench: Bench, rows: list[Row]) -> dict[str, dict[str, Any]]:
    """The figures of the rows that are done; rows that saw another number of images are refused."""
    found = {}
    for row in rows:
        path = row_file(bench, row)
        if not path.exists():
            continue
        found[row.name] = json.loads(path.read_text())
        if found[row.name]["seen"] != bench.options.images:
            raise SystemExit(f"{path}: saw {found[row.name]['seen']} images; name another folder")
    return found


def run_rows(bench: Bench, rows: list[Row], shown: list[Row]) -> None:
    """Run the rows that are not done, each written as it ends, and show those of `shown` that are."""
    for row in rows:
        if row_file(bench, row).exists():
            continue
        row_file(bench, row).parent.mkdir(exist_ok=True)
        files.write_json(row_file(bench, row), {"seen": bench.options.images, **run_row(bench, row)})
        show(bench, shown)


def show(bench: Bench, rows: list[Row]) -> None:
    """The finished rows as a table."""
    shown = Table("row", "identities", "images", "folds 8-10", "EER", "TAR at FMR 1e-2", "TAR at FMR 1e-3")
    for name, row in finished(bench, rows).items():
        cells = [str(row.get("identities", "")), str(row.get("images", "")), f"{row['accuracy']:.1%}"]
        cells += [EER.told(row), *(TAR.told(row, rate) for rate in ("0.01", "0.001"))]
        shown.add_row(name, *cells)
    console.print(shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    for name in ("--lfw", "--pairs", "--heldout", "--celeba"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--rows", nargs="*")
    parser.add_argument("--dtype", default="bfloat16", help="of the training; float32 where a CPU has no bfloat16")
    parser.add_argument("--images", type=int, default=100_000)
    options = parser.parse_args()
    keep_memory()
    bench = Bench(options)
    run_rows(bench, [row for row in ROWS if not options.rows or row.name in options.rows], ROWS)
    show(bench, ROWS)


if __name__ == "__main__":
    main()
