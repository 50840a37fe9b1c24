"""Training a generator on photographs."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nonesuch.core import files, weights
from nonesuch.core.arguments import Choice, Number, checked
from nonesuch.core.devices import channels_last
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import as_path, as_paths
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.photographs import Photograph, listing, listing_signature
from nonesuch.generators.generator import to_grey_levels
from nonesuch.generators.losses import load_lpips
from nonesuch.generators.vec2face.generator import Vec2FaceCard, Vec2FaceGenerator
from nonesuch.generators.vec2face.network import Vec2Face
from nonesuch.generators.vec2face.presets import GENERATOR_RECIPES
from nonesuch.generators.vec2face.training import GeneratorRecipe, GeneratorTask, LossWeights, PhotographSamples
from nonesuch.identities import statistics
from nonesuch.identities.sampling import pca_gaussian
from nonesuch.loop import distributed
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.loop.run_folder import STATE
from nonesuch.loop.run_images import PlacedSamples, images_of_run
from nonesuch.loop.runs import LIMITS, Paths, RunOptions, Schedule, Trained, recipe_named, sources, with_options
from nonesuch.loop.trainer import Trainer
from nonesuch.models import create_model, load_detector, load_embedder
from nonesuch.pages.contact_sheet import write_contact_sheet
from nonesuch.perception.detection import Detector
from nonesuch.training.generator_data import (
    continued,
    embed_once,
    generator_card,
    read_vectors,
    training_photographs,
)

_SHOWN = 8  # photographs of samples.png


@dataclass(frozen=True)
class TrainedGenerator(Trained):
    """The results of training a generator.

    Attributes:
        samples: a sheet of photographs and what the generator makes of their vectors, PNG.
    """

    samples: Path


@checked(preset=Choice(tuple(sorted(GENERATOR_RECIPES))), adversarial_from=Number(0, whole=True), **LIMITS)
def train_generator(
    out: str | Path,
    data: Paths,
    *,
    exclude: Paths = (),
    allow_unknown: bool = False,
    preset: str = "vec2face_small",
    init: str | Path | None = None,
    images_seen: int | None = None,
    epochs: float | None = None,
    batch: int | None = None,
    accumulate: int = 1,
    lr: float | None = None,
    loss: Mapping[str, float] | None = None,
    adversarial_from: int | None = None,
    adaptive: bool | None = None,
    vgg: str | Path | None = None,
    lpips: str | Path | None = None,
    licence: str = "not stated",
    about_data: str = "",
    seed: int = 0,
    embedder: str | Path = "mobilefacenet",
    device: str = "auto",
    dtype: str = "float32",
    on_skipped: Callable[[list[str]], None] = lambda problems: None,
    on_progress: OnProgress = no_progress,
) -> TrainedGenerator:
    """Train a generator on aligned photographs, as `nonesuch train-generator` does; a repeated call resumes.

    Args:
        out: the run's folder; OUT/PRESET.safetensors is the generator.
        data, exclude: folders, tars or LMDB sets of aligned 112x112 faces; text files of people or files to leave out.
        allow_unknown: whether these may name what is not there.
        preset: network and recipe, of `GENERATOR_RECIPES`; None below means what the recipe says.
        init: a weight file, or another run's folder, to start from.
        images_seen, epochs: how long; at most one of them is given.
        batch, accumulate: images per step, and parts that a batch is split into.
        lr: peak learning rate; the recipe's is in proportion to the batch.
        loss: weights of loss terms by name, see `LossWeights`.
        adversarial_from: images before the discriminator joins.
        adaptive: weigh the adversarial term by gradients.
        vgg, lpips: weight files of VGG16 and LPIPS, both or neither: LPIPS instead of the embedder's feature maps.
        licence, about_data: of the weights and of the data's licence and consent, for the card.
        seed: of everything random.
        embedder: the embedder whose vectors are decoded.
        device, dtype: "auto", "cpu", "cuda", ...; "float32", "bfloat16", "float16" (GPU only).
        on_skipped: called with the photographs that cannot be used, each in a line.
        on_progress: told how far the training is.

    Returns:
        The weight file, the images seen, and the sheet of samples.

    Raises:
        NonesuchError: options conflict, data cannot be used, `out` holds another run, or the training diverges.

    Example:
        nonesuch.train_generator("run", "faces.tar", images_seen=40_000).weights
    """
    recipe = _recipe(preset, loss or {}, adversarial_from, adaptive)
    lr = recipe.lr * (batch or recipe.batch) / recipe.batch if lr is None else lr
    schedule = Schedule(images_seen=images_seen, epochs=epochs, batch=batch, accumulate=accumulate, lr=lr)
    run = RunOptions(schedule=schedule, seed=seed, device=device, dtype=dtype, licence=licence, about_data=about_data)
    given = (None if path is None else Path(path) for path in (init, vgg, lpips))
    networks = _Networks(preset, recipe, *given)
    photographs = partial(training_photographs, sources(data), as_paths(exclude), allow_unknown)
    return _train(as_path(out), photographs, networks, embedder, run, on_skipped, on_progress)


@dataclass(frozen=True)
class _Networks:
    """The networks to train, their start, and the judges besides the embedder.

    Raises:
        NonesuchError: a file is missing, or one of `vgg` and `lpips` alone is given.
    """

    preset: str
    recipe: GeneratorRecipe
    init: Path | None
    vgg: Path | None
    lpips: Path | None

    def __post_init__(self) -> None:
        if self.lpips is not None and self.vgg is None:
            raise NonesuchError("--lpips goes with --vgg FILE only")
        if self.vgg is not None and self.lpips is None:
            raise NonesuchError("--vgg needs --lpips FILE, the channel weights of LPIPS (vgg.pth of its package)")
        for name, path in (("--vgg", self.vgg), ("--lpips", self.lpips)):
            if path is not None and not path.is_file():
                raise NonesuchError(f"{name} {path}: no such file")
        if self.init is not None and not (path := _init_file(self.init)).is_file():
            mend = "name a weight file, or the folder of a run that was saved"
            raise NonesuchError(f"--init {path}: no such file; {mend}")

    def record(self) -> dict[str, Any]:
        """What a run's folder keeps of them."""
        recipe, vgg, lpips = self.recipe, self.vgg, self.lpips
        return {
            "preset": self.preset,
            "init": files.sha256(_init_file(self.init)) if self.init else "",
            "perceptual": f"lpips {files.sha256(vgg)} {files.sha256(lpips)}" if vgg and lpips else "embedder",
            **{f"loss {name}": weight for name, weight in dataclasses.asdict(recipe.losses).items()},
            "adversarial from": recipe.adversarial_from,
            "adaptive": recipe.adaptive,
            "discriminator decays": recipe.discriminator_decays,
            "prior share": recipe.prior_share,
            "disturb": recipe.disturb,
        }

    def task(self, judge: Embedder, place: torch.device) -> tuple[GeneratorTask, Vec2FaceCard | None]:
        """The task on its device, and the card of the weights that it starts from, where there are such."""
        network = create_model(self.preset, feature_dim=judge.card.embedding_dim)
        assert isinstance(network, Vec2Face)
        perceptual = None
        if self.vgg is not None and self.lpips is not None:
            perceptual = load_lpips(self.vgg, self.lpips).eval().requires_grad_(False).to(place)
        landmarks = crop_landmarks(load_detector(str(place))) if self.recipe.losses.landmarks else None
        task = GeneratorTask(network, judge, self.recipe, perceptual, landmarks)
        before = None if self.init is None else _start_from(task, self.init, self.preset, judge)
        for player in task.players:
            channels_last(player.network.to(place))
        return task, before


