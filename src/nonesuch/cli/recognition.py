"""The commands that train recognisers."""

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from nonesuch.cli import options
from nonesuch.core import distributed, weights
from nonesuch.core.devices import channels_last, pick_device, pick_dtype
from nonesuch.core.errors import NonesuchError
from nonesuch.core.photographs import Photograph, exclude, excluded_names, find, signature
from nonesuch.core.progress import progress_bar
from nonesuch.core.training import Progress, Trainer, TrainSettings
from nonesuch.dataset import manifest as manifests
from nonesuch.dataset.from_plan import PlannedImages, read_planned
from nonesuch.dataset.selection import select
from nonesuch.embedders.embedder import EmbedderCard
from nonesuch.models import create_model, list_models, load_generator
from nonesuch.recognition.recipes import HEADS, RECIPES, RecogniserRecipe, create_head
from nonesuch.recognition.samples import FaceSamples
from nonesuch.recognition.training import Recogniser, RecogniserTask

# Networks that take 112x112 crops in [-1, 1].
_BACKBONES = ("iresnet*", "se_iresnet*", "mobilefacenet", "vit_*")
_LEAST_PAIRS = 0.5  # per image of a batch, for triplets


@click.group()
def recognize() -> None:
    """Train recognisers on labelled faces.

    \b
    Example:
      nonesuch recognize train run --data faces --dtype bfloat16
    """


