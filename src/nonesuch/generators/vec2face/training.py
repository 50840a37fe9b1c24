"""Training a Vec2Face to reconstruct photographs from their embeddings.

Source: Vec2Face (arXiv 2409.02979), section 3.2. Only images are needed: each one's vector is its embedding by the
frozen embedder.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from nonesuch.core.augmentation import DRAWS, disturbed
from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import Stream, derive_seed, normal, uniform
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.crops import Crops
from nonesuch.generators.discriminator import PatchDiscriminator, adaptive_weight
from nonesuch.generators.generator import from_grey_levels
from nonesuch.generators.losses import EmbedderView, PerceptualDistance, feature_distance, ssim
from nonesuch.generators.vec2face.generator import MaskSetting
from nonesuch.generators.vec2face.network import Vec2Face
from nonesuch.generators.vec2face.style import StyleEncoder, kl_divergence
from nonesuch.loop.runs import CountedRecipe
from nonesuch.loop.trainer import Batch, Player


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Weights of the loss terms; 0 leaves a term out. The defaults are the published ones.

    Attributes:
        pixel: mean squared error on [-1, 1].
        ssim: 1 - SSIM on [0, 1].
        perceptual: LPIPS, or the distance of the frozen embedder's feature maps.
        token: mean squared error between the transformer's rows and the un-masked feature map.
        identity: 1 - cosine between the image's embedding and the vector.
        adversarial: -mean D(g).
        style: KL divergence of the style code from the standard normal, in nats per image.
        prior_identity, prior_adversarial: the same terms on images of sampled vectors and styles.
        landmarks: mean squared distance between the landmarks of image and photograph, in pixels.
    """

    pixel: float = 1.0
    ssim: float = 0.1
    perceptual: float = 0.2
    token: float = 1.0
    identity: float = 1.0
    adversarial: float = 1.0
    style: float = 0.0
    prior_identity: float = 0.0
    prior_adversarial: float = 0.0
    landmarks: float = 0.0

    @property
    def need_discriminator(self) -> bool:
        """Whether an adversarial term is wanted."""
        return bool(self.adversarial or self.prior_adversarial)

    @property
    def need_sampled_people(self) -> bool:
        """Whether a term on images of sampled people is wanted."""
        return bool(self.prior_identity or self.prior_adversarial)


PUBLISHED_TRAINING_MASK = MaskSetting(low=0.5, high=1.0, mean=0.75, std=0.25)


@dataclass(frozen=True, kw_only=True)
class GeneratorRecipe(CountedRecipe):
    """How a generator is trained.

    Attributes:
        mask: how masks are drawn in training.
        losses: weights of the terms.
        adversarial_from: images after which the discriminator joins.
        adaptive: weigh the adversarial term by the gradients at the last layer, on top of its weight.
        discriminator: arguments of `PatchDiscriminator`.
        discriminator_decays: let its learning rate fall as the generator's does; the published rate is constant. A
            constant rate outruns a generator that slows down: the small preset then drew white halos and a crosshatch.
        prior_share: images with sampled vectors and styles, per photograph.
        disturb: show the embedder disturbed copies.

    Raises:
        NonesuchError: the adaptive weight has nothing to adapt to.
    """

    mask: MaskSetting = PUBLISHED_TRAINING_MASK
    losses: LossWeights = field(default_factory=LossWeights)
    adversarial_from: int
    adaptive: bool = False
    discriminator: dict[str, Any] = field(default_factory=dict)
    discriminator_decays: bool = False
    prior_share: float = 0.0
    disturb: bool = False

    def __post_init__(self) -> None:
        weights = self.losses
        if self.adaptive and not (weights.pixel or weights.ssim or weights.perceptual):
            raise NonesuchError("--adaptive weighs against pixel, ssim and perceptual; give one of them a weight")