def _train(
    out: Path,
    find_photographs: Callable[[], list[Photograph]],
    networks: _Networks,
    embedder: str | Path,
    run: RunOptions,
    on_skipped: Callable[[list[str]], None],
    on_progress: OnProgress,
) -> TrainedGenerator:
    recipe = networks.recipe
    with run.processes() as place:
        judge = load_embedder(embedder, str(place))
        photographs = find_photographs()
        images = images_of_run(out, listing(photographs))
        settings = run.settings(recipe, len(images))
        what = {"embedder": judge.card.sha256, "data": listing_signature(images.table), **networks.record()}
        torch.manual_seed(run.seed)
        with run.claimed(out, settings, what, images):
            task, before = networks.task(judge, place)
            distributed.first_does(lambda: embed_once(out, photographs, judge, on_skipped, on_progress))
            usable, vectors, stands = read_vectors(out, photographs, images)
            card = generator_card(networks.preset, judge, usable, vectors, run.licence, run.about_data)
            if before is not None:
                card = continued(card, before)
            fitted = statistics.fit(vectors, [item.identity for item in usable], judge.card.sha256)
            draw = pca_gaussian(fitted) if recipe.losses.need_sampled_people else None
            style_dim = task.generator.style_dim
            samples = PhotographSamples(
                usable, vectors, card.vector_scale, recipe.mask, style_dim, draw, recipe.prior_share
            )
            trainer = Trainer(task, PlacedSamples(samples, stands), settings, out, place, what)
            distributed.first_does(lambda: statistics.save(fitted, out / card.statistics))
            path, sheet = out / f"{card.name}.safetensors", out / "samples.png"

            def export() -> None:
                _write_weights(path, trainer, card)
                _write_samples(path, card, usable[:_SHOWN], vectors[:_SHOWN], sheet)

            trainer.run(lambda progress: progress.tell(on_progress), export)
    return TrainedGenerator(path, trainer.seen, sheet)


