"""The commands that train recognisers."""

from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch

from nonesuch.cli import options
from nonesuch.cli.adaptation import adapt
from nonesuch.cli.recogniser_runs import about_faces, face_samples, recipe_record, run, train_settings, with_options
from nonesuch.core.devices import channels_last, pick_device, pick_dtype
from nonesuch.core.errors import NonesuchError
from nonesuch.embedders.embedder import EmbedderCard
from nonesuch.loop import distributed
from nonesuch.loop.trainer import Trainer
from nonesuch.models import create_model, list_models
from nonesuch.recognition.recipes import COMBINED, HEADS, RECIPES, RecogniserRecipe, create_head
from nonesuch.recognition.samples import FaceSamples
from nonesuch.recognition.training import Recogniser, RecogniserTask

# Networks that take 112x112 crops in [-1, 1].
_BACKBONES = ("iresnet*", "se_iresnet*", "mobilefacenet", "vit_*")
_LEAST_PAIRS = 0.5  # per image of a batch, for triplets


@click.group()
def recognize() -> None:
    """Train recognisers on labelled faces.

    \b
    Examples:
      nonesuch recognize train run --data faces --dtype bfloat16
      nonesuch recognize adapt low --embedder run/mini.safetensors --data faces
    """


recognize.add_command(adapt)


@recognize.command()
@click.argument("out", type=options.PATH)
@options.labelled_data
@options.from_generator
@options.excluded
@options.where
@click.option("--preset", type=click.Choice(sorted(RECIPES)), default="mini", show_default=True, help="Recipe.")
@click.option("--backbone", help="A network of 'nonesuch models' instead of the recipe's.")
@click.option("--head", type=click.Choice(HEADS), help="Loss instead of the recipe's, with its own margin.")
@click.option("--scale", type=click.FloatRange(0, min_open=True), help="Scale of the logits.  [default: the recipe's]")
@click.option(
    "--straight-through",
    is_flag=True,
    help="Pass gradients straight through the margin, as the published code of ArcFace, CosFace, SphereFace does.",
)
@click.option("--symmetry", type=click.FloatRange(0), help="Weight of SymFace's term.  [default: the recipe's]")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    help="Of the class centres in a step (Partial FC).  [default: the recipe's]",
)
@options.epochs
@options.batch
@options.lr
@options.cache
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
    straight_through: bool,
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
    recipe = _recipe(preset, backbone, head, scale, straight_through)
    recipe = with_options(recipe, symmetry=symmetry, share=share, epochs=epochs, batch=batch, lr=lr)
    samples, source = face_samples(data, from_generator, excluded, where, place)
    settings = train_settings(recipe, len(samples), seed, dtype)
    what = {
        **source,
        **recipe_record(recipe),
        "backbone": [recipe.backbone, recipe.backbone_options],
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
    card = EmbedderCard(
        name=preset,
        architecture=recipe.backbone,
        sha256="",
        licence=licence,
        source="trained with 'nonesuch recognize train'",
        training_data=about_faces(samples, data, about_data),
        embedding_dim=width,
        preprocessing={},
    )
    run(trainer, samples, cache, out / f"{preset}.safetensors", card)


def _recipe(
    preset: str, backbone: str | None, head: str | None, scale: float | None, straight_through: bool
) -> RecogniserRecipe:
    recipe = RECIPES[preset]
    if backbone is not None:
        known = [name for pattern in _BACKBONES for name in list_models(pattern)]
        if backbone not in known:
            raise NonesuchError(f"--backbone {backbone}: not one of {', '.join(known)}")
        kept = recipe.backbone_options if "iresnet" in backbone else {}  # all options there are belong to IResNet
        recipe = replace(recipe, backbone=backbone, backbone_options=kept)
    if head is not None and head != recipe.head:
        keeps_scale = "scale" in recipe.head_options and head != "triplet"
        recipe = replace(recipe, head=head, head_options={"scale": recipe.head_options["scale"]} if keeps_scale else {})
    if scale is not None:
        recipe = replace(recipe, head_options={**recipe.head_options, "scale": scale})
    if straight_through:
        if recipe.head not in COMBINED:
            raise NonesuchError(f"--straight-through goes with {', '.join(COMBINED)}, not with {recipe.head}")
        recipe = replace(recipe, head_options={**recipe.head_options, "straight_through": True})
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
