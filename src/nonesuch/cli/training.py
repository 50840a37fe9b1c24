"""Commands that train."""

import dataclasses
import math
import os
from pathlib import Path

import click
import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from nonesuch.cli import options
from nonesuch.cli.identities import show_problems
from nonesuch.core import files, weights
from nonesuch.core.contact_sheet import write_contact_sheet
from nonesuch.core.devices import channels_last, pick_device, pick_dtype
from nonesuch.core.errors import NonesuchError
from nonesuch.core.photographs import Photograph, exclude, find, read_names, signature
from nonesuch.core.plan import embeddings
from nonesuch.core.progress import ProgressBar, progress_bar
from nonesuch.core.training import Progress, Trainer, TrainSettings, claim_folder
from nonesuch.embedders.embedder import Embedder
from nonesuch.generators.generator import Generator, GeneratorCard, to_grey_levels
from nonesuch.generators.losses import load_lpips
from nonesuch.generators.training import LossWeights, PhotographSamples, ReconstructionTask, read_crop
from nonesuch.generators.vec2face import Vec2Face
from nonesuch.identities import statistics
from nonesuch.identities.photographs import embed_photographs, write_embeddings
from nonesuch.models import create_model, load_embedder
from nonesuch.presets import GENERATOR_RECIPES, VEC2FACE

_SHOWN = 8  # photographs of samples.png


