"""The command that adapts a trained recogniser to images of low resolution."""

from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch

from nonesuch.cli import options
from nonesuch.cli.recogniser_runs import about_faces, face_samples, recipe_record, run, train_settings, with_options
from nonesuch.core.devices import pick_device, pick_dtype
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_SIZE
from nonesuch.embedders.adapters import AdaptedNetwork
from nonesuch.embedders.embedder import Embedder
from nonesuch.loop import distributed
from nonesuch.loop.trainer import Trainer
from nonesuch.models import load_embedder
from nonesuch.recognition.adaptation import measure_quality
from nonesuch.recognition.recipes import adaptation_recipe, create_head
from nonesuch.recognition.training import Recogniser, RecogniserTask


@click.command()
@click.argument("out", type=options.PATH)
@click.option("--embedder", required=True, help="The IResNet or ViT to adapt: a .safetensors file with its card.")
@options.labelled_data
@options.from_generator
@options.excluded
@options.where
@click.option("--rank", type=click.IntRange(1), default=8, show_default=True, help="Rank of the adapters.")
@options.epochs
@options.batch
@options.lr
@options.cache
@options.licence
@options.about_data
@options.seed
@options.device
@options.dtype
def adapt(
    out: Path,
    embedder: str,
    data: tuple[Path, ...],
    from_generator: str | None,
    excluded: Path | None,
    where: str | None,
    rank: int,
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
    """Adapt a trained recogniser to faces of low resolution, into the folder OUT (PETALface, arXiv 2412.07771).

    Its weights stay as they are. Each adapted layer gets two low-rank adapters, one for images of high quality and one
    for low, blended by the norm of the frozen embedding. They are trained with ArcFace on aligned 112x112 faces,
    labelled by their folders, half of which are made coarse. OUT/adapted.safetensors is an embedder that takes two
    looks at each image. The same command goes on after any interruption.

    \b
    Examples:
      nonesuch recognize adapt low --embedder run/mini.safetensors --data faces
      nonesuch evaluate --embedder low/adapted.safetensors --images tinyface112.tar
    """
    place = distributed.start(pick_device(device))
    pick_dtype(dtype, place)
    base = load_embedder(embedder, str(place))
    recipe = with_options(adaptation_recipe(base.card.architecture), epochs=epochs, batch=batch, lr=lr)
    samples, source = face_samples(data, from_generator, excluded, where, place)
    settings = train_settings(recipe, len(samples), seed, dtype)
    what = {
        **source,
        **recipe_record(recipe),
        "embedder": base.card.sha256,
        "rank": rank,
    }
    torch.manual_seed(seed)
    width = base.embed(np.zeros((1, CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)).shape[1]  # and the card's, or an error
    network = _adapted(base, embedder, rank)
    head = create_head(recipe.head, width, len(samples.identities), **recipe.head_options)
    task = RecogniserTask(Recogniser(network, head).to(place), recipe.augmentation, preprocessing=base.preprocessing)
    measure_quality(network, task, samples, seed, place)
    trainer = Trainer(task, samples, settings, out, place, what)
    card = replace(
        base.card,
        name=f"{base.name}-adapted",
        sha256="",
        licence=f"{base.card.licence}; the adapters: {licence}",
        source=f"{base.name} ({base.card.sha256[:8]}) with adapters trained by 'nonesuch recognize adapt'; "
        f"{base.name}: {base.card.source}",
        training_data=f"{base.card.training_data} Adapters: {about_faces(samples, data, about_data)}",
        measured={},
        thresholds={},
        adapter_rank=rank,
    )
    run(trainer, samples, cache, out / "adapted.safetensors", card)


def _adapted(base: Embedder, name: str, rank: int) -> AdaptedNetwork:
    """The embedder's network with fresh adapters."""
    try:
        if not isinstance(base.network, torch.nn.Module):
            raise NonesuchError("an ONNX model cannot be adapted; take a .safetensors file")
        return AdaptedNetwork(base.network, rank)
    except NonesuchError as error:
        raise NonesuchError(f"--embedder {name}: {error}") from error
