"""Training a recogniser from nothing."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nonesuch.core import weights
from nonesuch.core.arguments import ABOVE_0, Choice, Number, checked
from nonesuch.core.devices import channels_last
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import as_path
from nonesuch.embedders.embedder import EmbedderCard
from nonesuch.loop import distributed
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.loop.runs import LIMITS, Paths, RunOptions, Schedule, Trained, recipe_named, with_options
from nonesuch.loop.settings import TrainSettings
from nonesuch.loop.trainer import Trainer
from nonesuch.models import create_model, list_backbones
from nonesuch.recognition.faces import WORKERS, FaceSources, Feed
from nonesuch.recognition.recipes import COMBINED, HEADS, RECIPES, RecogniserRecipe, create_head
from nonesuch.recognition.samples import FaceSamples
from nonesuch.recognition.task import Recogniser, RecogniserTask

_BACKBONE = "backbone."  # of the tensors' names in `Recogniser`
_LEAST_PAIRS = 0.5  # per image of a batch, for triplets


@checked(
    preset=Choice(tuple(sorted(RECIPES))),
    head=Choice(HEADS),
    scale=ABOVE_0,
    symmetry=Number(0),
    class_share=Number(0, 1, low_open=True),
    workers=WORKERS,
    **LIMITS,
)
def train_recogniser(
    out: str | Path,
    data: Paths,
    *,
    exclude: Paths = (),
    allow_unknown: bool = False,
    from_generator: str | Path | None = None,
    where: str | None = None,
    preset: str = "mini",
    backbone: str | None = None,
    head: str | None = None,
    scale: float | None = None,
    straight_through: bool = False,
    symmetry: float | None = None,
    class_share: float | None = None,
    sync_batch_norm: bool = False,
    images_seen: int | None = None,
    epochs: float | None = None,
    batch: int | None = None,
    accumulate: int = 1,
    lr: float | None = None,
    cache: bool = False,
    workers: int = 0,
    licence: str = "not stated",
    about_data: str = "",
    seed: int = 0,
    device: str = "auto",
    dtype: str = "float32",
    on_progress: OnProgress = no_progress,
) -> Trained:
    """Train a recogniser on aligned 112x112 faces, as `nonesuch recognize train` does; a repeated call resumes.

    Args:
        out: the run's folder; OUT/PRESET.safetensors is the embedder.
        data, exclude, allow_unknown, from_generator, where: see `FaceSources`.
        preset: a recipe of `nonesuch.recognition.recipes.RECIPES`; None below means what the recipe says.
        backbone: a network of `nonesuch.list_models()`.
        head: one of `nonesuch.recognition.recipes.HEADS`, with its own margin.
        scale: of the logits.
        straight_through: pass gradients straight through the margin.
        symmetry: weight of SymFace's term.
        class_share: of the class centres in a step, in (0, 1] (Partial FC).
        sync_batch_norm: under torchrun, batch norm takes its statistics over the images of all GPUs.
        images_seen, epochs: how long; at most one of them is given.
        batch, accumulate, lr: images per step, parts that a batch is split into, peak learning rate.
        cache: keep all images decoded, 38 KB each, in a file that the processes of a host share during the run.
        workers: processes that load images, for each GPU; 0 for a thread. More than 0 needs a program with an
            `if __name__ == "__main__":`.
        licence, about_data: of the weights and of the data's licence and consent, for the card.
        seed: of everything random.
        device, dtype: "auto", "cpu", "cuda", ...; "float32", "bfloat16", "float16" (GPU only).
        on_progress: told how far the training is.

    Returns:
        The weight file and the images seen.

    Raises:
        NonesuchError: options conflict, data cannot be used, `out` holds another run, or the training diverges.

    Example:
        nonesuch.train_recogniser("run", "faces", preset="tiny", epochs=5).weights
    """
    faces = FaceSources.of(data, exclude, from_generator, where, allow_unknown)
    feed = Feed(cache, workers, from_generator is not None)
    recipe = _with_scale(_recipe(preset, backbone, head, symmetry, class_share), scale, straight_through)
    recipe = replace(recipe, sync_batch_norm=sync_batch_norm)
    schedule = Schedule(images_seen=images_seen, epochs=epochs, batch=batch, accumulate=accumulate, lr=lr)
    run = RunOptions(schedule=schedule, seed=seed, device=device, dtype=dtype, licence=licence, about_data=about_data)
    return _train(as_path(out) / f"{preset}.safetensors", faces, recipe, run, feed, on_progress)


def _train(
    path: Path, faces: FaceSources, recipe: RecogniserRecipe, run: RunOptions, feed: Feed, on_progress: OnProgress
) -> Trained:
    with run.processes() as place:
        if recipe.sync_batch_norm and place.type == "cpu" and distributed.world_size() > 1:
            raise NonesuchError("--sync-batch-norm: works on GPUs alone; leave it out, and raise --batch instead")
        found = faces.samples(place, path.parent)
        samples, images = found.samples, found.images
        settings = run.settings(recipe, len(images))
        what = {**found.record, **recipe.record(), "backbone": [recipe.backbone, recipe.backbone_options]}
        torch.manual_seed(run.seed)
        if recipe.head == "triplet":
            _check_triplets(samples, settings)
        network = create_model(recipe.backbone, **recipe.backbone_options)
        with torch.no_grad():
            width = int(network.eval()(torch.zeros(1, 3, 112, 112)).shape[1])
        if recipe.sync_batch_norm:  # the same tensors by the same names
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        head = create_head(recipe.head, width, len(samples.identities), recipe.share, **recipe.head_options)
        recogniser = channels_last(Recogniser(network, head).to(place))
        task = RecogniserTask(recogniser, recipe.augmentation, recipe.symmetry)
        card = EmbedderCard(
            name=path.stem,
            architecture=recipe.backbone,
            sha256="",
            licence=run.licence,
            source="trained with 'nonesuch recognize train'",
            training_data=faces.about(samples, run.about_data),
            embedding_dim=width,
            preprocessing={},
        )
        with run.claimed(path.parent, settings, what, images):
            found.check(path.parent, on_progress)
            trainer = Trainer(task, found.placed, settings, path.parent, place, what, feed.ahead)
            return to_the_end(trainer, samples, feed, path, card, on_progress)


def to_the_end(
    trainer: Trainer, samples: FaceSamples, feed: Feed, path: Path, card: EmbedderCard, on_progress: OnProgress
) -> Trained:
    """Train a `Recogniser` to the end; its backbone is written to `path` with the card at every save.

    Raises:
        NonesuchError: see `Trainer.run`, or an image cannot be read.
    """

    def export() -> None:
        averaged = trainer.averaged().items()
        tensors = {name[len(_BACKBONE) :]: tensor for name, tensor in averaged if name.startswith(_BACKBONE)}
        weights.save(path, tensors, card)

    keeps = feed.cache and trainer.seen < trainer.settings.images
    with samples.kept(path.parent, lambda done: on_progress("reading", done, len(samples))) if keeps else nullcontext():
        trainer.run(lambda progress: progress.tell(on_progress), export)
    return Trained(path, trainer.seen)


def _recipe(
    preset: str, backbone: str | None, head: str | None, symmetry: float | None, class_share: float | None
) -> RecogniserRecipe:
    """The preset's recipe with another network, loss, or terms of it."""
    recipe = with_options(recipe_named(RECIPES, preset), symmetry=symmetry, share=class_share)
    if not 0.0 < recipe.share <= 1.0:
        raise NonesuchError(f"--class-share {recipe.share:g}: a share is above 0 and at most 1")
    if recipe.symmetry < 0.0:
        raise NonesuchError(f"--symmetry {recipe.symmetry:g}: a weight is at least 0")
    if backbone is not None:
        known = list_backbones()
        if backbone not in known:
            raise NonesuchError(f"--backbone {backbone}: not one of {', '.join(known)}")
        kept = recipe.backbone_options if "iresnet" in backbone else {}  # all existing options belong to IResNet
        recipe = replace(recipe, backbone=backbone, backbone_options=kept)
    if head is not None and head != recipe.head:
        if head not in HEADS:
            raise NonesuchError(f"--head {head}: not one of {', '.join(HEADS)}")
        keeps_scale = "scale" in recipe.head_options and head != "triplet"
        recipe = replace(recipe, head=head, head_options={"scale": recipe.head_options["scale"]} if keeps_scale else {})
    if recipe.head == "triplet" and recipe.share < 1.0:
        raise NonesuchError("--class-share goes with a head of class centres, not with triplet")
    return recipe