@click.command()
@click.argument("out", type=options.PATH)
@click.option(
    "--data",
    type=options.PATH,
    multiple=True,
    help="Folder or tar of aligned 112x112 faces; repeatable.  [default: the paths in NONESUCH_DATA]",
)
@click.option(
    "--exclude", type=options.PATH, multiple=True, help="Text file of people or files to leave out; repeatable."
)
@click.option(
    "--preset",
    type=click.Choice(sorted(VEC2FACE)),
    default="vec2face_small",
    show_default=True,
    help="Network and recipe.",
)
@click.option("--init", type=options.PATH, help="Continue from these weights (a new run, not a resumed one).")
@click.option("--images", type=click.IntRange(1), help="Images to see in all.  [default: the recipe's]")
@click.option("--batch", type=click.IntRange(1), help="Images per step.  [default: the recipe's]")
@click.option("--accumulate", type=click.IntRange(1), default=1, show_default=True, help="Parts a batch is split into.")
@click.option("--lr", type=click.FloatRange(0, min_open=True), help="Peak learning rate.  [default: the recipe's]")
@click.option("--loss", multiple=True, help="Weight of a loss term, as name=weight; repeatable.")
@click.option(
    "--vgg", type=options.PATH, help="VGG16's ImageNet weights: LPIPS instead of the embedder's feature maps."
)
@click.option("--lpips", type=options.PATH, help="LPIPS's channel weights, with --vgg.")
@click.option("--licence", default="not stated", help="Licence of the weights, for the card.")
@click.option("--about-data", default="", help="What is known of the data's licence and consent, for the card.")
@options.seed
@options.embedder
@options.device
@options.dtype
def train_generator(
    out: Path,
    data: tuple[Path, ...],
    exclude: tuple[Path, ...],
    preset: str,
    init: Path | None,
    images: int | None,
    batch: int | None,
    accumulate: int,
    lr: float | None,
    loss: tuple[str, ...],
    vgg: Path | None,
    lpips: Path | None,
    licence: str,
    about_data: str,
    seed: int,
    embedder: str,
    device: str,
    dtype: str,
) -> None:
    """Train a generator on aligned photographs, into the folder OUT.

    Each photograph's own embedding is its vector. A tar may have a table of the same name beside it (.csv, .csv.gz,
    .parquet) with columns file, identity, split: only the rows of the split `train` are then used. The folder gets the
    averaged weights with their card and identity statistics, log.jsonl, samples.png, and the state from which the same
    command goes on after any interruption; all this every 300 seconds (NONESUCH_CHECKPOINT_SECONDS) and at the end.

    \b
    Examples:
      nonesuch train-generator run --data faces.tar --exclude held-out.txt --dtype bfloat16
      nonesuch train-generator run2 --data faces/ --init run/vec2face_small.safetensors --images 40000
    """
    place = pick_device(device)
    pick_dtype(dtype, place)
    judge = load_embedder(embedder, device)
    photographs = _photographs(data, exclude)
    recipe = GENERATOR_RECIPES[preset]
    terms = _loss_weights(recipe.losses, loss)
    settings = TrainSettings(
        images=images or recipe.images,
        batch=batch or recipe.batch,
        accumulate=accumulate,
        lr=lr or recipe.lr,
        warmup=recipe.warmup,
        clip=recipe.clip,
        ema_images=recipe.ema_images,
        seed=seed,
        dtype=dtype,
    )
    what = {
        "preset": preset,
        "init": files.sha256(init) if init else "",
        "embedder": judge.card.sha256,
        "data": signature(photographs),
        "perceptual": "lpips" if vgg else "embedder",
        **{f"loss {name}": weight for name, weight in dataclasses.asdict(terms).items()},
    }
    claim_folder(out, settings, what)
    torch.manual_seed(seed)
    network = create_model(preset, feature_dim=judge.card.embedding_dim)
    assert isinstance(network, Vec2Face)
    before = None if init is None else _start_from(init, network, judge)
    channels_last(network.to(place))
    perceptual = None if vgg is None else _lpips(vgg, lpips).to(place)
    task = ReconstructionTask(network, judge, terms, recipe.mask.low, perceptual)
    with progress_bar() as bar:
        photographs, vectors = _vectors(out, photographs, judge, bar)
        card = _card(preset, judge, photographs, vectors, licence, about_data)
        if before is not None:
            card = dataclasses.replace(
                card, vector_scale=before.vector_scale, source=f"{card.source} from {before.name}"
            )
        samples = PhotographSamples(photographs, vectors, card.vector_scale, recipe.mask)
        trainer = Trainer(task, samples, settings, out, place, what)
        fitted = statistics.fit(vectors, [item.identity for item in photographs], judge.card.sha256)
        statistics.save(fitted, out / card.statistics)

        def export() -> None:
            _export(out, trainer, card, photographs[:_SHOWN], vectors[:_SHOWN])

        seconds = float(os.environ.get("NONESUCH_CHECKPOINT_SECONDS", "300"))
        trainer.run(lambda progress: _show(bar, progress), export, seconds)
    click.echo(f"{out / preset}.safetensors: trained on {trainer.seen:,} images; look at {out / 'samples.png'}")
    click.echo(f"use it: nonesuch generate faces --generator {out / preset}.safetensors")


def _show(bar: ProgressBar, progress: Progress) -> None:
    losses = " ".join(f"{name} {value:.3f}" for name, value in progress.losses.items())
    bar("training", progress.seen, progress.total, f"{progress.images_per_second:.0f} images/s  {losses}")


def _photographs(data: tuple[Path, ...], excluded: tuple[Path, ...]) -> list[Photograph]:
    sources = data or tuple(Path(part) for part in os.environ.get("NONESUCH_DATA", "").split(os.pathsep) if part)
    if not sources:
        raise NonesuchError("no photographs: give --data FOLDER_OR_TAR, or set NONESUCH_DATA")
    found = [photograph for source in sources for photograph in find(source, split="train")]
    names = {name for path in excluded for name in read_names(path)}
    kept = exclude(found, names)
    if excluded and len(kept) == len(found):
        raise NonesuchError(f"--exclude {excluded[0]}: leaves out none of {len(found)} photographs; check its names")
    if not kept:
        raise NonesuchError("--exclude leaves no photograph to train on")
    return kept