class PhotographSamples:
    """Photographs with their vectors.

    Args:
        crops: of N photographs.
        vectors: (N, D) raw embeddings of them.
        vector_scale: what a raw embedding is multiplied by for the network.
        mask: how masks are drawn, each from the sample's own seed.
        style_dim: width of the style codes.
        draw: maps a seed to a sampled raw vector (D,), for images without a photograph behind them.
        prior_share: number of those per photograph; a part of a batch must hold a whole number of them.
    """

    def __init__(
        self,
        crops: Crops,
        vectors: NDArray[np.float32],
        vector_scale: float,
        mask: MaskSetting,
        style_dim: int = 0,
        draw: Callable[[int], NDArray[np.float32]] | None = None,
        prior_share: float = 0.0,
    ) -> None:
        self.crops, self.vectors = crops, vectors
        self.vector_scale, self.mask = vector_scale, mask
        self.style_dim = style_dim
        self.draw, self.prior_share = draw, 0.0 if draw is None else prior_share

    def __len__(self) -> int:
        return len(self.crops)

    def load(self, indices: NDArray[np.int64], seeds: list[int]) -> Batch:
        """images (B, 3, 112, 112) in [-1, 1], channels last; vectors (B + P, D), those of P sampled people last;
        mask_ratio (B + P,); noise (B + P, 49); style (B + P, style_dim), standard normal; disturbance (B + P, 7) in
        [0, 1), see `disturbed`. Raises NonesuchError where P is not whole."""
        share = len(seeds) * self.prior_share
        if share != int(share):
            raise NonesuchError(
                f"{len(seeds)} photographs at a time do not go with {self.prior_share:g} sampled people each; "
                f"let --batch / --accumulate be a multiple of {round(1 / self.prior_share)}"
            )
        vectors = self.vectors[indices]
        prior = [derive_seed(seed, 1) for seed in seeds[: int(share)]]
        if prior and self.draw is not None:
            vectors = np.concatenate([vectors, np.stack([self.draw(seed) for seed in prior])])
        every = [*seeds, *prior]
        masks = [self.mask.draw(seed) for seed in every]
        style = np.stack([normal(seed, Stream.STYLE, self.style_dim) for seed in every])
        disturbance = np.stack([uniform(seed, Stream.DISTURBANCE, DRAWS) for seed in every])
        return {
            "images": from_grey_levels(self.crops.read(indices)),
            "vectors": torch.from_numpy(vectors) * self.vector_scale,
            "mask_ratio": torch.tensor([ratio for ratio, _ in masks], dtype=torch.float32),
            "noise": torch.from_numpy(np.stack([noise for _, noise in masks])),
            "style": torch.from_numpy(style).float(),
            "disturbance": torch.from_numpy(disturbance).float(),
        }


class AutoEncoder(nn.Module):
    """What the first player trains: the generator, and the style encoder where it has a style code."""

    def __init__(self, generator: Vec2Face) -> None:
        super().__init__()
        self.generator = generator
        self.style_encoder = StyleEncoder(generator.feature_dim, generator.style_dim) if generator.style_dim else None