def crop_landmarks(detector: Detector) -> Callable[[torch.Tensor], torch.Tensor]:
    """The detector's landmarks of aligned crops in [-1, 1], differentiable."""
    return lambda images: detector.crop_landmarks((images + 1.0) * 127.5)


def _recipe(
    preset: str, loss: Mapping[str, float], adversarial_from: int | None, adaptive: bool | None
) -> GeneratorRecipe:
    """The preset's recipe with the options' changes."""
    recipe = recipe_named(GENERATOR_RECIPES, preset)
    known = dataclasses.asdict(recipe.losses)
    for name, weight in loss.items():
        if name not in known:
            raise NonesuchError(f"--loss {name}={weight:g}: write name=weight with a name of {', '.join(known)}")
    losses = LossWeights(**{**known, **loss})
    return with_options(recipe, losses=losses, adversarial_from=adversarial_from, adaptive=adaptive)


def _init_file(init: Path) -> Path:
    return init / STATE if init.is_dir() else init


def _start_from(task: GeneratorTask, init: Path, preset: str, embedder: Embedder) -> Vec2FaceCard | None:
    """Load weights, or all networks of another run's folder; returns the generator's card where there is one."""
    loaded = weights.load_checkpoint(init / STATE, classes=()) if init.is_dir() else weights.load_checkpoint(init)
    if init.is_dir():
        saved = loaded.get("networks")
        if not isinstance(saved, list) or not all(isinstance(network, dict) for network in saved):
            raise NonesuchError(f"{init / STATE}: not a state of this kind of training; name a weight file instead")
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


def _write_weights(path: Path, trainer: Trainer, card: Vec2FaceCard) -> None:
    """The averaged weights in half precision, with their card."""
    prefix = "generator."
    state = {name.removeprefix(prefix): t for name, t in trainer.averaged().items() if name.startswith(prefix)}
    weights.save(path, weights.halved(state), card)


def _write_samples(
    path: Path, card: Vec2FaceCard, photographs: list[Photograph], vectors: NDArray[np.float32], sheet: Path
) -> None:
    """A look at the weights: photographs, and the images made from their vectors."""
    network = create_model(card.architecture, pretrained=path, **card.sizes)
    assert isinstance(network, Vec2Face)
    generator = Vec2FaceGenerator(card, network.eval(), torch.device("cpu"))
    seeds = np.arange(len(photographs), dtype=np.uint64)
    made = to_grey_levels(generator.render(vectors, seeds, len(photographs)))
    write_contact_sheet([[photograph.read_crop() for photograph in photographs], list(made)], sheet)
