"""What a training of any generator is given, and what each family of them has to offer."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.core import files, weights
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import Pixels
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.crops import Crops
from nonesuch.formats.photographs import Photograph
from nonesuch.generators.generator import Generator, GeneratorCard, to_grey_levels
from nonesuch.generators.idiff.diffusion_training import DiffusionLosses
from nonesuch.generators.idiff.distillation import DistillationLosses
from nonesuch.generators.idiff.first_stage_training import FirstStageLosses, FirstStageRecipe
from nonesuch.generators.losses import Lpips, load_lpips
from nonesuch.generators.vec2face.training import GeneratorRecipe, LossWeights
from nonesuch.loop.progress import OnProgress
from nonesuch.loop.run_folder import STATE
from nonesuch.loop.run_images import PlacedSamples
from nonesuch.loop.runs import CountedRecipe, RunOptions, recipe_named, with_options
from nonesuch.loop.trainer import Player, Samples, Task
from nonesuch.pages.contact_sheet import write_contact_sheet

_SHOWN = 8  # photographs of samples.png

Losses = TypeVar("Losses", bound=FirstStageLosses | DiffusionLosses | DistillationLosses | LossWeights)
Adversarial = TypeVar("Adversarial", GeneratorRecipe, FirstStageRecipe)


@dataclass(frozen=True)
class Given:
    """The options that say what is trained and by which losses; None for what the recipe says.

    Attributes:
        preset: network and recipe.
        init: a weight file, or another run's folder, to start from.
        vgg, lpips: weight files of VGG16 and of LPIPS.
        first_stage: name or file of a trained first stage, or of a generator that has one, of a diffusion.
        teacher: name or file of the diffusion that is distilled.
        loss: weights of loss terms by name.
        adversarial_from, adaptive: see the recipes.
        context_dropout: of a diffusion's U-Net.

    Raises:
        NonesuchError: a file is missing, or one of `vgg` and `lpips` alone is given.
    """

    preset: str
    init: Path | None
    vgg: Path | None
    lpips: Path | None
    first_stage: Path | None
    teacher: Path | None
    loss: Mapping[str, float]
    adversarial_from: int | None
    adaptive: bool | None
    context_dropout: float | None

    def __post_init__(self) -> None:
        if self.lpips is not None and self.vgg is None:
            raise NonesuchError("--lpips goes with --vgg FILE only")
        if self.vgg is not None and self.lpips is None:
            raise NonesuchError("--vgg needs --lpips FILE, the channel weights of LPIPS (vgg.pth of its package)")
        for name in ("vgg", "lpips"):
            path = getattr(self, name)
            if path is not None and not path.is_file():
                raise NonesuchError(f"--{name} {path}: no such file")
        if self.init is not None and not (path := self._init_file(self.init)).is_file():
            mend = "name a weight file, or the folder of a run that was saved"
            raise NonesuchError(f"--init {path}: no such file; {mend}")

    def refuse(self, *names: str) -> None:
        """Raises NonesuchError where an option is given that this preset has no use for."""
        for name in names:
            if getattr(self, name) is not None:
                raise NonesuchError(f"--{name.replace('_', '-')} does not go with --preset {self.preset}; leave it out")

    def record(self, losses: Losses) -> dict[str, Any]:
        """What a run's folder keeps of the files, and of the losses' weights."""
        vgg, lpips = self.vgg, self.lpips
        return {
            "preset": self.preset,
            "init": files.sha256(self._init_file(self.init)) if self.init else "",
            "perceptual": f"lpips {files.sha256(vgg)} {files.sha256(lpips)}" if vgg and lpips else "embedder",
            **{f"loss {name}": weight for name, weight in dataclasses.asdict(losses).items()},
        }

    def perceptual(self, place: torch.device) -> Lpips | None:
        """LPIPS on a device, or None for the embedder's own feature maps."""
        if self.vgg is None or self.lpips is None:
            return None
        network = load_lpips(self.vgg, self.lpips).eval().requires_grad_(False).to(place)
        assert isinstance(network, Lpips)
        return network

    def loaded(self, players: Sequence[Player]) -> dict[str, Any] | None:
        """Tensors of `init`; None where there is none, or where it is a run's folder, whose networks are loaded here.

        Raises:
            NonesuchError: it cannot be read, or is a run of another kind.
        """
        if self.init is None:
            return None
        if not self.init.is_dir():
            return weights.load_checkpoint(self.init)
        state = self.init / STATE
        saved = weights.load_checkpoint(state, classes=()).get("networks")
        if not isinstance(saved, list) or not all(isinstance(network, dict) for network in saved):
            raise NonesuchError(f"{state}: not a state of this kind of training; name a weight file instead")
        for player, network in zip(players, saved, strict=False):
            weights.load_into(player.network, network, str(state))
        return None

    @property
    def init_weights(self) -> Path | None:
        """The weight file of `init`, which may have a card beside it."""
        if self.init is None:
            return None
        return self.init / f"{self.preset}.safetensors" if self.init.is_dir() else self.init

    @staticmethod
    def _init_file(init: Path) -> Path:
        return init / STATE if init.is_dir() else init


