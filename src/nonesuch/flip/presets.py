"""Named sizes of FLIP, and how each is trained. The tiny one is for tests."""

from dataclasses import dataclass, replace
from typing import Any

from nonesuch.flip.maps import CHANNELS, SIDE
from nonesuch.flip.pretraining import FlipLosses
from nonesuch.loop.runs import CountedRecipe

# Arguments of `nonesuch.flip.network.Flip`.
FLIPS: dict[str, dict[str, Any]] = {
    "flip_tiny": {
        "image": {"channels": CHANNELS, "side": SIDE, "patch": 1, "width": 32, "depth": 1, "heads": 2},
        "text": {"words": 400, "positions": 65, "width": 32, "depth": 2, "heads": 2, "dropout": 0.1},
        "dim": 16,
    },
    "flip_small": {
        "image": {"channels": CHANNELS, "side": SIDE, "patch": 1, "width": 128, "depth": 2, "heads": 4},
        "text": {"words": 2_000, "positions": 65, "width": 128, "depth": 4, "heads": 4, "dropout": 0.1},
        "dim": 128,
    },
    # ViT-B/16 and BERT-base; the vocabulary is BERT's with two tokens more, as in BLIP.
    "flip_base": {
        "image": {"channels": 3, "side": 224, "patch": 16, "width": 768, "depth": 12, "heads": 12},
        "text": {"words": 30_524, "positions": 512, "width": 768, "depth": 12, "heads": 12, "dropout": 0.1},
        "dim": 256,
    },
}


@dataclass(frozen=True, kw_only=True)
class FlipRecipe(CountedRecipe):
    """How FLIP is trained.

    Attributes:
        losses: see `FlipLosses`.
        weight_decay: see `TrainSettings`.
        epochs: instead of `images` and `warmup`: passes over the data. The rate warms up over the first and falls by a
            tenth with each; the twins' opinion grows over two. 0 for none of this.
    """

    losses: FlipLosses
    weight_decay: float = 0.05
    epochs: int = 0

    def images_over(self, size: int) -> int:
        """The recipe's own number, or its epochs'."""
        return self.epochs * size if self.epochs else self.images

    def settings_for(self, images: int) -> dict[str, Any]:
        """The recipe's own numbers."""
        settings = super().settings_for(images) | {"weight_decay": self.weight_decay}
        if self.epochs:
            epoch = max(images // self.epochs, 1)
            settings |= {"warmup": epoch, "tenth_off": epoch}
        return settings

    def losses_over(self, images: int) -> FlipLosses:
        """The losses of a run of so many images."""
        return replace(self.losses, ramp=max(2 * images // self.epochs, 1)) if self.epochs else self.losses


FLIP_RECIPES: dict[str, FlipRecipe] = {
    "flip_tiny": FlipRecipe(
        images=64,
        batch=8,
        lr=1e-3,
        warmup=8,
        ema_images=16,
        losses=FlipLosses(
            queue=16, momentum=0.9, twins_after=5_200, ramp=2_000, facts=1.0, matching=0.1, matching_after=5_200
        ),
    ),
    "flip_small": FlipRecipe(
        images=260_000,
        batch=64,
        lr=1e-3,
        warmup=2_000,
        ema_images=10_000,
        losses=FlipLosses(
            queue=4_096,
            momentum=0.99,
            twins_after=80_000,
            ramp=50_000,
            facts=10.0,
            matched=0.25,
            matching_after=180_000,
        ),
    ),
    # As published, for 8 processes of 80 pairs; its positives are --positives diagonal.
    "flip_base": FlipRecipe(
        images=0, warmup=0, batch=640, lr=3e-5, epochs=15, ema_images=0, losses=FlipLosses(queue=61_440)
    ),
}
