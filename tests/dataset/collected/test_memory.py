"""No dataset is held in memory, whatever its size."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np

import nonesuch
from nonesuch.core import images


def _peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_images_pass_through(tmp_path: Path) -> None:
    data = images.encode(np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8), "png", 100)
    for person in range(24):
        (tmp_path / "in" / str(person)).mkdir(parents=True)
        for image in range(20):
            (tmp_path / "in" / str(person) / f"{image}.png").write_bytes(data)
    nonesuch.import_images(tmp_path / "in" / "0", tmp_path / "first", codec="png")  # imports what is imported later
    steps = {
        "import": lambda: nonesuch.import_images(tmp_path / "in", tmp_path / "all", codec="png", shard_images=1000),
        "subset": lambda: nonesuch.subset_dataset(tmp_path / "all", tmp_path / "some", images=19),
        "merge": lambda: nonesuch.merge_datasets(tmp_path / "both", [tmp_path / "all", tmp_path / "some"]),
    }
    size = len(data) * 24 * 19
    assert size > 16e6
    assert {name for name, work in steps.items() if _peak(work) > size / 3} == set()
