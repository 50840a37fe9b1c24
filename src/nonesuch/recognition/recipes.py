"""How a recogniser is trained, in one value."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import nn

from nonesuch.core.errors import NonesuchError
from nonesuch.recognition.augmentation import Augmentation
from nonesuch.recognition.margins import AdaMargin, CombinedMargin, CurricularMargin, MagMargin

# Each with its published margin.
MARGINS: dict[str, Callable[..., nn.Module]] = {
    "softmax": CombinedMargin,
    "sphereface": partial(CombinedMargin, m1=1.7),
    "cosface": partial(CombinedMargin, m3=0.35),
    "arcface": partial(CombinedMargin, m2=0.5),
    "combined": partial(CombinedMargin, m1=1.0, m2=0.3, m3=0.2),
    "curricularface": CurricularMargin,
    "magface": MagMargin,
    "adaface": AdaMargin,
}


@dataclass(frozen=True, kw_only=True)
class RecogniserRecipe:
    """Backbone, head, augmentation and schedule.

    Attributes:
        backbone: one of `nonesuch.list_models()`.
        head: one of `MARGINS`.
        margin: arguments of the margin that differ from the published ones.
        augmentation: of the images.
        epochs: over the dataset.
        batch: images per step.
        optimizer, lr, weight_decay, clip: see `nonesuch.core.training.TrainSettings`.
        warmup: epochs of linear warm-up.
        milestones: epochs after each of which the rate is a tenth; half a cosine to 0 where there are none.
        average: half-life of the averaged weights, epochs; 0 for the last weights as they are.
    """

    backbone: str
    head: str = "arcface"
    margin: dict[str, Any] = field(default_factory=dict)
    augmentation: Augmentation = field(default_factory=Augmentation)
    epochs: float
    batch: int = 128
    optimizer: str = "sgd"
    lr: float = 0.1
    weight_decay: float = 5e-4
    clip: float = 5.0
    warmup: float = 0.0
    milestones: tuple[float, ...] = ()
    average: float = 0.0


_ADAFACE_AUGMENTER = {"crop": 0.3, "low_resolution": 0.3, "photometric": 0.3}
RECIPES: dict[str, RecogniserRecipe] = {
    "tiny": RecogniserRecipe(backbone="iresnet_tiny", margin={"m2": 0.2, "scale": 16.0}, epochs=20, batch=16, lr=0.05),
    # 100,000 images of a dataset of 10,000, ten minutes on two CPU cores.
    "mini": RecogniserRecipe(
        backbone="iresnet_mini",
        margin={"m2": 0.3, "scale": 32.0},
        augmentation=Augmentation(**_ADAFACE_AUGMENTER, erase=0.3),
        epochs=10,
        warmup=0.4,
        average=0.4,
    ),
}


def create_margin(name: str, **arguments: Any) -> nn.Module:
    """A margin by its name; raises NonesuchError for an unknown name or argument."""
    if name not in MARGINS:
        raise NonesuchError(f"unknown head {name!r}; known are {', '.join(MARGINS)}")
    try:
        return MARGINS[name](**arguments)
    except TypeError as error:
        raise NonesuchError(f"{name}: {error}") from error
