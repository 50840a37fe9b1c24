"""Adapting a trained recogniser to images of low resolution."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from nonesuch.core.arguments import AT_LEAST_1, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import as_path
from nonesuch.core.images import CROP_SIZE
from nonesuch.core.seeding import Stream, derive_seed, permutation
from nonesuch.embedders.adapters import AdaptedNetwork
from nonesuch.embedders.embedder import Embedder
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.loop.run_folder import STATE
from nonesuch.loop.runs import LIMITS, Paths, RunOptions, Schedule, Trained
from nonesuch.loop.trainer import HERE, Trainer
from nonesuch.models import load_embedder
from nonesuch.recognition.faces import WORKERS, FaceSources, Feed
from nonesuch.recognition.recipes import adaptation_recipe, create_head
from nonesuch.recognition.samples import FaceSamples
from nonesuch.recognition.task import Recogniser, RecogniserTask
from nonesuch.recognition.train_recogniser import to_the_end

_MOST_IMAGES = 1_024
_BATCH = 64


@checked(rank=AT_LEAST_1, workers=WORKERS, **LIMITS)
def adapt_recogniser(
    out: str | Path,
    data: Paths,
    *,
    embedder: str | Path,
    exclude: Paths = (),
    allow_unknown: bool = False,
    from_generator: str | Path | None = None,
    where: str | None = None,
    rank: int = 8,
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
    """Adapt a trained recogniser to low resolution, as `nonesuch recognize adapt` does; a repeated call resumes.

    Its weights stay as they are; each adapted layer gets two low-rank adapters (PETALface, arXiv 2412.07771).

    Args:
        out: the run's folder; OUT/adapted.safetensors is the embedder.
        data, exclude, allow_unknown, from_generator, where: see `FaceSources`.
        embedder: the IResNet or ViT to adapt, a .safetensors file with its card.
        rank: of the adapters.
        images_seen, epochs: how long; at most one of them is given; None for 10 epochs.
        batch, accumulate, lr: images per step, parts that a batch is split into, peak learning rate; None for 64 and
            5e-4.
        cache, workers: see `train_recogniser`.
        licence, about_data: of the adapters and of the data's licence and consent, for the card.
        seed: of everything random.
        device, dtype: "auto", "cpu", "cuda", ...; "float32", "bfloat16", "float16" (GPU only).
        on_progress: told how far the training is.

    Returns:
        The weight file and the images seen.

    Raises:
        NonesuchError: options conflict, the embedder cannot be adapted, data cannot be used, `out` holds another run,
            or the training diverges.

    Example:
        nonesuch.adapt_recogniser("low", "faces", embedder="run/mini.safetensors").weights
    """
    faces = FaceSources.of(data, exclude, from_generator, where, allow_unknown)
    feed = Feed(cache, workers, from_generator is not None)
    schedule = Schedule(images_seen=images_seen, epochs=epochs, batch=batch, accumulate=accumulate, lr=lr)
    run = RunOptions(schedule=schedule, seed=seed, device=device, dtype=dtype, licence=licence, about_data=about_data)
    if rank < 1:
        raise NonesuchError(f"--rank {rank}: give a number of at least 1")
    return _adapt(as_path(out) / "adapted.safetensors", faces, embedder, rank, run, feed, on_progress)


def _adapt(
    path: Path,
    faces: FaceSources,
    embedder: str | Path,
    rank: int,
    run: RunOptions,
    feed: Feed,
    on_progress: OnProgress,
) -> Trained:
    with run.processes() as place:
        base = load_embedder(embedder, str(place))
        recipe = adaptation_recipe(base.card.architecture)
        found = faces.samples(place, path.parent)
        samples, images = found.samples, found.images
        settings = run.settings(recipe, len(images))
        what = {**found.record, **recipe.record(), "embedder": base.card.sha256, "rank": rank}
        torch.manual_seed(run.seed)
        black = np.zeros((1, CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
        width = base.embed(black).shape[1]  # and the card's, or an error
        network = _adapted(base, embedder, rank)
        head = create_head(recipe.head, width, len(samples.identities), **recipe.head_options)
        recogniser = Recogniser(network, head).to(place)
        task = RecogniserTask(recogniser, recipe.augmentation, preprocessing=base.preprocessing)
        card = replace(
            base.card,
            name=f"{base.name}-adapted",
            sha256="",
            licence=f"{base.card.licence}; the adapters: {run.licence}",
            source=f"{base.name} ({base.card.sha256[:8]}) with adapters trained by 'nonesuch recognize adapt'; "
            f"{base.name}: {base.card.source}",
            training_data=f"{base.card.training_data} Adapters: {faces.about(samples, run.about_data)}",
            measured={},
            thresholds={},
            adapter_rank=rank,
        )
        with run.claimed(path.parent, settings, what, images):
            found.check(path.parent, on_progress)
            if not (path.parent / STATE).exists():  # which holds the scale
                measure_quality(network, task, samples, run.seed, place)
            trainer = Trainer(task, found.placed, settings, path.parent, place, what, feed.ahead)
            return to_the_end(trainer, samples, feed, path, card, on_progress)


def _adapted(base: Embedder, name: str | Path, rank: int) -> AdaptedNetwork:
    """The embedder's network with fresh adapters."""
    try:
        if not isinstance(base.network, torch.nn.Module):
            raise NonesuchError("an ONNX model cannot be adapted; take a .safetensors file")
        return AdaptedNetwork(base.network, rank)
    except NonesuchError as error:
        raise NonesuchError(f"--embedder {name}: {error}") from error


def measure_quality(
    network: AdaptedNetwork, task: RecogniserTask, samples: FaceSamples, seed: int, device: torch.device
) -> None:
    """Standardise the network's quality by up to 1,024 training images, changed as in a run's first epoch.

    The changed copies are measured and not the original images, so that the middle of the scale lies between the coarse
    and the sharp ones.

    Args:
        network: the task's backbone.
        seed: of the run.

    Raises:
        NonesuchError: see `AdaptedNetwork.standardise`.
    """
    rows = permutation(seed, Stream.TRAINING_ORDER, len(samples))[:_MOST_IMAGES]
    norms = []
    for part in np.split(rows, range(_BATCH, len(rows), _BATCH)):
        batch = samples.load(part, [derive_seed(seed, 0, int(row)) for row in part])
        moved = {name: tensor if name.endswith(HERE) else tensor.to(device) for name, tensor in batch.items()}
        prepared = task.prepared(moved)
        norms.append(network.norms(prepared))
    network.standardise(torch.cat(norms))
