"""Making a dataset's images again from its recipe, and comparing them with what its manifest says."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nonesuch.core.arguments import AT_LEAST_1, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path, path_or_none
from nonesuch.dataset.from_manifest import load_makers
from nonesuch.dataset.rendering import default_workers, render_environment, render_missing
from nonesuch.dataset.shards import Shards, differences
from nonesuch.dataset.workers.crew import render_by
from nonesuch.dataset.workers.options import WorkerOptions
from nonesuch.dataset.write_recipe import copy_recipe, read_complete
from nonesuch.formats import manifest as manifests
from nonesuch.formats.dataset import shard_images
from nonesuch.formats.manifest import Manifest
from nonesuch.formats.shards import TAR_HASH, read_index, read_told, shard_files
from nonesuch.loop.progress import OnProgress, no_progress

TOLERANCE = 1  # grey levels in float32 before the codec, see benchmarks/rebuild_tolerance.py


@dataclass(frozen=True)
class OtherShard:
    """A shard whose bits are not the manifest's.

    Attributes:
        number: of the shard.
        largest, mean: difference of its pixels to those of the original, in grey levels: the largest one, and the mean
            of the image where that is largest; None where the original is not at hand.
        within: whether they agree within the tolerance: `largest` of PNGs, `mean` of JPEGs, in which the codec makes
            several levels of one in single pixels; None where that cannot be known or no tolerance is.
    """

    number: int
    largest: int | None = None
    mean: float | None = None
    within: bool | None = None


@dataclass(frozen=True)
class RebuiltDataset:
    """What was made.

    Attributes:
        folder: of the dataset.
        manifest: what it holds.
        rendered: images that this call made.
        seconds: how long it took to make and write them.
        missing: shards that are left to other parts.
        others: shards whose bits are not the manifest's; empty where every hash is the manifest's.
        differences: in words, what differs between how the manifest's shards were rendered and how they are here.
    """

    folder: Path
    manifest: Manifest
    rendered: int
    seconds: float
    missing: int
    others: tuple[OtherShard, ...]
    differences: tuple[str, ...]

    @property
    def in_float32(self) -> bool:
        """Whether a tolerance is known for pixels that were rendered in another way."""
        return bool(self.manifest.render["dtype"] == "float32")


@checked(workers=AT_LEAST_1, processes=AT_LEAST_1)
def rebuild_dataset(
    dataset: AnyPath,
    out: AnyPath | None = None,
    *,
    generator: str | None = None,
    workers: int | None = None,
    processes: int | None = None,
    ray: str | None = None,
    shards: str | None = None,
    device: str = "auto",
    on_progress: OnProgress = no_progress,
) -> RebuiltDataset:
    """Make whatever shards a manifest names and its folder lacks, and compare every hash with the manifest's.

    The manifest stays as it is. Equal render settings, torch and CPU features give equal bits; otherwise pixels agree
    within one grey level before the codec. Shards with other bits are kept and reported, and compared with the original
    images where `out` is another folder and `dataset` has them.

    Args:
        dataset: a recipe, or a dataset that lost shards.
        out: folder of the rebuilt dataset: new, empty, or of the same dataset; None for `dataset` itself.
        generator: file of the weights; None for the shipped ones of the manifest's name.
        workers, processes, ray, shards: who renders; see `nonesuch.dataset.workers.options.WorkerOptions`.
        device: of the networks.
        on_progress: told what is being done.

    Raises:
        NonesuchError: no complete dataset, other weights than the manifest's, a folder that holds something else, or a
            full disk; shards that are done stay done.

    Example:
        nonesuch.rebuild_dataset("faces_recipe", "faces_again").others
    """
    source = as_path(dataset)
    place = path_or_none(out) or source
    by = WorkerOptions.read(processes, ray, shards)
    manifest = read_complete(source)
    makers = load_makers(source, manifest, generator, device)
    model = makers.generator
    if place != source:
        _prepare(source, place, manifest)
    with manifests.rendered_together(place) as (manifest, has_locks):
        made = Shards(place, manifest, model, makers.steerer)
        if made.plan.shards != len(manifest.shards):
            raise NonesuchError(
                f"{place}: damaged: {len(manifest.shards)} shards in the manifest, not {made.plan.shards}"
            )
        mine = by.part.shards(made.plan.shards)
        total = made.images(mine)

        def on_image(done: int) -> None:
            on_progress("rendering" if makers.steerer is None else "steering", done, total)

        started = time.monotonic()
        crew = by.crew(place, generator or model.card.name, model.device, workers)
        if crew is None:
            threads = workers or default_workers(model.device)
            rendered = render_missing(made, model, makers.settings, threads, on_image, makers.steerer, by.part)
        else:
            rendered = render_by(*crew, made, has_locks, on_image)
        seconds = time.monotonic() - started
        missing = made.missing(range(made.plan.shards))
    there = [number for number in range(made.plan.shards) if number not in set(missing)]
    others = [
        _compared(source, place, manifest, number) for number in there if not _is_original(place, manifest, number)
    ]
    differ = _differences(manifest, render_environment(makers.settings))
    return RebuiltDataset(place, manifest, rendered, seconds, len(missing), tuple(others), tuple(differ))


def _prepare(source: Path, place: Path, manifest: Manifest) -> None:
    """Make a folder for the same dataset; raises NonesuchError where it holds another one, or other files."""
    if not manifests.is_dataset(place):
        copy_recipe(source, place)
        return
    there = manifests.read(place)
    if there != manifest:
        raise NonesuchError(f"{place}: holds another dataset; name a new or empty folder")


def _is_original(folder: Path, manifest: Manifest, number: int) -> bool:
    """Whether a shard has the bits that the manifest names, by its index."""
    index = shard_files(folder, number).index
    return index.is_file() and read_told(index).get(TAR_HASH) == manifest.shards[number]["sha256"].encode()


def _compared(source: Path, place: Path, manifest: Manifest, number: int) -> OtherShard:
    """How far a shard is from the original one, where that is at hand."""
    if place == source or not _is_original(source, manifest, number):
        return OtherShard(number)
    keys = [read_index(shard_files(folder, number).index)["key"] for folder in (source, place)]
    if not keys[0].equals(keys[1]):
        raise NonesuchError(f"{place}: shard {number:06d} names other images than that of {source}; remove it")
    largest, mean = 0, 0.0
    for before, now in zip(shard_images(source, number), shard_images(place, number), strict=True):
        apart = np.abs(before.astype(np.int16) - now)
        largest, mean = max(largest, int(apart.max())), max(mean, float(apart.mean()))
    measured = largest if manifest.render["codec"] == "png" else mean
    return OtherShard(number, largest, mean, measured <= TOLERANCE if manifest.render["dtype"] == "float32" else None)


def _differences(manifest: Manifest, here: dict[str, Any]) -> Sequence[str]:
    return differences([*manifest.environments, here]) if manifest.environments else []
