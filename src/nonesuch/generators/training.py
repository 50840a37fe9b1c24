"""Training a Vec2Face to reconstruct photographs from their embeddings.

Source: Vec2Face (arXiv 2409.02979), section 3.2. Only images are needed: each one's vector is what the frozen
embedder says of it.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_SIZE
from nonesuch.core.photographs import Photograph
from nonesuch.core.training import Batch
from nonesuch.embedders.embedder import Embedder
from nonesuch.generators.generator import MaskSetting
from nonesuch.generators.losses import PerceptualDistance, feature_distance, ssim
from nonesuch.generators.vec2face import Vec2Face


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Weights of the loss terms; the defaults are the published ones.

    Attributes:
        pixel: mean squared error on [-1, 1].
        ssim: 1 - SSIM on [0, 1].
        perceptual: LPIPS, or the distance of the frozen embedder's feature maps.
        token: mean squared error between the transformer's rows and the un-masked feature map.
        identity: 1 - cosine between the image's embedding and the vector.
    """

    pixel: float = 1.0
    ssim: float = 0.1
    perceptual: float = 0.2
    token: float = 1.0
    identity: float = 1.0


PUBLISHED_TRAINING_MASK = MaskSetting(low=0.5, high=1.0, mean=0.75, std=0.25)


@dataclass(frozen=True, kw_only=True)
class GeneratorRecipe:
    """How a generator is trained: masks, loss weights, and the defaults of the run's settings."""

    mask: MaskSetting = PUBLISHED_TRAINING_MASK
    losses: LossWeights = field(default_factory=LossWeights)
    images: int
    batch: int
    lr: float
    warmup: int
    ema_images: int
    clip: float = 2.0


class FeatureNetwork(Protocol):
    """An embedder whose feature maps can be read on the way to the embedding."""

    def feature_maps(self, x: Tensor) -> list[Tensor]: ...

    def embed_features(self, last_map: Tensor) -> Tensor: ...


class PhotographSamples:
    """Photographs with their vectors.

    Args:
        photographs: aligned 112x112 crops.
        vectors: (N, D) raw embeddings of them.
        vector_scale: what a raw embedding is multiplied by for the network.
        mask: how masks are drawn, each from the sample's own seed.
    """

    def __init__(
        self,
        photographs: list[Photograph],
        vectors: NDArray[np.float32],
        vector_scale: float,
        mask: MaskSetting,
    ) -> None:
        self.photographs, self.vectors = photographs, vectors
        self.vector_scale, self.mask = vector_scale, mask

    def __len__(self) -> int:
        return len(self.photographs)

    def load(self, indices: NDArray[np.int64], seeds: list[int]) -> Batch:
        """images (B, 3, 112, 112) in [-1, 1], channels last; vectors (B, D); mask_ratio (B,); noise (B, 49)."""
        pixels = torch.from_numpy(np.stack([read_crop(self.photographs[index]) for index in indices]))
        masks = [self.mask.draw(seed) for seed in seeds]
        return {
            "images": pixels.permute(0, 3, 1, 2).float() / 127.5 - 1.0,
            "vectors": torch.from_numpy(self.vectors[indices]) * self.vector_scale,
            "mask_ratio": torch.tensor([ratio for ratio, _ in masks], dtype=torch.float32),
            "noise": torch.from_numpy(np.stack([noise for _, noise in masks])),
        }


def read_crop(photograph: Photograph) -> NDArray[np.uint8]:
    """Decode an aligned crop.

    Raises:
        NonesuchError: unreadable, or not 112x112.
    """
    pixels = photograph.read()
    if pixels.shape != (CROP_SIZE, CROP_SIZE, 3):
        height, width = pixels.shape[:2]
        raise NonesuchError(
            f"{photograph.name}: {width}x{height}, training takes crops aligned at 112x112; "
            "make them with 'nonesuch embed IN --crops FOLDER'"
        )
    return pixels


class ReconstructionTask:
    """A Vec2Face and its reconstruction losses.

    Args:
        network: what is trained.
        embedder: frozen; made the vectors, and judges identity.
        weights: of the loss terms.
        drop_ratio: share of rows dropped from the encoder, `low` of the mask setting.
        perceptual: LPIPS; None for the embedder's own feature maps.
    """

    def __init__(
        self,
        network: Vec2Face,
        embedder: Embedder,
        weights: LossWeights,
        drop_ratio: float,
        perceptual: PerceptualDistance | None = None,
    ) -> None:
        features: Any = embedder.network
        if not hasattr(features, "feature_maps"):
            raise NonesuchError(f"{embedder.name} cannot train a generator: its feature maps cannot be read")
        self.network, self.embedder, self.weights = network, embedder, weights
        self.features: FeatureNetwork = features
        self.drop_ratio, self.perceptual = drop_ratio, perceptual

    def training_forward(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms of one batch of `PhotographSamples`."""
        real, vectors, weights = batch["images"], batch["vectors"], self.weights
        tokens = self.network.tokens(vectors, batch["noise"], batch["mask_ratio"], self.drop_ratio)
        fake = self.network.decode(tokens).float()
        target = self.network.feature_map(vectors)[1].detach()

        maps = self._maps(fake)
        embeddings = self.features.embed_features(maps[-1]).float()
        if self.perceptual is None:
            with torch.no_grad():
                real_maps = self._maps(real)
            perceptual = feature_distance(maps, real_maps)
        else:
            perceptual = self.perceptual(fake, real)
        return {
            "pixel": weights.pixel * F.mse_loss(fake, real),
            "ssim": weights.ssim * (1.0 - ssim(fake * 0.5 + 0.5, real * 0.5 + 0.5).mean()),
            "perceptual": weights.perceptual * perceptual.mean(),
            "token": weights.token * F.mse_loss(tokens.float(), target.float()),
            "identity": weights.identity * (1.0 - F.cosine_similarity(embeddings, vectors).mean()),
        }

    def _maps(self, images: Tensor) -> list[Tensor]:
        return self.features.feature_maps(self.embedder.preprocessing.apply((images + 1.0) * 127.5))
