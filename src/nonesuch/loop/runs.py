"""What all trainings have in common: options over a recipe, the processes, and the results."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from nonesuch.core.arguments import ABOVE_0, AT_LEAST_1, DTYPE, SEED, Choice, Number
from nonesuch.core.devices import pick_device, pick_dtype
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_paths
from nonesuch.loop import distributed, run_folder
from nonesuch.loop.run_images import RunImages
from nonesuch.loop.settings import TrainSettings, seconds_between_saves

Paths = AnyPath | Sequence[AnyPath]  # one, or several


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a kind of network is trained; each kind adds its own fields.

    Attributes:
        batch, lr: see `TrainSettings`.
    """

    batch: int
    lr: float

    def images_over(self, size: int) -> int:
        """How many images it sees over a dataset of `size` images."""
        raise NotImplementedError

    def settings_for(self, images: int) -> dict[str, Any]:
        """Fields of `TrainSettings` that it gives a run of so many images, besides batch and lr."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class CountedRecipe(Recipe):
    """A recipe that counts in images, whatever the size of the dataset.

    Attributes:
        images, warmup, ema_images, clip: see `TrainSettings`.
    """

    images: int
    warmup: int
    ema_images: int
    clip: float = 2.0

    def images_over(self, size: int) -> int:
        """The recipe's own number."""
        return self.images

    def settings_for(self, images: int) -> dict[str, Any]:
        """The recipe's own numbers."""
        return {"warmup": self.warmup, "ema_images": self.ema_images, "clip": self.clip}


# Limits of what all trainings take, for `checked`.
LIMITS: dict[str, Number | Choice] = {
    "images_seen": AT_LEAST_1,
    "epochs": ABOVE_0,
    "batch": AT_LEAST_1,
    "accumulate": AT_LEAST_1,
    "lr": ABOVE_0,
    "seed": SEED,
    "dtype": DTYPE,
}

RecipeType = TypeVar("RecipeType", bound=Recipe)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast a training runs; None for what the recipe says.

    Attributes:
        images_seen: images to see in all.
        epochs: the same, as a multiple of the dataset's size; at most one of the two is given.
        batch, accumulate, lr: see `TrainSettings`.

    Raises:
        NonesuchError: both lengths are given, or a value is out of range.
    """

    images_seen: int | None = None
    epochs: float | None = None
    batch: int | None = None
    accumulate: int = 1
    lr: float | None = None

    def __post_init__(self) -> None:
        if self.images_seen is not None and self.epochs is not None:
            raise NonesuchError("--images-seen and --epochs both say how long to train; give one of them")
        for name in ("images_seen", "batch", "accumulate"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise NonesuchError(f"--{name.replace('_', '-')} {value}: give a number of at least 1")
        for name in ("epochs", "lr"):
            if (value := getattr(self, name)) is not None and not value > 0.0:
                raise NonesuchError(f"--{name} {value}: give a number above 0")

    def images_over(self, size: int, recipe: Recipe) -> int:
        """Images to see over a dataset of `size` images."""
        if self.images_seen is not None:
            return self.images_seen
        return recipe.images_over(size) if self.epochs is None else max(round(self.epochs * size), 1)


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options that all trainings take.

    Attributes:
        schedule: how it differs from the recipe's.
        seed: of everything random.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        dtype: "float32", "bfloat16", or "float16" on a GPU.
        licence: of the weights, for the card.
        about_data: what is known of the data's licence and consent, for the card.

    Raises:
        NonesuchError: the seed, or the environment's time between saves, is out of range.
    """

    schedule: Schedule
    seed: int = 0
    device: str = "auto"
    dtype: str = "float32"
    licence: str = "not stated"
    about_data: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**63:
            raise NonesuchError(f"--seed {self.seed}: give a number from 0 to 2^63 - 1")
        seconds_between_saves()  # or an error, before anything is loaded

    def settings(self, recipe: Recipe, size: int) -> TrainSettings:
        """The recipe's settings over a dataset of `size` images, with the given options in place of its own values.

        Raises:
            NonesuchError: the batch cannot be split evenly.
        """
        recipe = with_options(recipe, batch=self.schedule.batch, lr=self.schedule.lr)
        images = self.schedule.images_over(size, recipe)
        settings = TrainSettings(
            images=images,
            batch=recipe.batch,
            lr=recipe.lr,
            accumulate=self.schedule.accumulate,
            seed=self.seed,
            dtype=self.dtype,
            **recipe.settings_for(images),
        )
        settings.check_parts()
        return settings

    @contextmanager
    def claimed(self, folder: Path, settings: TrainSettings, what: dict[str, Any], images: RunImages) -> Iterator[None]:
        """Inside the block the folder belongs to this run, and lists its images; see `run_folder.claimed`.

        A longer run is one only where the options say how long: the recipe's length could be a forgotten option.
        """
        says_how_long = self.schedule.images_seen is not None or self.schedule.epochs is not None
        with run_folder.claimed(folder, settings, what, may_extend=says_how_long):
            if not (folder / run_folder.STATE).exists():
                distributed.first_does(lambda: images.write(folder))
            yield

    @contextmanager
    def processes(self) -> Iterator[torch.device]:
        """The device of this process, which has joined those that torchrun started, if there are any.

        Raises:
            NonesuchError: there is no such device, it does not offer the precision, or the group cannot be joined.
        """
        place = pick_device(self.device)
        pick_dtype(self.dtype, place)
        with distributed.group(place) as place:
            yield place


@dataclass(frozen=True)
class Trained:
    """The results of a training.

    Attributes:
        weights: the .safetensors file, with its card beside it.
        images_seen: images seen in all, including those of the run's earlier parts.
    """

    weights: Path
    images_seen: int


def recipe_named(recipes: dict[str, RecipeType], preset: str) -> RecipeType:
    """The recipe of a preset; raises NonesuchError for an unknown one."""
    if preset not in recipes:
        raise NonesuchError(f"--preset {preset}: not one of {', '.join(sorted(recipes))}")
    return recipes[preset]


def with_options(recipe: RecipeType, **options: Any) -> RecipeType:
    """The recipe with the options that were given (are not None) in place of its own values."""
    return replace(recipe, **{name: value for name, value in options.items() if value is not None})


def sources(data: Paths) -> list[Path]:
    """The paths of --data; raises NonesuchError where there are none."""
    found = as_paths(data)
    if not found:
        raise NonesuchError("nothing to train on: name at least one source with --data")
    return found
