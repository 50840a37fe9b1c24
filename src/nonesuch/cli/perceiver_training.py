"""The command that trains perception heads."""

from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray

from nonesuch.cli import options
from nonesuch.core import files, weights
from nonesuch.core.devices import pick_device, pick_dtype
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_SIZE
from nonesuch.core.seeding import Stream, permutation, uniform
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.photographs import signature
from nonesuch.formats.tar import table_beside
from nonesuch.loop.progress import progress_bar
from nonesuch.loop.settings import TrainSettings
from nonesuch.loop.trainer import Trainer
from nonesuch.models import create_model, load_embedder
from nonesuch.perception.attributes import AttributeHeads
from nonesuch.perception.labels import LabelledPhotographs, labelled
from nonesuch.perception.perceiver import PerceiverCard
from nonesuch.perception.presets import PERCEIVER_RECIPES
from nonesuch.perception.training import LabelledSamples, PerceiverTask

_PERCENTILES = np.arange(101)
_MOST_NORMS = 4_000  # photographs whose embedding norms make the scale of quality


@click.command()
@click.argument("out", type=options.PATH)
@click.option(
    "--data", type=options.PATH, multiple=True, required=True, help="Tar of aligned 112x112 faces; repeatable."
)
@click.option(
    "--share",
    type=click.FloatRange(0.0, 1.0, min_open=True),
    default=1.0,
    show_default=True,
    help="Train on this share of the photographs, drawn by --seed.",
)
@click.option(
    "--preset",
    type=click.Choice(sorted(PERCEIVER_RECIPES)),
    default="perceiver",
    show_default=True,
    help="Network and recipe.",
)
@options.images_seen
@options.batch
@options.lr
@options.licence
@options.about_data
@options.seed
@options.device
@options.dtype
def train_perceiver(
    out: Path,
    data: tuple[Path, ...],
    share: float,
    preset: str,
    images: int | None,
    batch: int | None,
    lr: float | None,
    licence: str,
    about_data: str,
    seed: int,
    device: str,
    dtype: str,
) -> None:
    """Train the heads that 'nonesuch perceive' uses, on labelled photographs, into the folder OUT.

    Each tar has a table of the same name beside it (.csv, .csv.gz, .parquet) with a column `file` and any of:
    landmarks in pixels (leye_x ... rmouth_y), from which the head pose comes; age, gender (1 female), ethnicity (0..4);
    CelebA's 40 attributes by name, 0 or 1; valid_top, valid_left, valid_bottom, valid_right where not the whole crop
    is real. Of a table with a column `split` only the rows `train` are used. The same command goes on after any
    interruption.

    \b
    Example:
      nonesuch train-perceiver run --data celeba112.tar --data utkface112.tar --dtype bfloat16
    """
    place = pick_device(device)
    pick_dtype(dtype, place)
    recipe = PERCEIVER_RECIPES[preset]
    below = load_embedder("mobilefacenet", str(place))  # the only one that ships whose feature maps can be read
    known = labelled(list(data), split="train")
    if share < 1.0:
        known = known.chosen(np.flatnonzero(uniform(seed, Stream.SPLIT, len(known.photographs)) < share))
    settings = TrainSettings(
        images=images or recipe.images,
        batch=batch or recipe.batch,
        lr=lr or recipe.lr,
        warmup=recipe.warmup,
        ema_images=recipe.ema_images,
        seed=seed,
        dtype=dtype,
    )
    what = {
        "preset": preset,
        "embedder": below.card.sha256,
        "share": share,
        "data": signature(known.photographs),
        "labels": [files.sha256(table) for tar in data if (table := table_beside(tar)) is not None],
    }
    torch.manual_seed(seed)
    heads = create_model(preset)
    assert isinstance(heads, AttributeHeads)
    task = PerceiverTask(heads.to(place), below)
    card = _card(preset, below, known, data, licence, about_data)
    trainer = Trainer(task, LabelledSamples(known), settings, out, place, what)
    path = out / f"{preset}.safetensors"

    def export() -> None:
        weights.save(path, weights.halved(trainer.averaged()), card)

    with progress_bar() as bar:
        trainer.run(lambda progress: bar("training", progress.seen, progress.total, progress.note), export)
    click.echo(f"{path}: trained on {trainer.seen:,} images; use it: nonesuch perceive IN --model {path}")


def _card(
    preset: str, embedder: Embedder, known: LabelledPhotographs, data: tuple[Path, ...], licence: str, about_data: str
) -> PerceiverCard:
    counts = {
        "pose": np.isfinite(known.pose).all(1).sum(),
        "age, gender and ethnicity": np.isfinite(known.face).all(1).sum(),
        "40 attributes": np.isfinite(known.attributes).all(1).sum(),
    }
    labels = "; ".join(f"{name}: {count:,}" for name, count in counts.items())
    sources = ", ".join(sorted({path.name for path in data}))
    return PerceiverCard(
        name=preset,
        architecture=preset,
        sha256="",
        licence=licence,
        source="trained with 'nonesuch train-perceiver'",
        training_data=f"{len(known.photographs):,} photographs from {sources} ({labels}). {about_data}".strip(),
        embedder=embedder.name,
        embedder_sha256=embedder.card.sha256,
        quality_norms=_quality_norms(known, embedder),
    )


def _quality_norms(known: LabelledPhotographs, embedder: Embedder) -> list[float]:
    """Percentiles 0..100 of the embedding norm, over photographs of which the whole crop is real."""
    whole = np.flatnonzero((known.valid == np.array([0, 0, CROP_SIZE, CROP_SIZE])).all(1))
    whole = whole[permutation(0, Stream.SPLIT, len(whole))[:_MOST_NORMS]]
    norms = [
        np.linalg.norm(
            embedder.embed(np.stack([known.photographs[row].read_crop() for row in whole[start : start + 64]])), axis=1
        )
        for start in range(0, len(whole), 64)
    ]
    if not norms:
        raise NonesuchError("--data: no photograph is real over its whole crop, so quality has no scale")
    found: NDArray[np.float64] = np.percentile(np.concatenate(norms), _PERCENTILES)
    # Strictly ascending, for the sake of interpolation: few photographs may share a percentile.
    return [round(float(norm), 4) + 1e-4 * place for place, norm in enumerate(found)]