@recognize.command()
@click.argument("out", type=options.PATH)
@click.option("--data", type=options.PATH, multiple=True, required=True, help="Dataset, folder or tar; repeatable.")
@click.option(
    "--from-generator",
    help="Make the images of --data, datasets or their plans, by this generator as they are needed, and store none.",
)
@click.option("--exclude", "excluded", type=options.PATH, help="Text file of people or files to leave out.")
@click.option("--where", help="Only images whose columns meet this, such as 'quality > 40 and abs(yaw) < 30'.")
@click.option("--preset", type=click.Choice(sorted(RECIPES)), default="mini", show_default=True, help="Recipe.")
@click.option("--backbone", help="A network of 'nonesuch models' instead of the recipe's.")
@click.option("--head", type=click.Choice(HEADS), help="Loss instead of the recipe's, with its own margin.")
@click.option("--scale", type=click.FloatRange(0, min_open=True), help="Scale of the logits.  [default: the recipe's]")
@click.option("--symmetry", type=click.FloatRange(0), help="Weight of SymFace's term.  [default: the recipe's]")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    help="Of the class centres in a step (Partial FC).  [default: the recipe's]",
)
@click.option("--epochs", type=click.FloatRange(0, min_open=True), help="Over the data.  [default: the recipe's]")
@options.batch
@options.lr
@click.option("--cache", is_flag=True, help="Keep all images decoded in memory, 38 KB each.")
@options.licence
@options.about_data
@options.seed
@options.device
@options.dtype
def train(
    out: Path,
    data: tuple[Path, ...],
    from_generator: str | None,
    excluded: Path | None,
    where: str | None,
    preset: str,
    backbone: str | None,
    head: str | None,
    scale: float | None,
    symmetry: float | None,
    share: float | None,
    epochs: float | None,
    batch: int | None,
    lr: float | None,
    cache: bool,
    licence: str,
    about_data: str,
    seed: int,
    device: str,
    dtype: str,
) -> None:
    """Train a recogniser on aligned 112x112 faces, labelled by their folders, into the folder OUT.

    What is written is the last state (of the averaged weights, where the recipe averages), never one chosen by a test
    set. OUT/NAME.safetensors is an embedder: use it wherever --embedder is taken. The same command goes on after any
    interruption. Under torchrun each process holds its part of the class centres.

    \b
    Examples:
      nonesuch recognize train run --data faces --dtype bfloat16
      nonesuch evaluate --embedder run/mini.safetensors --images lfw112.tar --pairs pairs.txt
      nonesuch generate plan --identities 1000 --images 20 --plan-only
      nonesuch recognize train run --data plan --from-generator vec2face_small
      torchrun --nproc-per-node 8 -m nonesuch recognize train run --data faces --preset hsface --share 0.1
    """
    place = distributed.start(pick_device(device))
    pick_dtype(dtype, place)
    recipe = _recipe(preset, backbone, head, scale)
    changes: dict[str, Any] = {"symmetry": symmetry, "share": share, "epochs": epochs, "batch": batch, "lr": lr}
    recipe = replace(recipe, **{name: value for name, value in changes.items() if value is not None})
    if from_generator is not None and where is not None:
        raise NonesuchError("--where goes by columns of stored images; leave it out with --from-generator")
    plans = [] if from_generator is None else _plans(data, from_generator, place)
    parts = [plan.photographs for plan in plans] or [_found(source, where) for source in data]
    samples = FaceSamples(_together(parts, excluded), cache, partial(read_planned, plans) if plans else None)
    size = len(samples)
    images = max(round(recipe.epochs * size), 1)
    settings = TrainSettings(
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
    what = {
        "data": signature(samples.photographs),
        "plans": [plan.signature for plan in plans],
        "head": [recipe.head, recipe.head_options, recipe.share, recipe.symmetry],
        "backbone": [recipe.backbone, recipe.backbone_options],
        "augmentation": asdict(recipe.augmentation),
    }
    torch.manual_seed(seed)
    if recipe.head == "triplet":
        _check_triplets(samples, recipe.batch)
    network = create_model(recipe.backbone, **recipe.backbone_options)
    with torch.no_grad():
        width = int(network.eval()(torch.zeros(1, 3, 112, 112)).shape[1])
    head_of = create_head(recipe.head, width, len(samples.identities), recipe.share, **recipe.head_options)
    recogniser = Recogniser(network, head_of)
    task = RecogniserTask(channels_last(recogniser.to(place)), recipe.augmentation, recipe.symmetry)
    trainer = Trainer(task, samples, settings, out, place, what)
    path = out / f"{preset}.safetensors"
    card = EmbedderCard(
        name=preset,
        architecture=recipe.backbone,
        sha256="",
        licence=licence,
        source="trained with 'nonesuch recognize train'",
        training_data=f"{size:,} images of {len(samples.identities):,} identities from "
        f"{', '.join(sorted({place.name for place in data}))}. {about_data}".strip(),
        embedding_dim=width,
        preprocessing={},
    )

    def export() -> None:
        part = "backbone."
        tensors = {name[len(part) :]: t for name, t in trainer.averaged().items() if name.startswith(part)}
        weights.save(path, tensors, card)

    first = distributed.rank() == 0
    with progress_bar() as bar:

        def show(progress: Progress) -> None:
            if first:
                bar("training", progress.seen, progress.total, progress.note)

        trainer.run(show, export)
    distributed.stop()
    if first:
        click.echo(f"{path}: trained on {trainer.seen:,} images")
        click.echo(f"test it: nonesuch evaluate --embedder {path} --images IN")


def _recipe(preset: str, backbone: str | None, head: str | None, scale: float | None) -> RecogniserRecipe:
    recipe = RECIPES[preset]
    if backbone is not None:
        known = [name for pattern in _BACKBONES for name in list_models(pattern)]
        if backbone not in known:
            raise NonesuchError(f"--backbone {backbone}: not one of {', '.join(known)}")
        recipe = replace(recipe, backbone=backbone, backbone_options={})
    if head is not None and head != recipe.head:
        keeps_scale = "scale" in recipe.head_options and head != "triplet"
        recipe = replace(recipe, head=head, head_options={"scale": recipe.head_options["scale"]} if keeps_scale else {})
    if scale is not None:
        recipe = replace(recipe, head_options={**recipe.head_options, "scale": scale})
    return recipe


def _check_triplets(samples: FaceSamples, batch: int) -> None:
    """Batches are drawn at random: refuse where they would hold hardly two images of one identity."""
    _, counts = np.unique(samples.labels, return_counts=True)
    together = float((counts * (counts - 1)).sum()) / (len(samples) * (len(samples) - 1)) * (batch - 1)
    if together < _LEAST_PAIRS:
        raise NonesuchError(
            f"--head triplet: in random batches of {batch} an image meets {together:.2f} others of its identity; "
            f"give --batch {int(_LEAST_PAIRS / together * (batch - 1)) + 2} or more, or take another head"
        )


def _plans(data: tuple[Path, ...], generator: str, place: torch.device) -> list[PlannedImages]:
    """The datasets' images, to be made anew in the precision that they were planned for."""
    dtypes = [manifests.read(folder).render["dtype"] for folder in data]
    return [
        PlannedImages(folder, load_generator(generator, str(place), dtype))
        for folder, dtype in zip(data, dtypes, strict=True)
    ]


def _found(source: Path, where: str | None) -> list[Photograph]:
    photographs = find(source, split="train")
    return photographs if where is None else select(source, photographs, where)


def _together(parts: list[list[Photograph]], excluded: Path | None) -> list[Photograph]:
    """All images of all sources; of several sources an identity is called by its source too."""
    if excluded is not None:
        names = excluded_names([excluded], [item for part in parts for item in part])
        parts = [exclude(part, names) for part in parts]
    if len(parts) == 1:
        return parts[0]
    return [replace(item, identity=f"{number}/{item.identity}") for number, part in enumerate(parts) for item in part]
