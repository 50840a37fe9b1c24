"""What the commands that train recognisers share: their data, their schedule, and the run itself."""

from dataclasses import replace
from pathlib import Path

import click

from nonesuch.core import weights
from nonesuch.core.photographs import Photograph, exclude, excluded_names, find
from nonesuch.core.progress import progress_bar
from nonesuch.core.training import Trainer, TrainSettings
from nonesuch.embedders.embedder import EmbedderCard
from nonesuch.recognition.recipes import RecogniserRecipe
from nonesuch.recognition.samples import FaceSamples

_BACKBONE = "backbone."  # of the tensors' names in `nonesuch.recognition.training.Recogniser`


def labelled_faces(data: tuple[Path, ...], excluded: Path | None) -> list[Photograph]:
    """All images of all sources; of several sources an identity is called by its source too."""
    parts = [find(source, split="train") for source in data]
    if excluded is not None:
        names = excluded_names([excluded], [item for part in parts for item in part])
        parts = [exclude(part, names) for part in parts]
    if len(parts) == 1:
        return parts[0]
    return [replace(item, identity=f"{number}/{item.identity}") for number, part in enumerate(parts) for item in part]


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


def run(trainer: Trainer, path: Path, card: EmbedderCard) -> None:
    """Train a `Recogniser` to the end; its backbone is written to `path` with the card at every save."""

    def export() -> None:
        averaged = trainer.averaged().items()
        tensors = {name[len(_BACKBONE) :]: tensor for name, tensor in averaged if name.startswith(_BACKBONE)}
        weights.save(path, tensors, card)

    with progress_bar() as bar:
        trainer.run(lambda progress: bar("training", progress.seen, progress.total, progress.note), export)
    click.echo(f"{path}: trained on {trainer.seen:,} images; test it: nonesuch evaluate --embedder {path} --images IN")
