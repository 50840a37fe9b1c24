"""What the commands that train recognisers share: their data, their schedule, and the run itself."""

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch

from nonesuch.core import weights
from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.from_plan import PlannedImages, read_planned
from nonesuch.dataset.selection import select
from nonesuch.embedders.embedder import EmbedderCard
from nonesuch.formats import manifest as manifests
from nonesuch.formats.photographs import Photograph, exclude, excluded_names, signature
from nonesuch.formats.source import Source
from nonesuch.loop import distributed
from nonesuch.loop.progress import progress_bar
from nonesuch.loop.settings import TrainSettings
from nonesuch.loop.trainer import Trainer
from nonesuch.models import load_generator
from nonesuch.recognition.recipes import RecogniserRecipe
from nonesuch.recognition.samples import FaceSamples

_BACKBONE = "backbone."  # of the tensors' names in `nonesuch.recognition.training.Recogniser`


def face_samples(
    data: tuple[Path, ...],
    from_generator: str | None,
    excluded: Path | None,
    where: str | None,
    device: torch.device,
) -> tuple[FaceSamples, dict[str, Any]]:
    """All images of all sources, and what a run's folder keeps of them; of several sources an identity is called by its
    source too."""
    if from_generator is not None and where is not None:
        raise NonesuchError("--where goes by columns of stored images; leave it out with --from-generator")
    plans = [] if from_generator is None else _plans(data, from_generator, device)
    parts = [plan.photographs for plan in plans] or [_found(path, where) for path in data]
    if excluded is not None:
        names = excluded_names([excluded], [item for part in parts for item in part])
        parts = [exclude(part, names) for part in parts]
    if len(parts) > 1:
        parts = [
            [replace(item, identity=f"{number}/{item.identity}") for item in part] for number, part in enumerate(parts)
        ]
    samples = FaceSamples([item for part in parts for item in part], partial(read_planned, plans) if plans else None)
    return samples, {"data": signature(samples.photographs), "plans": [plan.signature for plan in plans]}


def _plans(data: tuple[Path, ...], generator: str, device: torch.device) -> list[PlannedImages]:
    """The datasets' images, to be made anew in the precision that they were planned for."""
    dtypes = [manifests.read(folder).render["dtype"] for folder in data]
    return [
        PlannedImages(folder, load_generator(generator, str(device), dtype))
        for folder, dtype in zip(data, dtypes, strict=True)
    ]


def _found(path: Path, where: str | None) -> list[Photograph]:
    source = Source.at(path, split="train")
    return (source if where is None else select(source, where)).photographs


def with_options(recipe: RecogniserRecipe, **options: Any) -> RecogniserRecipe:
    """The recipe with the options that were given, which are not None, in the place of its own."""
    return replace(recipe, **{name: value for name, value in options.items() if value is not None})


def recipe_record(recipe: RecogniserRecipe) -> dict[str, Any]:
    """What a run's folder keeps of its recipe beside the schedule and the network."""
    return {
        "head": [recipe.head, recipe.head_options, recipe.share, recipe.symmetry],
        "augmentation": asdict(recipe.augmentation),
    }


def about_faces(samples: FaceSamples, data: tuple[Path, ...], about_data: str) -> str:
    """What was trained on, for the card."""
    sources = ", ".join(sorted({source.name for source in data}))
    return f"{len(samples):,} images of {len(samples.identities):,} identities from {sources}. {about_data}".strip()


def train_settings(recipe: RecogniserRecipe, size: int, seed: int, dtype: str) -> TrainSettings:
    """The recipe's schedule over a dataset of `size` images."""
    images = max(round(recipe.epochs * size), 1)
    return TrainSettings(
        images=images,
        batch=recipe.batch,
        optimizer=recipe.optimizer,
        lr=recipe.lr,
        warmup=round(recipe.warmup * images),
        milestones=tuple(round(share * images) for share in recipe.milestones),
        weight_decay=recipe.weight_decay,
        clip=recipe.clip,
        ema_images=round(recipe.average * images),
        seed=seed,
        dtype=dtype,
    )


def run(trainer: Trainer, samples: FaceSamples, cache: bool, path: Path, card: EmbedderCard) -> None:
    """Train a `Recogniser` to the end; its backbone is written to `path` with the card at every save."""

    def export() -> None:
        averaged = trainer.averaged().items()
        tensors = {name[len(_BACKBONE) :]: tensor for name, tensor in averaged if name.startswith(_BACKBONE)}
        weights.save(path, tensors, card)

    first = distributed.rank() == 0
    with progress_bar() as bar:
        if cache and trainer.seen < trainer.settings.images:
            samples.keep(lambda done: bar("reading", done, len(samples)))
        trainer.run(lambda progress: bar("training", progress.seen, progress.total, progress.note), export)
    distributed.stop()
    if first:
        click.echo(f"{path}: trained on {trainer.seen:,} images")
        click.echo(f"test it: nonesuch evaluate --embedder {path} --images IN")
