"""What does cleaning cost besides the networks, in time and memory, and does it find what was planted?

    python benchmarks/cleaning_scale.py FOLDER [--images 10000 100000 1000000]

Makes datasets in FOLDER whose indices are sound and whose images were never generated (50 of each identity), and plants
what the networks would have seen: embeddings of 192 numbers around a centre for each person, and random hashes. 5% of
the images are of another person than their label says, 3% of the identities share a person with another one, and 2% of
the images are copies of another. Each size is cleaned in a process of its own. "own" is the most that it holds for
itself; RSS counts vectors and hashes, too, which lie on the disk and of which the system keeps what it has room for.
"""

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from peak_memory import peak_megabytes
from rich.console import Console
from rich.table import Table

from nonesuch import load_embedder
from nonesuch.cleaning.cast import MOST_ROUNDS
from nonesuch.cleaning.cleaned_set import clean_set, thresholds, write_decisions
from nonesuch.cleaning.features import Features
from nonesuch.cleaning.uncertain import uncertain
from nonesuch.core.rows_on_disk import RowsOnDisk
from nonesuch.formats import relabelling
from nonesuch.formats.photograph_lists import classes_of
from nonesuch.formats.readers import find
from nonesuch.measures.duplicates import CROP_HASHES
from nonesuch.measures.similarity import normalised

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.made_dataset import make_dataset

WRONG, SPLIT, COPIED = 0.05, 0.03, 0.02
NOISE = 0.8  # two images of a person have a cosine of about 0.61
DIM, AT_ONCE = 192, 10_000


def planted(labels: np.ndarray, people: int, folder: Path) -> tuple[Features, dict[str, np.ndarray]]:
    """Features of N images of these labels, and which rows are wrong, which copies, and which labels are split."""
    rng = np.random.default_rng(0)
    person = np.arange(people)
    split = rng.choice(people // 2, round(SPLIT * people), replace=False) * 2 + 1
    person[split] -= 1
    of = person[labels]
    wrong = rng.choice(len(labels), round(WRONG * len(labels)), replace=False)
    of[wrong] = person[rng.integers(0, people, len(wrong))]
    wrong = wrong[of[wrong] != person[labels[wrong]]]
    sound = np.setdiff1d(np.arange(1, len(labels)), np.concatenate([wrong, wrong + 1]))
    sound = sound[labels[sound] == labels[sound - 1]]
    copies = rng.choice(sound[::2], round(COPIED * len(labels)), replace=False)
    copies = np.sort(copies[~np.isin(copies - 1, copies)])
    centres = normalised(rng.normal(size=(people, DIM)).astype(np.float32))
    vectors, hashes = RowsOnDisk(folder, DIM, np.float32), RowsOnDisk(folder, CROP_HASHES, np.uint64)
    for start in range(0, len(labels), AT_ONCE):
        of_part = of[start : start + AT_ONCE]
        noise = rng.normal(size=(len(of_part), DIM)).astype(np.float32) / np.sqrt(DIM)
        seen = normalised(centres[of_part] + NOISE * noise)
        hashed = rng.integers(0, 2**64, (len(of_part), CROP_HASHES), dtype=np.uint64)
        here = copies[(copies >= start) & (copies < start + AT_ONCE)] - start
        seen[here], hashed[here] = seen[here - 1], hashed[here - 1]
        for vector, row in zip(seen, hashed, strict=True):
            vectors.append(vector)
            hashes.append(row)
    found = Features(np.arange(len(labels)), vectors.mapped(), hashes.mapped(), {})
    return found, {"wrong": wrong, "copies": copies, "split": split}


def private_megabytes() -> float:
    """What this process holds for itself; rows on the disk that are mapped do not count."""
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) / 1024


def watch(most: list[float], ended: threading.Event) -> None:
    """Note the most that the process holds for itself, until it is told to end."""
    while not ended.wait(0.05):
        most.append(max(most.pop(), private_megabytes()))


def job(folder: Path) -> None:
    photographs = find(folder)
    names, labels = classes_of(photographs)
    found, truth = planted(labels, len(names), folder.parent)
    before = private_megabytes()
    most = [before]
    ended = threading.Event()
    threading.Thread(target=watch, args=(most, ended)).start()
    limits = thresholds(load_embedder("mobilefacenet", "cpu").card, 1e-3, None, None)
    figures, begun, busy = [], time.perf_counter(), time.process_time()

    def step(work: Callable[[], object]) -> object:
        started = time.perf_counter()
        given = work()
        figures.append(f"{time.perf_counter() - started:.1f}")
        return given

    result = step(lambda: clean_set(photographs, found, limits, [], MOST_ROUNDS))
    cases = step(lambda: uncertain(found.vectors, result.cleaned, result.pairs, limits, result.answered, 100))
    step(lambda: write_decisions(folder.parent / "decisions.csv", result))
    step(lambda: relabelling.write(folder.parent / "cleaned.parquet", folder, result.labels(), {}))
    ended.set()
    wall, cores = time.perf_counter() - begun, time.process_time() - busy
    left = np.flatnonzero(result.after != result.before)
    caught = np.isin(truth["wrong"], left).mean()
    merged = {decision.before for decision in result.cleaned.decisions if decision.action == "merge"}
    doubled = np.isin(truth["copies"], [decision.image for decision in result.doubles]).mean()
    print(
        *figures, f"{wall:.1f}", f"{cores:.1f}", f"{max(most):,.0f}", f"{peak_megabytes():,.0f}", f"{caught:.1%}",
        f"{np.isin(truth['split'], list(merged)).mean():.1%}", f"{doubled:.1%}", len(cases), sep="\t",
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--job", action="store_true")
    options = parser.parse_args()
    if options.job:
        job(options.folder / str(options.images[0]) / "faces")
        return
    table = Table(
        "images", "clean, s", "cases, s", "log, s", "manifest, s", "all, s", "s of a core", "own MB", "RSS, MB",
        "wrong found", "merged", "copies found", "cases",
    )  # fmt: skip
    for count in options.images:
        folder = options.folder / str(count)
        if not folder.exists():
            make_dataset(folder / "faces", count)
        command = [sys.executable, __file__, str(options.folder), "--images", str(count), "--job"]
        told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        table.add_row(f"{count:,}", *told.strip().split("\t"))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
