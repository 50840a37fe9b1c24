"""Vec2Face as a generator: how an image's mask and style code are drawn, and what its card adds."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.core import files, seeding
from nonesuch.core.devices import autocast
from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import Stream
from nonesuch.generators.generator import Generator, GeneratorCard, Latent
from nonesuch.generators.vec2face.network import TOKENS, Vec2Face


@dataclass(frozen=True, kw_only=True)
class MaskSetting:
    """How an image's mask ratio is drawn: normal(mean, std) restricted to [low, high]; `low` is dropped as well.

    The defaults are the published ones for generation (Vec2Face's code).
    """

    low: float = 0.1
    high: float = 1.0
    mean: float = 0.15
    std: float = 0.25

    def __post_init__(self) -> None:
        if not 0.0 <= self.low <= self.high <= 1.0 or self.std <= 0.0:
            raise NonesuchError(f"masks need 0 <= low <= high <= 1 and std > 0, not {self}")

    def draw(self, seed: int) -> tuple[float, NDArray[np.float32]]:
        """An image's mask ratio and its noise (49,) in [0, 1), from the image's own seed."""
        ratio = seeding.truncated_normal(seed, Stream.MASK_RATIO, self.mean, self.std, self.low, self.high)
        return ratio, seeding.uniform(seed, Stream.MASK_NOISE, TOKENS).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Vec2FaceCard(GeneratorCard):
    """The card of a Vec2Face.

    Attributes:
        mask: keyword arguments of `MaskSetting` for generation.
    """

    mask: dict[str, float] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """As in `Card`; `mask` comes before these two, so that equal cards are equal files whoever wrote them."""
        record = super().record()
        behind = {name: record.pop(name) for name in ("max_similarity", "statistics")}
        return record | behind


class Vec2FaceGenerator(Generator):
    """Vec2Face with its card. Its fixed draws are `ratio` (N,), the mask ratios, and `noise` (N, 49) in [0, 1).

    Attributes:
        network: the `Vec2Face` module.
        mask: how masks are drawn.

    Raises:
        NonesuchError: the card holds no usable mask, or another width of vectors than the network takes.
    """

    def __init__(
        self, card: Vec2FaceCard, network: Vec2Face, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        self.card = card
        self.network = network
        self.device = device
        self.dtype = dtype
        try:
            self.mask = files.typed(card.mask, MaskSetting, "mask")
        except NonesuchError as error:
            raise NonesuchError(f"card of {card.name}: bad mask ({error})") from error
        if network.feature_dim != card.feature_dim:
            raise NonesuchError(
                f"card of {card.name}: feature_dim {card.feature_dim}, the network takes {network.feature_dim}"
            )

    def draw(self, seeds: NDArray[np.uint64], style_spread: float = 1.0) -> Latent:
        """See `Generator.draw`."""
        count, width = len(seeds), self.network.style_dim
        masks = [self.mask.draw(int(seed)) for seed in seeds]
        ratio = np.array([ratio for ratio, _ in masks], dtype=np.float32)
        noise = np.array([noise for _, noise in masks], dtype=np.float32).reshape(count, TOKENS)
        codes = [style_spread * seeding.normal(int(seed), Stream.STYLE, width) for seed in seeds]
        style = np.array(codes, dtype=np.float32).reshape(count, width)
        return Latent(torch.from_numpy(style), {"ratio": torch.from_numpy(ratio), "noise": torch.from_numpy(noise)})

    def forward(self, vectors: Tensor, latent: Latent) -> Tensor:
        """See `Generator.forward`."""
        with autocast(self.device, self.dtype):
            images = self.network(
                vectors * self.card.vector_scale,
                noise=latent.fixed["noise"],
                mask_ratio=latent.fixed["ratio"],
                drop_ratio=self.mask.low,
                style=latent.style if self.network.style_dim else None,
            )
        return (images.float().clamp(-1.0, 1.0) + 1.0) * 127.5