def _with_scale(recipe: RecogniserRecipe, scale: float | None, straight_through: bool) -> RecogniserRecipe:
    more: dict[str, Any] = {}
    if scale is not None:
        if recipe.head == "triplet" or not scale > 0.0:
            raise NonesuchError(f"--scale {scale:g}: goes with a head of logits, not with triplet, and is above 0")
        more["scale"] = scale
    if straight_through:
        if recipe.head not in COMBINED:
            raise NonesuchError(f"--straight-through goes with {', '.join(COMBINED)}, not with {recipe.head}")
        more["straight_through"] = True
    return replace(recipe, head_options={**recipe.head_options, **more})


def _check_triplets(samples: FaceSamples, settings: TrainSettings) -> None:
    """Batches are drawn at random: refuse parts too small to hold two images of one identity often enough."""
    part = settings.batch // settings.accumulate
    _, counts = np.unique(samples.labels, return_counts=True)
    together = float((counts * (counts - 1)).sum()) / (len(samples) * (len(samples) - 1)) * (part - 1)
    if together < _LEAST_PAIRS:
        least = int(_LEAST_PAIRS / together * (part - 1)) + 2 if together else len(samples)
        raise NonesuchError(
            f"--head triplet: in random batches of {part} an image meets {together:.2f} others of its identity; "
            f"give --batch {least * settings.accumulate} or more, or take another head"
        )
