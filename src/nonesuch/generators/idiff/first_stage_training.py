"""Training a first stage to give images again from their latents.

Source: VQGAN (arXiv 2012.09841, section 3.1) and latent diffusion (arXiv 2112.10752, appendix G).
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.core.augmentation import DRAWS, mirrored
from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import Stream, normal, uniform
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.crops import Crops
from nonesuch.generators.band_discriminator import BandDiscriminator
from nonesuch.generators.discriminator import PatchDiscriminator, adaptive_weight
from nonesuch.generators.generator import from_grey_levels
from nonesuch.generators.idiff.framing import from_crops, to_crops
from nonesuch.generators.idiff.network import FirstStage
from nonesuch.generators.losses import EmbedderView, PerceptualDistance, feature_distance
from nonesuch.loop.runs import CountedRecipe
from nonesuch.loop.trainer import Batch, Player


@dataclass(frozen=True, kw_only=True)
class FirstStageLosses:
    """Weights of the loss terms; 0 leaves a term out. The defaults are VQGAN's.

    Attributes:
        pixel: mean absolute error on [-1, 1].
        perceptual: LPIPS, or the distance of the frozen embedder's feature maps.
        codebook: distance of latents from their codes, of a first stage with a codebook.
        kl: divergence of latents from the standard normal, of one without, in nats per element.
        adversarial: -mean D(g).
    """

    pixel: float = 1.0
    perceptual: float = 1.0
    codebook: float = 1.0
    kl: float = 1e-6
    adversarial: float = 1.0

    @property
    def need_discriminator(self) -> bool:
        """Whether the adversarial term is wanted."""
        return bool(self.adversarial)


@dataclass(frozen=True, kw_only=True)
class FirstStageRecipe(CountedRecipe):
    """How a first stage is trained.

    Attributes:
        losses: weights of the terms.
        adversarial_from: images after which the discriminator joins.
        adaptive: weigh the adversarial term by the gradients at the last layer, on top of its weight.
        bands: let a `BandDiscriminator` judge, which asks for detail, in place of the published `PatchDiscriminator`.
        discriminator: arguments of it.
        side: width and height of its images, in pixels; crops are enlarged to it.
        encoder_until: images after which the encoder stays as it is and the decoder alone learns on; None for never.

    Raises:
        NonesuchError: the adaptive weight has nothing to adapt to.
    """

    losses: FirstStageLosses = field(default_factory=FirstStageLosses)
    adversarial_from: int
    adaptive: bool = True
    bands: bool = False
    discriminator: dict[str, Any] = field(default_factory=dict)
    side: int = 128
    encoder_until: int | None = None

    def __post_init__(self) -> None:
        if self.adaptive and not (self.losses.pixel or self.losses.perceptual):
            raise NonesuchError("--adaptive weighs against pixel and perceptual; give one of them a weight")


class FirstStageSamples:
    """Photographs, half of them mirrored.

    Args:
        crops: of photographs.
        side: width and height of the first stage's images.
        latent: shape of a latent (C, H, W), for its noise.
    """

    def __init__(self, crops: Crops, side: int, latent: tuple[int, int, int]) -> None:
        self.crops, self.side, self.latent = crops, side, latent

    def __len__(self) -> int:
        return len(self.crops)

    def load(self, indices: NDArray[np.int64], seeds: list[int]) -> Batch:
        """images (B, 3, side, side) in [-1, 1]; noise (B, C, H, W) standard normal."""
        images = from_grey_levels(self.crops.read(indices))
        mirror = mirrored(torch.from_numpy(np.stack([uniform(seed, Stream.DISTURBANCE, DRAWS) for seed in seeds])))
        images = torch.where(mirror.to(images.device)[:, None, None, None], images.flip(3), images)
        noise = np.stack([normal(seed, Stream.DIFFUSION, int(np.prod(self.latent))) for seed in seeds])
        return {
            "images": from_crops(images, self.side),
            "noise": torch.from_numpy(noise).float().reshape(len(seeds), *self.latent),
        }


class FirstStageTask:
    """A first stage, its reconstruction losses, and a discriminator as the second player.

    Args:
        network: what is trained.
        embedder: frozen; its feature maps tell how far images lie apart.
        recipe: loss weights, when the discriminator joins.
        perceptual: LPIPS; None for the embedder's feature maps.

    Raises:
        NonesuchError: the embedder's feature maps cannot be read.
    """

    def __init__(
        self,
        network: FirstStage,
        embedder: Embedder,
        recipe: FirstStageRecipe,
        perceptual: PerceptualDistance | None = None,
    ) -> None:
        self.network, self.recipe, self.perceptual = network, recipe, perceptual
        self.view = EmbedderView(embedder)
        kind = BandDiscriminator if recipe.bands else PatchDiscriminator
        self.discriminator = kind(**recipe.discriminator)
        self.fakes = torch.empty(0)

    @property
    def players(self) -> list[Player]:
        """First stage, then discriminator, which sees the images of the first stage's last turn."""
        players = [Player(self.network, self.first_stage_losses)]
        if self.recipe.losses.need_discriminator:
            players.append(Player(self.discriminator, self.discriminator_losses))
        return players

    def first_stage_losses(self, batch: Batch, seen: int) -> dict[str, Tensor]:
        """Weighted terms of one batch of `FirstStageSamples`."""
        weights, until, images = self.recipe.losses, self.recipe.encoder_until, batch["images"]
        again, penalties = self.network.trained(images, batch["noise"], until is None or seen < until)
        again = again.float()
        terms = {"pixel": weights.pixel * (again - images).abs().mean()} if weights.pixel else {}
        if weights.perceptual:
            terms["perceptual"] = weights.perceptual * self._distance(to_crops(again), to_crops(images)).mean()
        reconstruction = torch.stack(list(terms.values())).sum() if terms else None
        terms |= {name: getattr(weights, name) * penalty for name, penalty in penalties.items()}
        if weights.adversarial and seen >= self.recipe.adversarial_from:
            loss = self.discriminator.unconvinced(again).mean()
            if self.recipe.adaptive and reconstruction is not None:
                loss = adaptive_weight(reconstruction, loss, self.network.last_layer) * loss
            terms["adversarial"] = weights.adversarial * loss
        self.fakes = again.detach()
        return terms

    def discriminator_losses(self, batch: Batch, seen: int) -> dict[str, Tensor]:
        """The discriminator's loss on the photographs and on the first stage's images of the same turn."""
        if seen < self.recipe.adversarial_from:
            return {}
        return self.discriminator.losses(batch["images"], self.fakes, seen)

    def _distance(self, again: Tensor, images: Tensor) -> Tensor:
        if self.perceptual is not None:
            return self.perceptual(again, images)
        with torch.no_grad():
            real = self.view.maps(images)
        return feature_distance(self.view.maps(again), real)
