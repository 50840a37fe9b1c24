"""Commands that train."""

import dataclasses
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from nonesuch.cli import options
from nonesuch.cli.identities import show_problems
from nonesuch.core import files, weights
from nonesuch.core.devices import channels_last, pick_device, pick_dtype
from nonesuch.core.errors import NonesuchError
from nonesuch.core.tables import embeddings
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.lmdb_records import LmdbPhotograph
from nonesuch.formats.photographs import Photograph, exclude, excluded_names, signature
from nonesuch.formats.readers import find
from nonesuch.generators.generator import to_grey_levels
from nonesuch.generators.losses import load_lpips
from nonesuch.generators.vec2face.generator import Vec2FaceCard, Vec2FaceGenerator
from nonesuch.generators.vec2face.network import Vec2Face
from nonesuch.generators.vec2face.presets import GENERATOR_RECIPES, VEC2FACE
from nonesuch.generators.vec2face.training import GeneratorRecipe, GeneratorTask, LossWeights, PhotographSamples
from nonesuch.identities import statistics
from nonesuch.identities.photographs import embed_photographs, stored_embeddings, write_embeddings
from nonesuch.identities.sampling import pca_gaussian
from nonesuch.loop import distributed
from nonesuch.loop.progress import ProgressBar, progress_bar
from nonesuch.loop.settings import TrainSettings, claim_folder
from nonesuch.loop.trainer import STATE, Trainer
from nonesuch.models import create_model, load_detector, load_embedder
from nonesuch.pages.contact_sheet import write_contact_sheet
from nonesuch.perception.detection import Detector

_VECTORS = "vectors.parquet"
_SHOWN = 8  # photographs of samples.png