def losses_given(losses: Losses, given: Given) -> Losses:
    """A recipe's weights with those of `--loss`; raises NonesuchError for a term that it does not have."""
    known: dict[str, Any] = dataclasses.asdict(losses)
    for name, weight in given.loss.items():
        if name not in known:
            raise NonesuchError(f"--loss {name}={weight:g}: write name=weight with a name of {', '.join(known)}")
    return type(losses)(**{**known, **given.loss})


def adversarial_recipe(recipes: dict[str, Adversarial], given: Given) -> Adversarial:
    """The preset's recipe of a training with a discriminator, with the options' changes; errors as `losses_given`."""
    recipe = recipe_named(recipes, given.preset)
    return with_options(
        recipe,
        losses=losses_given(recipe.losses, given),
        adversarial_from=given.adversarial_from,
        adaptive=given.adaptive,
    )


@dataclass(frozen=True)
class Material:
    """What a run trains on.

    Attributes:
        out: the run's folder.
        photographs: K aligned crops.
        vectors: (K, D) raw embeddings of them; no rows for a training that needs none.
        stands: for each image that the run began with, which of the K stands in its place.
        run: seed, licence and other options.
        place: the device that is trained on.
        on_progress: told how far work before the training is.
    """

    out: Path
    photographs: Sequence[Photograph]
    vectors: NDArray[np.float32]
    stands: NDArray[np.int64]
    run: RunOptions
    place: torch.device
    on_progress: OnProgress

    @cached_property
    def crops(self) -> Crops:
        """Of the photographs, kept on an accelerator where there is one."""
        count = len(self.photographs)
        return Crops(self.photographs, self.place, lambda done: self.on_progress("decoding", done, count))

    def placed(self, samples: Samples) -> PlacedSamples:
        """Samples of the photographs, in the order of the images that the run began with."""
        return PlacedSamples(samples, self.stands)

    def write_samples(self, sheet: Path, made: Pixels) -> None:
        """A look at the weights: the first photographs, and what was made from them."""
        write_contact_sheet([[item.read_crop() for item in self.shown], list(made)], sheet)

    def write_rendered(self, sheet: Path, generator: Generator) -> None:
        """The same of a generator, from the photographs' vectors."""
        seeds = np.arange(len(self.shown), dtype=np.uint64)
        self.write_samples(sheet, to_grey_levels(generator.render(self.vectors[: len(seeds)], seeds, len(seeds))))

    @property
    def shown(self) -> Sequence[Photograph]:
        """The photographs of the sheet."""
        return self.photographs[:_SHOWN]


class Begun(Protocol):
    """Networks on their device, ready to be trained."""

    @property
    def task(self) -> Task:
        """What the trainer runs."""
        ...

    def samples(self, material: Material) -> Samples:
        """The training data; called once, before `export`."""
        ...

    def export(self, averaged: dict[str, Tensor], material: Material, path: Path, sheet: Path) -> None:
        """Write the averaged weights of the first player's network with their card, and a sheet of samples."""
        ...


class GeneratorTraining(Protocol):
    """How a family of generators is trained.

    Attributes:
        needs_vectors: whether photographs are embedded first.
    """

    needs_vectors: ClassVar[bool]

    @property
    def recipe(self) -> CountedRecipe:
        """With the options' changes."""
        ...

    def record(self) -> dict[str, Any]:
        """What a run's folder keeps of it, JSON-ready: a resumed run must have the same."""
        ...

    def begin(self, judge: Embedder, place: torch.device) -> Begun:
        """Build the networks; raises NonesuchError where weights do not fit."""
        ...


CardType = TypeVar("CardType", bound=GeneratorCard)


def card_before(given: Given, kind: type[CardType], embedder: Embedder) -> CardType | None:
    """The card beside the weights that a run starts from, where there is one.

    Raises:
        NonesuchError: they decode the vectors of another embedder.
    """
    path = given.init_weights
    if path is None or not weights.card_path(path).is_file():
        return None
    card = weights.read_card(path, kind)
    if card.embedder_sha256 != embedder.card.sha256:
        raise NonesuchError(f"{path}: decodes vectors of {card.embedder}, not of {embedder.name}")
    return card
