"""Several worker processes that render one dataset: one interface, whether they run on this host or on a cluster."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch

from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice
from nonesuch.dataset.from_manifest import load_makers
from nonesuch.dataset.part import ALL, Part
from nonesuch.dataset.rendering import default_workers, render_missing
from nonesuch.dataset.shards import Shards
from nonesuch.formats import manifest as manifests


@dataclass(frozen=True)
class RenderTask:
    """What a worker process does: render the missing shards of a planned dataset.

    Attributes:
        folder: of the dataset, as every worker sees it.
        generator: name or file of the weights.
        device: such as "cpu" or "cuda:1".
        workers: threads; None for the device's usual.
        part: the shards that are the worker's business; of these it renders those that no other worker has claimed.
    """

    folder: Path
    generator: str
    device: str
    workers: int | None
    part: Part = ALL

    def run(self) -> None:
        """Render them; raises NonesuchError as `render_missing`."""
        with manifests.rendered_together(self.folder) as (manifest, _):
            makers = load_makers(self.folder, manifest, self.generator, self.device)
            model, settings, steerer = makers.generator, makers.settings, makers.steerer
            shards = Shards(self.folder, manifest, model, steerer)
            threads = self.workers or default_workers(model.device)
            render_missing(shards, model, settings, threads, lambda done: None, steerer, self.part)

    def shared_by(self, devices: Sequence[str], divide: bool) -> "list[RenderTask]":
        """A task for a worker on each device; with `divide` each has shards of its own."""
        count = len(devices)
        return [
            replace(self, device=device, part=self.part.split(number, count) if divide else self.part)
            for number, device in enumerate(devices)
        ]


class Crew(Protocol):
    """Worker processes."""

    def __call__(self, task: RenderTask, divide: bool, on_wait: Callable[[], None]) -> list[str]:
        """Start them, and wait until they have done a task together.

        Args:
            task: of all of them.
            divide: divide the shards beforehand, because they cannot be claimed.
            on_wait: called about once a second.

        Returns:
            What became of each worker that ended before its work, in words.
        """
        ...


def render_by(crew: Crew, task: RenderTask, shards: Shards, has_locks: bool, on_image: Callable[[int], None]) -> int:
    """Render every incomplete shard of a task's part by worker processes.

    Args:
        has_locks: whether the file system has locks, by which workers claim shards.
        on_image: told how many of the part's images are done.

    Returns:
        Number of images rendered meanwhile.

    Raises:
        NonesuchError: workers ended, and no other one made their shards. Complete shards stay as they are.
    """
    mine = task.part.shards(shards.plan.shards)
    missing = shards.missing(mine)
    if not missing:
        on_image(shards.images(mine))
        return 0

    def tell() -> None:
        there = {path.stem for path in (shards.folder / "shards").glob("*.parquet")}
        on_image(shards.images(mine) - shards.images(shard for shard in missing if f"{shard:06d}" not in there))

    tell()
    ended = crew(task, not has_locks, tell)
    left = shards.missing(missing)
    if left:
        why = ended[0] if ended else "the workers ended early"
        raise NonesuchError(f"{why}; {len(left)} shards are missing, run the same command again to resume")
    for what in ended:
        notice(f"{what}; the others did its work")
    return shards.images(missing) - shards.images(left)


def devices_of(device: str, count: int) -> list[str]:
    """A device for each of `count` workers: "cuda" means each GPU in turn, any other the same for all."""
    if device != "cuda":
        return [device] * count
    return [f"cuda:{number % torch.cuda.device_count()}" for number in range(count)]
