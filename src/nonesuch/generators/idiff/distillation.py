"""Training a U-Net to draw in one step what its teacher draws in several.

Source: the teacher's own pairs of noise and latent are the lesson (arXiv 2101.02388, section 3); a discriminator sees
to it that what one step cannot tell is drawn sharply all the same (arXiv 2311.17042).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.core.augmentation import DRAWS, disturbed
from nonesuch.core.seeding import Stream, derive_seed, normal, uniform
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.crops import Crops
from nonesuch.generators.band_discriminator import BandDiscriminator
from nonesuch.generators.diffusion.schedule import TIMES
from nonesuch.generators.generator import from_grey_levels
from nonesuch.generators.idiff.framing import to_crops
from nonesuch.generators.idiff.network import LatentDiffusion, style_apart
from nonesuch.generators.losses import EmbedderView
from nonesuch.loop.runs import CountedRecipe
from nonesuch.loop.trainer import Batch, Player

Shortfall = Callable[[list[Tensor], Tensor], Tensor]

_HUBER = 0.03  # distance of latents from which on it counts by itself instead of squared (arXiv 2310.14189)
_COARSE = 8  # pixels a side over which images are averaged before they are compared


@dataclass(frozen=True, kw_only=True)
class DistillationLosses:
    """Weights of the loss terms; 0 leaves a term out.

    Attributes:
        latent: pseudo-Huber distance of the latent from the teacher's.
        pixel: mean squared difference of the image, an eighth as wide, from the teacher's.
        identity: 1 - cosine between the image's embedding and the vector.
        steady: how far the image falls short of the gender and age that its vector tells, which a run adds.
        adversarial: what the discriminator misses, see `BandDiscriminator.unconvinced`.
    """

    latent: float = 1.0
    pixel: float = 2.0
    identity: float = 0.5
    steady: float = 0.6
    adversarial: float = 0.1


@dataclass(frozen=True, kw_only=True)
class DistillationRecipe(CountedRecipe):
    """How a U-Net is distilled.

    Attributes:
        losses: weights of the terms.
        pairs: how many pairs of noise and latent the teacher draws.
        teacher: how it samples, as `with_sampler` takes it.
        decoded_from: images after which latents are decoded, and all terms but the first join.
        discriminator: arguments of `BandDiscriminator`.
    """

    losses: DistillationLosses = field(default_factory=DistillationLosses)
    pairs: int
    teacher: str
    decoded_from: int
    discriminator: dict[str, Any] = field(default_factory=dict)


def pair_seed(number: int, seed: int) -> int:
    """The seed of a pair's person and noise."""
    return derive_seed(seed, number, int(Stream.DIFFUSION))


class PairSamples:
    """The teacher's pairs, with photographs beside them for the discriminator; any pair goes with any photograph.

    Args:
        crops: of photographs.
        latents: (N, C, H, W) the teacher's, in parts.
        draw: maps a pair's seed to the raw vector (D,) that its latent shows.
        styles: (K, C * H * W) directions of noise that are a style code, see `LatentDiffusion.style_units`.
        seed: of the pairs.
    """

    def __init__(
        self,
        crops: Crops,
        latents: Sequence[NDArray[np.float16]],
        draw: Callable[[int], NDArray[np.float32]],
        styles: NDArray[np.float64],
        seed: int,
    ) -> None:
        self.crops, self.latents, self.draw, self.styles, self.seed = crops, latents, draw, styles, seed
        self._ends = np.cumsum([len(part) for part in latents])

    def __len__(self) -> int:
        return len(self.crops)

    def load(self, indices: NDArray[np.int64], seeds: list[int]) -> Batch:
        """images (B, 3, 112, 112) in [-1, 1]; latents and noise (B, C, H, W); style (B, K); vectors (B, D), raw;
        disturbance (B, 7) in [0, 1)."""
        numbers = [int(uniform(seed, Stream.OTHER, 1)[0] * self._ends[-1]) for seed in seeds]
        pairs = [pair_seed(number, self.seed) for number in numbers]
        latents = np.stack([self._latent(number) for number in numbers]).astype(np.float32)
        drawn = np.stack([normal(pair, Stream.DIFFUSION, latents[0].size) for pair in pairs]).astype(np.float32)
        noise, style = style_apart(drawn, self.styles)
        disturbance = np.stack([uniform(seed, Stream.DISTURBANCE, DRAWS) for seed in seeds])
        return {
            "images": from_grey_levels(self.crops.read(indices)),
            "latents": torch.from_numpy(latents),
            "noise": torch.from_numpy(noise.reshape(latents.shape)),
            "style": torch.from_numpy(style),
            "vectors": torch.from_numpy(np.stack([self.draw(pair) for pair in pairs])).float(),
            "disturbance": torch.from_numpy(disturbance).float(),
        }

    def _latent(self, number: int) -> NDArray[np.float16]:
        part = int(np.searchsorted(self._ends, number, side="right"))
        return self.latents[part][number - self._ends[part]]