def _vectors(
    out: Path, photographs: list[Photograph], embedder: Embedder, bar: ProgressBar
) -> tuple[list[Photograph], NDArray[np.float32]]:
    """The readable photographs and their vectors, embedded once and kept in the run's folder."""
    path = out / "vectors.parquet"
    if not path.exists():  # the folder is claimed for this data and embedder
        results = embed_photographs(photographs, embedder, detector=None)
        problems = write_embeddings(
            results, embedder, path, None, lambda done: bar("embedding", done, len(photographs))
        )
        show_problems(problems)
    table = pq.read_table(path)
    readable = table["embedding"].is_valid().to_pylist()
    kept = [photograph for photograph, good in zip(photographs, readable, strict=True) if good]
    return kept, embeddings(table["embedding"].drop_null())


def _start_from(init: Path, network: Vec2Face, embedder: Embedder) -> GeneratorCard | None:
    """Load weights into the network; returns their card where they have one."""
    weights.load_into(network, weights.load_checkpoint(init), str(init))
    if not weights.card_path(init).is_file():
        return None
    card = weights.read_card(init, GeneratorCard)
    if card.embedder_sha256 != embedder.card.sha256:
        raise NonesuchError(f"{init}: decodes vectors of {card.embedder}, not of {embedder.name}")
    return card


def _loss_weights(defaults: LossWeights, changes: tuple[str, ...]) -> LossWeights:
    known = dataclasses.asdict(defaults)
    for change in changes:
        name, _, value = change.partition("=")
        try:
            known[name] = float(value) if name in known else known[name]
        except (KeyError, ValueError) as error:
            raise NonesuchError(f"--loss {change}: write name=weight with a name of {', '.join(known)}") from error
    return LossWeights(**known)


def _lpips(vgg: Path, linear: Path | None) -> torch.nn.Module:
    if linear is None:
        raise NonesuchError("--vgg needs --lpips FILE, the channel weights of LPIPS (vgg.pth of its package)")
    return load_lpips(vgg, linear).eval().requires_grad_(False)


def _card(
    preset: str,
    embedder: Embedder,
    photographs: list[Photograph],
    vectors: NDArray[np.float32],
    licence: str,
    about_data: str,
) -> GeneratorCard:
    norm = float(np.linalg.norm(vectors, axis=1).mean())
    sources = sorted({photograph.container.name for photograph in photographs if photograph.size >= 0}) or ["a folder"]
    people = len({photograph.identity for photograph in photographs})
    data = f"{len(photographs):,} photographs of {people:,} people from {', '.join(sources)}. {about_data}".strip()
    return GeneratorCard(
        name=preset,
        architecture=preset,
        sizes={"feature_dim": embedder.card.embedding_dim},
        sha256="",
        licence=licence,
        source="trained with 'nonesuch train-generator'",
        training_data=data,
        feature_dim=embedder.card.embedding_dim,
        embedder=embedder.name,
        embedder_sha256=embedder.card.sha256,
        vector_scale=vector_scale(norm, embedder.card.embedding_dim),
        vector_norm=round(norm, 2),
        statistics=f"{preset}.statistics.safetensors",
    )


def vector_scale(norm: float, width: int) -> float:
    """A round factor that brings raw vectors of a usual norm near 1 per dimension, where sigmas keep their meaning.

    1 for ArcFace's norm of 22.6 in 512 dimensions, 1/5 for MobileFaceNet's 70 in 192.
    """
    return 1.0 / max(round(norm / math.sqrt(width)), 1)


def _export(
    out: Path, trainer: Trainer, card: GeneratorCard, photographs: list[Photograph], vectors: NDArray[np.float32]
) -> None:
    """Write the averaged weights in half precision, with their card, and a look at them."""
    state = trainer.averaged()
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    path = out / f"{card.name}.safetensors"
    weights.save(path, half, card)
    network = create_model(card.architecture, pretrained=path, **card.sizes)
    assert isinstance(network, Vec2Face)
    generator = Generator(card, network.eval(), torch.device("cpu"))
    seeds = np.arange(len(photographs), dtype=np.uint64)
    made = to_grey_levels(generator.render(vectors, seeds, len(photographs)))
    write_contact_sheet([[read_crop(photograph) for photograph in photographs], list(made)], out / "samples.png")