@click.command()
@click.argument("out", type=options.PATH)
@click.option(
    "--data",
    type=options.PATH,
    multiple=True,
    help="Folder, tar or LMDB set of aligned 112x112 faces; repeatable.  [default: the paths in NONESUCH_DATA]",
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
@click.option(
    "--init",
    type=options.PATH,
    help="Continue from these weights, or from all networks of another run's folder (a new run, not a resumed one).",
)
@options.images_seen
@options.batch
@click.option("--accumulate", type=click.IntRange(1), default=1, show_default=True, help="Parts a batch is split into.")
@click.option(
    "--lr",
    type=click.FloatRange(0, min_open=True),
    help="Peak learning rate.  [default: the recipe's, in proportion to --batch]",
)
@click.option("--loss", multiple=True, help="Weight of a loss term, as name=weight; repeatable.")
@click.option(
    "--adversarial-from",
    type=click.IntRange(0),
    help="Images before the discriminator joins.  [default: the recipe's]",
)
@click.option(
    "--adaptive/--constant",
    default=None,
    help="Weigh the adversarial term by gradients (VQGAN), or not.  [default: the recipe's]",
)
@click.option(
    "--vgg", type=options.PATH, help="VGG16's ImageNet weights: LPIPS instead of the embedder's feature maps."
)
@click.option("--lpips", type=options.PATH, help="LPIPS's channel weights, with --vgg.")
@options.licence
@options.about_data
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
    adversarial_from: int | None,
    adaptive: bool | None,
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
    place = distributed.start(pick_device(device))
    pick_dtype(dtype, place)
    judge = load_embedder(embedder, str(place))
    photographs = _photographs(data, exclude)
    recipe = _recipe(GENERATOR_RECIPES[preset], loss, adversarial_from, adaptive)
    if lpips is not None and vgg is None:
        raise NonesuchError("--lpips goes with --vgg FILE only")
    settings = TrainSettings(
        images=images or recipe.images,
        batch=batch or recipe.batch,
        accumulate=accumulate,
        lr=lr or recipe.lr * (batch or recipe.batch) / recipe.batch,
        warmup=recipe.warmup,
        clip=recipe.clip,
        ema_images=recipe.ema_images,
        seed=seed,
        dtype=dtype,
    )
    what = {
        "preset": preset,
        "init": files.sha256(_init_file(init)) if init else "",
        "embedder": judge.card.sha256,
        "data": signature(photographs),
        "perceptual": f"lpips {files.sha256(vgg)} {files.sha256(lpips)}" if vgg and lpips else "embedder",
        **{f"loss {name}": weight for name, weight in dataclasses.asdict(recipe.losses).items()},
        "adversarial from": recipe.adversarial_from,
        "adaptive": recipe.adaptive,
        "discriminator decays": recipe.discriminator_decays,
        "prior share": recipe.prior_share,
        "disturb": recipe.disturb,
    }
    distributed.first_does(lambda: claim_folder(out, settings, what))
    torch.manual_seed(seed)
    network = create_model(preset, feature_dim=judge.card.embedding_dim)
    assert isinstance(network, Vec2Face)
    perceptual = None if vgg is None else _lpips(vgg, lpips).to(place)
    landmarks = crop_landmarks(load_detector(str(place))) if recipe.losses.landmarks else None
    task = GeneratorTask(network, judge, recipe, perceptual, landmarks)
    before = None if init is None else _start_from(task, init, preset, judge)
    for player in task.players:
        channels_last(player.network.to(place))
    with progress_bar() as bar:
        distributed.first_does(lambda: _embed(out, photographs, judge, bar))
        photographs, vectors = _vectors(out, photographs)
        card = _card(preset, judge, photographs, vectors, licence, about_data)
        if before is not None:
            card = _continued(card, before)
        fitted = statistics.fit(vectors, [item.identity for item in photographs], judge.card.sha256)
        samples = PhotographSamples(
            photographs,
            vectors,
            card.vector_scale,
            recipe.mask,
            network.style_dim,
            pca_gaussian(fitted) if recipe.losses.need_sampled_people else None,
            recipe.prior_share,
        )
        trainer = Trainer(task, samples, settings, out, place, what)
        distributed.first_does(lambda: statistics.save(fitted, out / card.statistics))

        def export() -> None:
            _export(out, trainer, card, photographs[:_SHOWN], vectors[:_SHOWN])

        trainer.run(lambda progress: bar("training", progress.seen, progress.total, progress.note), export)
    first = distributed.rank() == 0
    distributed.stop()
    if first:
        click.echo(f"{out / preset}.safetensors: trained on {trainer.seen:,} images; look at {out / 'samples.png'}")
        click.echo(f"use it: nonesuch generate faces --generator {out / preset}.safetensors")


def crop_landmarks(detector: Detector) -> Callable[[torch.Tensor], torch.Tensor]:
    """The detector's landmarks of aligned crops in [-1, 1], differentiable."""
    return lambda images: detector.crop_landmarks((images + 1.0) * 127.5)


def _photographs(data: tuple[Path, ...], excluded: tuple[Path, ...]) -> list[Photograph]:
    sources = data or tuple(Path(part) for part in os.environ.get("NONESUCH_DATA", "").split(os.pathsep) if part)
    if not sources:
        raise NonesuchError("no photographs: give --data FOLDER_OR_TAR, or set NONESUCH_DATA")
    found = [photograph for source in sources for photograph in find(source, split="train")]
    return exclude(found, excluded_names(excluded, found))


def _init_file(init: Path) -> Path:
    path = init / STATE if init.is_dir() else init
    if not path.is_file():
        raise NonesuchError(f"--init {path}: no such file; name a weight file, or the folder of a run that was saved")
    return path


def _start_from(task: GeneratorTask, init: Path, preset: str, embedder: Embedder) -> Vec2FaceCard | None:
    """Load weights, or all networks of another run's folder; returns the generator's card where there is one."""
    loaded = weights.load_checkpoint(_init_file(init))
    if init.is_dir():
        if "networks" not in loaded:
            raise NonesuchError(f"{init / STATE}: no state of this kind of training; name a weight file instead")
        for player, saved in zip(task.players, loaded["networks"], strict=False):
            weights.load_into(player.network, saved, str(init / STATE))
    else:
        weights.load_into(task.generator, loaded, str(init), optional=Vec2Face.belongs_to_style)
    path = init / f"{preset}.safetensors" if init.is_dir() else init
    if not weights.card_path(path).is_file():
        return None
    card = weights.read_card(path, Vec2FaceCard)
    if card.embedder_sha256 != embedder.card.sha256:
        raise NonesuchError(f"{path}: decodes vectors of {card.embedder}, not of {embedder.name}")
    return card


def _continued(card: Vec2FaceCard, before: Vec2FaceCard) -> Vec2FaceCard:
    """The card of weights that were trained on from others, which bring their scale, their data and their licence."""
    data, licence = before.training_data, before.licence
    return replace(
        card,
        vector_scale=before.vector_scale,
        sigma_mix=before.sigma_mix,
        source=f"{card.source} from {before.name} ({before.sha256[:8]})",
        training_data=card.training_data if card.training_data == data else f"{data} Then: {card.training_data}",
        licence=card.licence if card.licence == licence else f"{licence}; then: {card.licence}",
    )


def _embed(out: Path, photographs: list[Photograph], embedder: Embedder, bar: ProgressBar) -> None:
    """Embed the photographs once, into a table that is kept in the run's folder."""
    path = out / _VECTORS
    if path.exists():  # the folder is claimed for this data and embedder
        return
    stored = [photograph for photograph in photographs if isinstance(photograph, LmdbPhotograph)]
    if stored and len(stored) < len(photographs):
        raise NonesuchError("--data: an LMDB set brings its own vectors and cannot be mixed with photographs")
    results = stored_embeddings(stored, embedder) if stored else embed_photographs(photographs, embedder, detector=None)
    problems = write_embeddings(results, embedder, path, None, lambda done: bar("embedding", done, len(photographs)))
    show_problems(problems)


def _vectors(out: Path, photographs: list[Photograph]) -> tuple[list[Photograph], NDArray[np.float32]]:
    """The readable photographs and their vectors."""
    table = pq.read_table(out / _VECTORS)
    readable = table["embedding"].is_valid().to_pylist()
    labels = table["identity"].to_pylist()
    kept = [
        replace(photograph, identity=label)
        for photograph, good, label in zip(photographs, readable, labels, strict=True)
        if good
    ]
    return kept, embeddings(table["embedding"].drop_null())


def _recipe(
    recipe: GeneratorRecipe, changes: tuple[str, ...], adversarial_from: int | None, adaptive: bool | None
) -> GeneratorRecipe:
    """The preset's recipe with what the options change."""
    known = dataclasses.asdict(recipe.losses)
    for change in changes:
        name, _, value = change.partition("=")
        try:
            known[name] = float(value) if name in known else known[name]
        except (KeyError, ValueError) as error:
            raise NonesuchError(f"--loss {change}: write name=weight with a name of {', '.join(known)}") from error
    return replace(
        recipe,
        losses=LossWeights(**known),
        adversarial_from=recipe.adversarial_from if adversarial_from is None else adversarial_from,
        adaptive=recipe.adaptive if adaptive is None else adaptive,
    )


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
) -> Vec2FaceCard:
    norm = float(np.linalg.norm(vectors, axis=1).mean())
    packed = [
        photograph for photograph in photographs if photograph.size >= 0 or isinstance(photograph, LmdbPhotograph)
    ]
    sources = sorted({photograph.container.name for photograph in packed}) or ["a folder"]
    people = len({photograph.identity for photograph in photographs})
    data = f"{len(photographs):,} photographs of {people:,} people from {', '.join(sources)}. {about_data}".strip()
    return Vec2FaceCard(
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
    out: Path, trainer: Trainer, card: Vec2FaceCard, photographs: list[Photograph], vectors: NDArray[np.float32]
) -> None:
    """Write the averaged weights in half precision, with their card, and a look at them."""
    prefix = "generator."
    state = {name.removeprefix(prefix): t for name, t in trainer.averaged().items() if name.startswith(prefix)}
    path = out / f"{card.name}.safetensors"
    weights.save(path, weights.halved(state), card)
    network = create_model(card.architecture, pretrained=path, **card.sizes)
    assert isinstance(network, Vec2Face)
    generator = Vec2FaceGenerator(card, network.eval(), torch.device("cpu"))
    seeds = np.arange(len(photographs), dtype=np.uint64)
    made = to_grey_levels(generator.render(vectors, seeds, len(photographs)))
    write_contact_sheet([[photograph.read_crop() for photograph in photographs], list(made)], out / "samples.png")
