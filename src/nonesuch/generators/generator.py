"""A generator: a Vec2Face with the card that says whose vectors it decodes and how its masks are drawn."""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.core import seeding
from nonesuch.core.devices import autocast
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import Pixels
from nonesuch.core.seeding import Stream
from nonesuch.core.weights import Card
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
class GeneratorCard(Card):
    """The card of a generator.

    Attributes:
        feature_dim: width of the identity vectors.
        embedder: name of the embedder whose vectors are decoded.
        embedder_sha256: hash of its weights, or "" where they are not at hand.
        vector_scale: raw embedding * scale = what the network takes; sigma is in scaled units.
        vector_norm: usual norm of a raw vector.
        sigma_mix: how vectors are perturbed by default, as sigma:share,...; the default is the published mix.
        mask: keyword arguments of `MaskSetting` for generation.
        max_similarity: cosine between two identities above which the second is rejected, where the embedder's own
            thresholds are not at hand.
        statistics: file name of the identity statistics beside the weights, or "".
    """

    feature_dim: int
    embedder: str
    embedder_sha256: str
    vector_scale: float = 1.0
    vector_norm: float = 22.6
    sigma_mix: str = "0.3:40,0.5:40,0.7:20"
    mask: dict[str, float] = field(default_factory=dict)
    max_similarity: float = 0.4
    statistics: str = ""


class Generator:
    """Identity vectors -> faces, each image from its own seed.

    Attributes:
        card: name, hash, embedder, vector scale, masks.
        network: the `Vec2Face` module.
    """

    def __init__(
        self, card: GeneratorCard, network: Vec2Face, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        self.card = card
        self.network = network
        self.device = device
        self.dtype = dtype
        try:
            self.mask = MaskSetting(**card.mask)
        except (TypeError, NonesuchError) as error:
            raise NonesuchError(f"card of {card.name}: bad mask ({error})") from error
        if network.feature_dim != card.feature_dim:
            raise NonesuchError(
                f"card of {card.name}: feature_dim {card.feature_dim}, the network takes {network.feature_dim}"
            )

    @property
    def name(self) -> str:
        """The name of the weights."""
        return self.card.name

    def forward(self, vectors: Tensor, ratios: Tensor, noise: Tensor, style: Tensor) -> Tensor:
        """(B, D) raw vectors, (B,) mask ratios, (B, 49) noise, (B, style_dim) style codes -> (B, 3, 112, 112) RGB in
        0..255; differentiable."""
        with autocast(self.device, self.dtype):
            images = self.network(
                vectors * self.card.vector_scale,
                noise=noise,
                mask_ratio=ratios,
                drop_ratio=self.mask.low,
                style=style if self.network.style_dim else None,
            )
        return (images.float().clamp(-1.0, 1.0) + 1.0) * 127.5

    def render(
        self, vectors: NDArray[np.float32], seeds: NDArray[np.uint64], micro_batch: int, style_spread: float = 1.0
    ) -> NDArray[np.float32]:
        """Render images in micro-batches of one fixed size, the last one padded.

        Args:
            vectors: (N, D) raw identity vectors.
            seeds: (N,) image seeds.
            micro_batch: images per forward pass.
            style_spread: standard deviation of the style codes, 0 for the mean style; 1 is what training saw.

        Returns:
            (N, 112, 112, 3) float32 RGB in 0..255, not rounded.

        Raises:
            NonesuchError: the vectors have another width or are not finite.
        """
        check_vectors(vectors, self.card.feature_dim, self.name)
        masks = [self.mask.draw(int(seed)) for seed in seeds]
        ratios = np.array([ratio for ratio, _ in masks], dtype=np.float32)
        noise = np.stack([rows for _, rows in masks])
        style = np.stack([self.style_code(int(seed), style_spread) for seed in seeds])
        images = []
        for start in range(0, len(vectors), micro_batch):
            part = [_padded(column, start, micro_batch).to(self.device) for column in (vectors, ratios, noise, style)]
            with torch.inference_mode():
                images.append(self.forward(*part).permute(0, 2, 3, 1).cpu().numpy())
        return np.concatenate(images)[: len(vectors)]

    def style_code(self, seed: int, spread: float) -> NDArray[np.float32]:
        """An image's style code (style_dim,), from the image's own seed."""
        drawn = seeding.normal(seed, Stream.STYLE, self.network.style_dim)
        return (spread * drawn).astype(np.float32)


def check_vectors(vectors: NDArray[np.float32], width: int, wanted_by: str) -> None:
    """Raises NonesuchError unless the vectors are (N, width), finite and not zero."""
    if vectors.ndim != 2 or vectors.shape[1] != width:
        raise NonesuchError(f"{wanted_by} takes vectors of width {width}, these have {vectors.shape[-1]}")
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1) | ~np.any(vectors, axis=1))
    if len(bad):
        raise NonesuchError(f"vector {bad[0]} is zero or holds NaN or infinity ({len(bad)} such); remove these rows")


def to_grey_levels(images: NDArray[np.float32]) -> Pixels:
    """0..255 floating point -> uint8, rounded to the nearest level.

    Raises:
        NonesuchError: a pixel is not finite.
    """
    if not np.isfinite(images).all():
        raise NonesuchError("the generator gave pixels that are not finite; use --dtype float32")
    return np.rint(images).astype(np.uint8)


def _padded(column: NDArray[np.float32], start: int, size: int) -> Tensor:
    part = column[start : start + size]
    return torch.from_numpy(np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)]))
