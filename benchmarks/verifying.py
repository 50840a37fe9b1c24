"""How fast is a dataset verified, by one process and by two, and beside the check as it was before?

    python benchmarks/verifying.py [--images 10000] [--rounds 3]

Seconds of a core, and wall-clock, of a dataset of noise as `throughput.py` makes it (8.3 KB an image). Before, a shard
was read twice: for its hash, then member by member with tarfile, each image decoded by `images.decode`.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table
from throughput import Noise, whole_job

from nonesuch import verify_dataset
from nonesuch.core import files
from nonesuch.dataset.verifying.shard import damaged_image
from nonesuch.formats import manifest as manifests
from nonesuch.formats.plan import Plan
from nonesuch.formats.shards import read_index, shard_files


def before(folder: Path) -> None:
    """Each shard by its hash, then member by member."""
    manifest, plan = manifests.read(folder), Plan(folder)
    for number, told in enumerate(manifest.shards):
        shard = shard_files(folder, number)
        index = read_index(shard.index)
        assert index["seed"].equals(plan.tables(number)[0]["seed"])
        assert files.sha256(shard.tar) == told["sha256"]
        assert damaged_image(shard.tar, index, ".jpg") is None


def by(**chosen: object) -> Callable[[Path], None]:
    """A run of `verify_dataset` that finds nothing wrong."""

    def run(folder: Path) -> None:
        assert verify_dataset(folder, **chosen).problems == ()  # type: ignore[arg-type]

    return run


WAYS = {
    "before": before,
    "one process": by(workers=1),
    "two processes": by(workers=2),
    "--changed, nothing has": by(changed=True),
}


def seconds(way: Callable[[Path], None], folder: Path) -> tuple[float, float]:
    """Seconds of all cores together, and wall-clock."""
    began, used = time.monotonic(), _used()
    way(folder)
    return _used() - used, time.monotonic() - began


def _used() -> float:
    told = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in told)


def main() -> None:
    """Make a dataset, and check it in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "faces"
        whole_job(folder, Noise(), asked.images, 1)
        time.sleep(2.1)  # what has just been written is not believed to be unchanged
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
        for _ in range(asked.rounds):
            for name, way in WAYS.items():
                found[name].append(seconds(way, folder))
    shown = Table("", "µs of a core an image", "images/s of a core", "ratio", "wall-clock, images/s (range)")
    cost = {name: median(used for used, _ in times) / asked.images for name, times in found.items()}
    for name, times in found.items():
        speeds = sorted(asked.images / wall for _, wall in times)
        shown.add_row(
            name,
            f"{cost[name] * 1e6:.1f}",
            f"{1 / cost[name]:,.0f}",
            f"{cost['before'] / cost[name]:.2f}",
            f"{median(speeds):,.0f} ({speeds[0]:,.0f}-{speeds[-1]:,.0f})",
        )
    Console(width=160).print(shown)


if __name__ == "__main__":
    main()