class GeneratorTask:
    """A Vec2Face, its reconstruction losses, and a discriminator as the second player.

    Args:
        generator: what is trained.
        embedder: frozen; made the vectors, and judges identity.
        recipe: loss weights, masks, when the discriminator joins.
        perceptual: LPIPS; None for the embedder's own feature maps.
        landmarks: differentiable landmarks (B, 5, 2) in pixels of images (B, 3, 112, 112) in [-1, 1]; needed where
            they have a weight.

    Raises:
        NonesuchError: the embedder's feature maps cannot be read.
    """

    def __init__(
        self,
        generator: Vec2Face,
        embedder: Embedder,
        recipe: GeneratorRecipe,
        perceptual: PerceptualDistance | None = None,
        landmarks: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.networks = AutoEncoder(generator)
        self.generator, self.recipe, self.weights = generator, recipe, recipe.losses
        self.view = EmbedderView(embedder)
        self.perceptual, self.landmarks = perceptual, landmarks
        self.discriminator = PatchDiscriminator(**recipe.discriminator)
        self.fakes = torch.empty(0)

    @property
    def players(self) -> list[Player]:
        """Generator, then discriminator, which sees the images of the generator's last turn."""
        players = [Player(self.networks, self.generator_losses)]
        if self.weights.need_discriminator:
            decays = self.recipe.discriminator_decays
            players.append(Player(self.discriminator, self.discriminator_losses, decays))
        return players

    def generator_losses(self, batch: Batch, seen: int) -> dict[str, Tensor]:
        """Weighted terms of one batch of `PhotographSamples`."""
        real, vectors, weights = batch["images"], batch["vectors"], self.weights
        count = len(real)
        style, terms = self._style(real, vectors, batch["style"])
        tokens = self.generator.tokens(vectors, batch["noise"], batch["mask_ratio"], self.recipe.mask.low, style)
        images = self.generator.decode(tokens, vectors, style).float()
        fake = images[:count]
        if weights.pixel:
            terms["pixel"] = weights.pixel * F.mse_loss(fake, real)
        if weights.ssim:
            terms["ssim"] = weights.ssim * (1.0 - ssim(fake * 0.5 + 0.5, real * 0.5 + 0.5).mean())
        if weights.token:
            target = self.generator.feature_map(vectors[:count])[1].detach()
            terms["token"] = weights.token * F.mse_loss(tokens[:count].float(), target.float())
        terms |= self._seen_by_the_embedder(images, real, vectors, batch["disturbance"])
        if weights.landmarks and self.landmarks is not None:
            with torch.no_grad():
                target = self.landmarks(real)
            terms["landmarks"] = weights.landmarks * (self.landmarks(fake) - target).square().mean()
        if weights.need_discriminator and seen >= self.recipe.adversarial_from:
            terms |= self._adversarial(images, count, terms)
        self.fakes = images.detach()
        return terms

    def discriminator_losses(self, batch: Batch, seen: int) -> dict[str, Tensor]:
        """The discriminator's loss on the photographs and on the generator's images of the same turn."""
        if seen < self.recipe.adversarial_from:
            return {}
        return self.discriminator.losses(batch["images"], self.fakes, seen)

    def _style(self, real: Tensor, vectors: Tensor, noise: Tensor) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Codes for all vectors: encoded from the photographs, standard normal for sampled people."""
        encoder = self.networks.style_encoder
        if encoder is None:
            return None, {}
        mean, log_variance = encoder(real, vectors[: len(real)])
        encoded = mean + (0.5 * log_variance).exp() * noise[: len(real)]
        style = torch.cat([encoded, noise[len(real) :]])
        if not self.weights.style:
            return style, {}
        return style, {"style": self.weights.style * kl_divergence(mean, log_variance).mean()}

    def _seen_by_the_embedder(
        self, images: Tensor, real: Tensor, vectors: Tensor, disturbance: Tensor
    ) -> dict[str, Tensor]:
        weights, count = self.weights, len(real)
        terms = {}
        if weights.perceptual and self.perceptual is not None:
            terms["perceptual"] = weights.perceptual * self.perceptual(images[:count], real).mean()
        own_features = bool(weights.perceptual) and self.perceptual is None
        if not (weights.identity or weights.prior_identity or own_features):
            return terms
        maps = self.view.maps(disturbed(images, disturbance) if self.recipe.disturb else images)
        distance = self.view.identity_distance(maps, vectors)
        if weights.identity:
            terms["identity"] = weights.identity * distance[:count].mean()
        if weights.prior_identity and len(images) > count:
            terms["prior_identity"] = weights.prior_identity * distance[count:].mean()
        if own_features:
            with torch.no_grad():
                real_maps = self.view.maps(disturbed(real, disturbance[:count]) if self.recipe.disturb else real)
            ours = [feature_map[:count] for feature_map in maps]
            terms["perceptual"] = weights.perceptual * feature_distance(ours, real_maps).mean()
        return terms

    def _adversarial(self, images: Tensor, count: int, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        unconvinced = self.discriminator.unconvinced(images)
        loss = unconvinced[:count].mean()
        factor: float | Tensor = 1.0
        if self.recipe.adaptive:
            compared = [terms[name] for name in ("pixel", "ssim", "perceptual") if name in terms]
            factor = adaptive_weight(torch.stack(compared).sum(), loss, self.generator.im_decoder.conv_out.weight)
        found = {}
        if self.weights.adversarial:
            found["adversarial"] = self.weights.adversarial * factor * loss
        if self.weights.prior_adversarial and len(images) > count:
            found["prior_adversarial"] = self.weights.prior_adversarial * factor * unconvinced[count:].mean()
        return found