class DistillationTask:
    """A U-Net that is asked once, at the noisiest time, and a discriminator as the second player.

    The first stage stays as it is: a decoder that learns too was found to give up variety and to fall into patterns.

    Args:
        network: a U-Net with the teacher's weights, and a first stage whose decoder may be a better one.
        embedder: frozen; made the vectors, and judges identity.
        recipe: loss weights, when images are decoded.
        latent_scale: the teacher's; its latents are multiplied by it.

    Attributes:
        shortfall: tells the term `steady` from the embedder's feature maps of images and their vectors, per image
            (B,); None leaves that out.

    Raises:
        NonesuchError: the embedder's feature maps cannot be read.
    """

    def __init__(
        self, network: LatentDiffusion, embedder: Embedder, recipe: DistillationRecipe, latent_scale: float
    ) -> None:
        self.network, self.recipe, self.latent_scale = network, recipe, latent_scale
        self.view = EmbedderView(embedder)
        self.discriminator = BandDiscriminator(**recipe.discriminator)
        network.first_stage.requires_grad_(False)
        self.shortfall: Shortfall | None = None
        self.fakes = torch.empty(0)

    @property
    def players(self) -> list[Player]:
        """The generator, then the discriminator, which sees the images of their last turn."""
        return [Player(self.network, self.losses), Player(self.discriminator, self.discriminator_losses)]

    def losses(self, batch: Batch, seen: int) -> dict[str, Tensor]:
        """Weighted terms of one batch of `PairSamples`."""
        weights, noise = self.recipe.losses, self.network.with_style(batch["noise"], batch["style"])
        times = noise.new_full((len(noise),), TIMES - 1)
        # The noisiest time has next to no signal: the clean latent is the velocity, its sign turned.
        clean = -self.network.unet(noise, times, F.normalize(batch["vectors"])).float()
        squared = (clean - batch["latents"]).square().mean((1, 2, 3))
        terms = {"latent": weights.latent * ((squared + _HUBER**2).sqrt() - _HUBER).mean()}
        if seen < self.recipe.decoded_from:
            return terms
        images = self._decoded(clean)
        with torch.no_grad():
            shown = self._decoded(batch["latents"])
        terms["pixel"] = weights.pixel * F.mse_loss(F.avg_pool2d(images, _COARSE), F.avg_pool2d(shown, _COARSE))
        maps = self.view.maps(disturbed(images, batch["disturbance"]))
        terms["identity"] = weights.identity * self.view.identity_distance(maps, batch["vectors"]).mean()
        if self.shortfall is not None:
            terms["steady"] = weights.steady * self.shortfall(maps, batch["vectors"]).mean()
        terms["adversarial"] = weights.adversarial * self.discriminator.unconvinced(images).mean()
        self.fakes = images.detach()
        return terms

    def discriminator_losses(self, batch: Batch, seen: int) -> dict[str, Tensor]:
        """The discriminator's terms on the photographs and on the images of the same turn."""
        if seen < self.recipe.decoded_from:
            return {}
        return self.discriminator.losses(batch["images"], self.fakes, seen)

    def _decoded(self, latents: Tensor) -> Tensor:
        return to_crops(self.network.first_stage.decode(latents / self.latent_scale).float())
