"""How a recogniser is trained, in one value."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from torch import nn

from nonesuch.core.errors import NonesuchError
from nonesuch.loop.runs import Recipe
from nonesuch.recognition.augmentation import Augmentation
from nonesuch.recognition.heads import MarginHead, TripletHead, UniFaceHead
from nonesuch.recognition.margins import AdaMargin, CombinedMargin, CurricularMargin, MagMargin

# Each with its published margin.
_COMBINED: dict[str, Callable[..., nn.Module]] = {
    "softmax": CombinedMargin,
    "sphereface": partial(CombinedMargin, m1=1.7),
    "cosface": partial(CombinedMargin, m3=0.35),
    "arcface": partial(CombinedMargin, m2=0.5),
    "combined": partial(CombinedMargin, m1=1.0, m2=0.3, m3=0.2),
}
_MARGINS: dict[str, Callable[..., nn.Module]] = {
    **_COMBINED,
    "curricularface": CurricularMargin,
    "magface": MagMargin,
    "adaface": AdaMargin,
}
_WITHOUT_MARGIN: dict[str, Callable[..., nn.Module]] = {"uniface": UniFaceHead, "triplet": TripletHead}
HEADS = (*_MARGINS, *_WITHOUT_MARGIN)
COMBINED = tuple(_COMBINED)  # those that can pass gradients straight through


@dataclass(frozen=True, kw_only=True)
class RecogniserRecipe(Recipe):
    """Backbone, head, augmentation and schedule.

    Attributes:
        backbone: one of `nonesuch.list_models()`.
        backbone_options: its arguments that differ from the usual ones; they must not change its tensors.
        head: one of `HEADS`.
        head_options: its arguments that differ from the published ones.
        symmetry: weight of SymFace's term, see `RecogniserTask`.
        share: of the class centres in a step, see `MarginHead`.
        augmentation: of the images.
        epochs: over the dataset.
        batch: images per step.
        optimizer, lr, weight_decay, clip: see `nonesuch.loop.settings.TrainSettings`.
        warmup: share of the run with linear warm-up.
        milestones: shares of the run; after each the rate falls to a tenth. Half a cosine to 0 where there are none.
        average: half-life of the averaged weights, as a share of the run; 0 for the last weights as they are.
        sync_batch_norm: batch norm takes its statistics over the images of all processes.
    """

    backbone: str
    backbone_options: dict[str, Any] = field(default_factory=dict)
    head: str = "arcface"
    head_options: dict[str, Any] = field(default_factory=dict)
    symmetry: float = 0.0
    share: float = 1.0
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
    sync_batch_norm: bool = False

    def images_over(self, size: int) -> int:
        """The recipe's epochs."""
        return max(round(self.epochs * size), 1)

    def settings_for(self, images: int) -> dict[str, Any]:
        """Its shares of a run, in images."""
        return {
            "optimizer": self.optimizer,
            "warmup": round(self.warmup * images),
            "milestones": tuple(round(share * images) for share in self.milestones),
            "weight_decay": self.weight_decay,
            "clip": self.clip,
            "ema_images": round(self.average * images),
        }

    def record(self) -> dict[str, Any]:
        """What a run's folder keeps of it besides the schedule and the network."""
        return {
            "head": [self.head, self.head_options, self.share, self.symmetry],
            "augmentation": asdict(self.augmentation),
            **({"sync batch norm": True} if self.sync_batch_norm else {}),
        }


def _adaface_augmenter(erase: float) -> Augmentation:
    return Augmentation(crop=0.3, low_resolution=0.3, photometric=0.3, erase=erase)


RECIPES: dict[str, RecogniserRecipe] = {
    "tiny": RecogniserRecipe(
        backbone="iresnet_tiny", head_options={"m2": 0.2, "scale": 16.0}, epochs=20, batch=16, lr=0.05
    ),
    "mini": RecogniserRecipe(
        backbone="iresnet_mini",
        head_options={"m2": 0.3, "scale": 32.0},
        augmentation=_adaface_augmenter(erase=0.3),
        epochs=10,
        batch=64,
        warmup=0.04,
        average=0.04,
    ),
    # Backbone, head and schedule as published for HSFace with Vec2Face; the augmentation is ours.
    "hsface": RecogniserRecipe(
        backbone="se_iresnet50",
        augmentation=_adaface_augmenter(erase=0.5),
        epochs=26,
        milestones=(12 / 26, 20 / 26, 24 / 26),
    ),
    # As published with IDiff-Face, except for the epochs and the steps of the rate, which are ours.
    "idiff": RecogniserRecipe(
        backbone="iresnet50",
        backbone_options={"dropout": 0.4},
        head="cosface",
        augmentation=Augmentation(rand_augment=(4, 16.0)),
        epochs=40,
        batch=512,
        milestones=(22 / 40, 30 / 40, 35 / 40),
    ),
}


def adaptation_recipe(backbone: str) -> RecogniserRecipe:
    """How the adapters of a frozen backbone are trained (`nonesuch.embedders.adapters`).

    Optimiser, batch and warm-up as published for PETALface on TinyFace (arXiv 2412.07771). Half of the images are made
    coarse, so that both adapters have as much to learn from.
    """
    return RecogniserRecipe(
        backbone=backbone,
        augmentation=Augmentation(crop=0.3, low_resolution=0.5, photometric=0.3),
        epochs=10,
        batch=64,
        optimizer="adamw",
        lr=5e-4,
        weight_decay=0.1,
        warmup=0.05,
    )


def create_head(name: str, embedding_dim: int, classes: int, share: float = 1.0, **arguments: Any) -> nn.Module:
    """A head by its name.

    Args:
        name: one of `HEADS`.
        embedding_dim, classes, share: see `MarginHead`; the triplet loss has no centres to take a share of.
        arguments: of the margin or head that differ from the published ones.

    Raises:
        NonesuchError: unknown name or argument.
    """
    if name not in HEADS:
        raise NonesuchError(f"unknown head {name!r}; the known ones are {', '.join(HEADS)}")
    try:
        if name in _MARGINS:
            return MarginHead(embedding_dim, classes, _MARGINS[name](**arguments), share)
        if share < 1.0:
            arguments = {**arguments, "share": share}
        return _WITHOUT_MARGIN[name](embedding_dim, classes, **arguments)
    except TypeError as error:
        raise NonesuchError(f"head {name}: {error}") from error
