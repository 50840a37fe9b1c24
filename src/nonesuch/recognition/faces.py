"""The labelled faces that recognisers are trained on: from any number of sources, stored or generated."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nonesuch.core.arguments import Number
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import as_paths
from nonesuch.dataset.from_plan import PlannedImages, read_planned
from nonesuch.dataset.selection import select
from nonesuch.formats import manifest as manifests
from nonesuch.formats.photograph_lists import exclude, excluded_names, joined, listed
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.shard_rows import ShardRows
from nonesuch.formats.source import Source
from nonesuch.loop.progress import OnProgress
from nonesuch.loop.run_images import RunImages, images_of_run
from nonesuch.loop.runs import Paths, sources
from nonesuch.loop.trainer import Samples
from nonesuch.models import load_generator
from nonesuch.recognition.samples import FaceSamples
from nonesuch.training.crop_check import check_every_crop

WORKERS = Number(0, 256, whole=True)


@dataclass(frozen=True)
class Feed:
    """How images come to a recogniser's training.

    Attributes:
        cache: all are decoded once, see `FaceSamples.kept`.
        workers: processes that load them, 0 for a thread.
        generated: whether they are made, not read.

    Raises:
        NonesuchError: processes are asked for that would generate.
    """

    cache: bool
    workers: int
    generated: bool

    def __post_init__(self) -> None:
        if self.workers and self.generated and not self.cache:
            raise NonesuchError("--workers: these processes read images, and --from-generator makes them; add --cache")

    @property
    def ahead(self) -> int | None:
        """What a `Trainer` takes as workers; None where loading keeps all cores busy itself."""
        return None if self.generated and not self.cache else self.workers


@dataclass(frozen=True)
class FaceSources:
    """Where a recogniser's training images come from.

    Attributes:
        data: datasets, folders, tars; where there are several, an identity's name includes its source.
        exclude: text files of people or files to leave out.
        from_generator: makes the images of `data`, datasets or their plans, as they are needed; None to read them.
        where: a condition on the columns of stored images; None for all images.
        allow_unknown: whether `exclude` may name what is not there.

    Raises:
        NonesuchError: there is no source, or a condition goes with a generator.
    """

    data: Sequence[Path]
    exclude: Sequence[Path]
    from_generator: str | None
    where: str | None
    allow_unknown: bool

    @staticmethod
    def of(
        data: Paths, exclude: Paths, from_generator: str | Path | None, where: str | None, allow_unknown: bool
    ) -> "FaceSources":
        """Make them from what the training functions take."""
        generator = None if from_generator is None else str(from_generator)
        return FaceSources(sources(data), as_paths(exclude), generator, where, allow_unknown)

    def __post_init__(self) -> None:
        if self.from_generator is not None and self.where is not None:
            raise NonesuchError("--where goes by columns of stored images; leave it out with --from-generator")

    def samples(self, device: torch.device, run: Path) -> "TrainingFaces":
        """All images, for a run in this folder.

        Raises:
            NonesuchError: a source cannot be read, or holds nothing to train on.
        """
        plans = [] if self.from_generator is None else _plans(self.data, self.from_generator, device)
        found = [_found(source, self.where) for source in self.data] if not plans else []
        parts: list[Sequence[Photograph]] = [*(plan.photographs for plan in plans), *found]
        if self.exclude:
            names = excluded_names(self.exclude, joined(parts), self.allow_unknown)
            parts = [exclude(part, names) for part in parts]
        if len(parts) > 1:
            parts = [_of_source(number, part) for number, part in enumerate(parts)]
        read = partial(read_planned, plans) if plans else None
        photographs = joined(parts)
        images = images_of_run(run, partial(listed, photographs))
        samples = FaceSamples(photographs, read, images.identities)
        return TrainingFaces(samples, images, {"data": images.signature, "plans": [plan.signature for plan in plans]})

    def about(self, samples: FaceSamples, about_data: str) -> str:
        """The training data, for the card."""
        names = ", ".join(sorted({source.name for source in self.data}))
        return f"{len(samples):,} images of {len(samples.identities):,} identities from {names}. {about_data}".strip()


@dataclass(frozen=True)
class TrainingFaces:
    """The images of a run.

    Attributes:
        samples: those that are there now.
        images: those that the run was started with.
        record: what the run's folder keeps of them.
    """

    samples: FaceSamples
    images: RunImages
    record: dict[str, Any]

    @property
    def placed(self) -> Samples:
        """The samples in the order of the run."""
        return self.images.placed(self.samples)

    def check(self, run: Path, on_progress: OnProgress) -> None:
        """Read every stored image before a run begins; the first process does so.

        Raises:
            NonesuchError: images cannot be used; a file in the run's folder names all of them.
        """
        if not self.record["plans"]:
            check_every_crop(self.samples.photographs, run, on_progress)


def _plans(data: Sequence[Path], generator: str, device: torch.device) -> list[PlannedImages]:
    """The datasets' images, to be generated in the precision that they were planned for."""
    dtypes = [manifests.read(folder).render.get("dtype", "float32") for folder in data]
    return [
        PlannedImages(folder, load_generator(generator, str(device), dtype))
        for folder, dtype in zip(data, dtypes, strict=True)
    ]


def _of_source(number: int, part: Sequence[Photograph]) -> Sequence[Photograph]:
    """Photographs whose identities are called by their source, too: two sources may have one name for two people."""
    if isinstance(part, ShardRows):
        return part.named(f"{number}/")
    return [replace(item, identity=f"{number}/{item.identity}") for item in part]


def _found(source: Path, where: str | None) -> Sequence[Photograph]:
    found = Source.at(source, split="train")
    return (found if where is None else select(found, where)).photographs
