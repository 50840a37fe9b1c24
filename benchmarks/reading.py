"""How long does a dataset of 15 million images take to be read, and how much memory, for one process and for two?

    python benchmarks/reading.py FOLDER [--images 15000000]

Makes a dataset in FOLDER that was never generated: sound indices, a plan and two columns, and for the pixels one tar of
real images that all shards share. Each thing is then done in a process of its own. The first one that looks for the
images makes the list that the others map. RSS counts what is shared in full, PSS divides it by the processes that share
it, and "own" leaves it out.
"""

import argparse
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from peak_memory import peak_megabytes
from rich.console import Console
from rich.table import Table

from nonesuch.core.seeding import Stream, permutation
from nonesuch.dataset.selection import select
from nonesuch.formats.columns import column_parts
from nonesuch.formats.photograph_lists import classes_of
from nonesuch.formats.readers import find
from nonesuch.formats.source import Source
from nonesuch.loop.runs import RunOptions, Schedule
from nonesuch.recognition.faces import FaceSources
from nonesuch.recognition.recipes import RECIPES

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.made_dataset import make_cleaned, make_dataset

WAIT = 30  # seconds, until the other process has come as far
CLEANED = "cleaned.parquet"  # beside the dataset
CONDITION = "quality > 40 and abs(yaw) < 30"


def nothing(folder: Path) -> object:
    """What the imports take."""
    return None


def names(folder: Path) -> object:
    """Find the images."""
    return find(folder)


def labels(folder: Path) -> object:
    """Find them, and tell whom each shows."""
    return classes_of(find(folder))


def where(folder: Path) -> object:
    """Choose some by two columns."""
    return select(Source.at(folder), CONDITION)


def column(folder: Path) -> object:
    """The mean of one column."""
    return np.mean([part["quality"].to_numpy().mean() for part in column_parts(folder, "perception", ["quality"])])


def training(folder: Path, where: str | None = None, wait: bool = False) -> object:
    """All that a recogniser's training does with its data up to its first batch of 256."""
    run = folder.with_name(f"run_{os.getpid()}")
    faces = FaceSources.of(folder, (), None, where, False)
    options = RunOptions(schedule=Schedule(images_seen=256, batch=256))
    found = faces.samples(torch.device("cpu"), run)
    with options.claimed(run, options.settings(RECIPES["tiny"], len(found.images)), found.record, found.images):
        found.check(run, lambda what, done, total: None)
    order = permutation(0, Stream.TRAINING_ORDER, len(found.images))
    batch = found.placed.load(order[:256], list(range(256)))
    assert batch["pixels"].shape == (256, 3, 112, 112)
    if wait:
        time.sleep(WAIT)
    return found, order


def cleaned(folder: Path) -> object:
    """The same through a manifest of cleaning, which keeps 9 of 10 images and gives some another identity."""
    return training(folder.with_name(CLEANED))


JOBS = {
    "imports alone": nothing,
    "find, the first time": names,
    "find": names,
    "labels": labels,
    f"--where '{CONDITION}'": where,
    "mean of one column": column,
    "training, to its first batch": training,
    "the same with --where": partial(training, where=CONDITION),
    "a recogniser's data through a manifest of cleaning": cleaned,
    "training, two at once": partial(training, wait=True),
}


def job(folder: Path, name: str) -> None:
    """Do one of `JOBS`, and print its seconds, those of a core, peak memory, RSS, PSS and own memory in MB."""
    started, busy = time.monotonic(), time.process_time()
    kept = JOBS[name](folder)
    seconds = time.monotonic() - started - (WAIT if name.endswith("at once") else 0)
    busy = time.process_time() - busy
    rollup = Path("/proc/self/smaps_rollup").read_text().splitlines()
    told = {line.split()[0]: int(line.split()[1]) / 1024 for line in rollup[1:]}
    own = told["Private_Clean:"] + told["Private_Dirty:"]
    print(seconds, busy, peak_megabytes(), told["Rss:"], told["Pss:"], own)
    del kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=15_000_000)
    parser.add_argument("--job")
    options = parser.parse_args()
    if options.job:
        job(options.folder / "faces", options.job)
        return
    if not (options.folder / "faces").exists():
        started = time.monotonic()
        make_dataset(options.folder / "faces", options.images)
        print(f"made in {time.monotonic() - started:.0f} s")
    if not (options.folder / CLEANED).exists():
        make_cleaned(options.folder / CLEANED, options.folder / "faces", options.images)
    environment = {**os.environ, "NONESUCH_CACHE": str(options.folder / "cache")}
    table = Table("", "s", "s of a core", "peak MB", "RSS", "PSS", "own", title=f"{options.images:,} images")
    for name in JOBS:
        command = [sys.executable, __file__, str(options.folder), "--job", name]
        count = 2 if name.endswith("at once") else 1
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(count)]
        for one in running:
            told, _ = one.communicate()
            figures = list(map(float, told.split()))
            table.add_row(
                name, *(f"{figure:.1f}" for figure in figures[:2]), *(f"{figure:,.0f}" for figure in figures[2:])
            )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
