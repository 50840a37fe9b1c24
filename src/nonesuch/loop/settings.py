"""How long and how fast a training runs."""

import math
import os
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from nonesuch.core.errors import NonesuchError
from nonesuch.core.weights import Positive
from nonesuch.loop import distributed

AtLeast0 = Annotated[int, Meta(ge=0)]
AtLeast1 = Annotated[int, Meta(ge=1)]

_LEAST_RATE = 1e-6
_SECONDS = "NONESUCH_CHECKPOINT_SECONDS"  # of the environment


def seconds_between_saves() -> float:
    """What the environment says, otherwise 300; raises NonesuchError where that is no number of seconds."""
    said = os.environ.get(_SECONDS, "300")
    try:
        seconds = float(said)
    except ValueError:
        seconds = math.nan
    if not seconds >= 0.0:
        raise NonesuchError(f"{_SECONDS}={said}: set it to a number of seconds, such as 300, or unset it")
    return seconds


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How long and how fast.

    Attributes:
        images: total number of images seen.
        batch: images per optimiser step.
        accumulate: parts that a batch is split into, to bound the memory.
        lr: peak learning rate; warm-up is linear, then half a cosine to 0.
        warmup: images of warm-up.
        milestones: instead of the cosine: numbers of images; after each the rate falls to a tenth.
        period: instead of one cosine: images of the first of several, each twice as long as the one before and from
            the peak again (warm restarts, arXiv 1608.03983); 0 for one.
        tenth_off: instead of the cosine: after each so many images the rate falls by a tenth, to 1e-6 at least; 0 for
            never.
        optimizer: "adamw", or "sgd" with momentum 0.9.
        betas: of AdamW.
        weight_decay: spares biases and norms.
        clip: largest norm of the gradient.
        ema_images: half-life of the weight average in images, shorter at the start (arXiv 2312.02696, appendix B).
        seed: of everything random in the run.
        dtype: "float32", "bfloat16", "float16".
    """

    images: AtLeast1
    batch: AtLeast1
    accumulate: AtLeast1 = 1
    lr: Positive
    warmup: AtLeast0 = 0
    milestones: tuple[int, ...] = ()
    period: AtLeast0 = 0
    tenth_off: AtLeast0 = 0
    optimizer: Annotated[str, Meta(pattern="^(adamw|sgd)$")] = "adamw"
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: Annotated[float, Meta(ge=0)] = 0.01
    clip: Positive = 2.0
    ema_images: AtLeast0 = 10_000
    seed: AtLeast0 = 0
    dtype: Annotated[str, Meta(pattern="^(float32|bfloat16|float16)$")] = "float32"

    def check_parts(self) -> None:
        """Raises NonesuchError where the batch cannot be split evenly among these processes."""
        parts = self.accumulate * distributed.world_size()
        if self.batch % parts:
            raise NonesuchError(
                f"a batch of {self.batch} cannot be split into {parts} equal parts (--accumulate, times the "
                f"processes); let --batch be a multiple of {parts}"
            )

    def learning_rate(self, seen: int, decays: bool = True) -> float:
        """The rate after `seen` images."""
        if seen < self.warmup:
            return self.lr * (seen + self.batch) / (self.warmup + self.batch)
        if not decays:
            return self.lr
        if self.milestones:
            return self.lr * 0.1 ** sum(seen >= milestone for milestone in self.milestones)
        if self.tenth_off:
            return max(self.lr * 0.9 ** (seen // self.tenth_off), _LEAST_RATE)
        done = (seen - self.warmup) / max(self.images - self.warmup, 1)
        if self.period:
            # The n-th period begins after period * (2^n - 1) images.
            periods = (seen - self.warmup) / self.period + 1.0
            done = periods / 2.0 ** math.floor(math.log2(periods)) - 1.0
        return self.lr * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))

    def ema_decay(self, seen: int) -> float:
        """The weight average's decay for the step that reaches `seen` images."""
        half_life = min(self.ema_images, 0.05 * seen)
        return 0.5 ** (self.batch / max(half_life, 1e-8))
