"""What families of latent diffusions share: what an image draws, how its latent is sampled, what their cards say."""

import copy
from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nonesuch.core import seeding
from nonesuch.core.devices import autocast
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice
from nonesuch.core.seeding import Stream, derive_seed
from nonesuch.core.weights import Positive
from nonesuch.generators.diffusion.ddim import ddim
from nonesuch.generators.diffusion.ddpm import ddpm
from nonesuch.generators.diffusion.dpm_solver import dpm_solver
from nonesuch.generators.diffusion.lcm import lcm, lcm_visits
from nonesuch.generators.diffusion.sampling import parse_sampling, read_sampling
from nonesuch.generators.diffusion.schedule import (
    SCHEDULES,
    Prediction,
    Schedule,
    Visits,
    visits,
    visits_short_of_clean,
)
from nonesuch.generators.generator import OTHERS, Generator, GeneratorCard, Latent

Self = TypeVar("Self", bound="DiffusionGenerator")


@dataclass(frozen=True, kw_only=True)
class DiffusionCard(GeneratorCard):
    """The card of a latent diffusion.

    Attributes:
        prediction: what the U-Net gives, "noise" as published or "velocity" (arXiv 2202.00512).
        schedule: a name of `SCHEDULES`, the one it was trained with.
        sampling: keyword arguments of `Sampling`.
        latent_scale: latent * scale is what is diffused, about standard normal.
        learned_without_identity: whether training left identities out at times; guidance relies on that.
        distilled: whether the weights were distilled for few steps, which the sampler "lcm" relies on.
    """

    sigma_mix: str = "0:100"
    prediction: Prediction = "noise"
    schedule: Schedule = "linear"
    sampling: dict[str, Any] = field(default_factory=dict)
    latent_scale: Positive = 1.0
    learned_without_identity: bool = False
    distilled: bool = False


class DiffusionGenerator(Generator):
    """A latent diffusion with its card. Its fixed draws are `noise` (N, C, H, W), the first noise, `seed` (N,) int64,
    which fresh noise is drawn from, and `towards` (N, D) and `cosine` (N,), which move the identity.

    A family's network has `feature_dim` and `latent_shape`. The family says what the U-Net is told, how it is asked,
    and how latents become crops.

    Attributes:
        network: of the family.
        sampling: how latents are sampled; as the card says, or as `with_sampler` was told.
        nobody: whether images are of nobody in particular, whatever the vectors.

    Raises:
        NonesuchError: the card holds unusable settings, or another width of vectors than the network takes.
    """

    card: DiffusionCard
    nobody = False

    def __init__(
        self,
        card: DiffusionCard,
        network: Any,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.card, self.network, self.device, self.dtype = card, network, device, dtype
        self.sampling = read_sampling(card.sampling, f"card of {card.name}: bad sampling")
        if network.feature_dim != card.feature_dim:
            raise NonesuchError(
                f"card of {card.name}: feature_dim {card.feature_dim}, the network takes {network.feature_dim}"
            )
        self._signal = SCHEDULES[card.schedule]()
        self._tell_of_odd_settings()

    def _tell_of_odd_settings(self) -> None:
        name, sampling = self.card.name, self.sampling
        if sampling.guidance != 1.0 and not self.card.learned_without_identity:
            notice(
                f"{name}: guidance {sampling.guidance:g} drives away from images without an identity, which its "
                "training never saw; negative=0.5 drives away from another identity instead"
            )
        own = read_sampling(self.card.sampling, name)
        one_step = self.card.distilled and own.steps == 1
        if (sampling.sampler == "lcm") != self.card.distilled or (one_step and sampling.steps > 1):
            notice(
                f"{name}: was distilled for few steps; lcm,steps={own.steps},guidance=1 fits it, "
                f"{sampling.sampler},steps={sampling.steps} does not"
                if self.card.distilled
                else f"{name}: lcm needs weights distilled for it, which these are not; dpm,steps=25 fits them"
            )

    @property
    def sampler(self) -> str:
        """See `Generator.sampler`."""
        return str(self.sampling)

    def with_sampler(self: Self, text: str) -> Self:
        """See `Generator.with_sampler`."""
        other = copy.copy(self)
        other.sampling = parse_sampling(text, self.sampling)
        other._tell_of_odd_settings()
        return other

    @property
    def shows_identity(self) -> bool:
        """See `Generator.shows_identity`."""
        return not self.nobody

    def unconditional(self: Self) -> Self:
        """See `Generator.unconditional`; guidance, and what moves an identity, have no part in it."""
        if not self._knows_nobody:
            raise NonesuchError(
                f"{self.name}: its training saw no images without an identity; name an unconditional IDiff-Face, or "
                "one that was trained as idiff_small is"
            )
        other = copy.copy(self)
        other.sampling = replace(self.sampling, guidance=1.0, negative=0.0, least_cosine=1.0)
        other.nobody = True
        return other

    @property
    def _knows_nobody(self) -> bool:
        return self.card.learned_without_identity

    @property
    def passes(self) -> int:
        """See `Generator.passes`."""
        return self.sampling.steps * (2 if self.sampling.guidance != 1.0 or self.needs_others else 1)

    @property
    def needs_others(self) -> bool:
        """See `Generator.needs_others`."""
        return self.sampling.negative > 0.0

    def draw(self, seeds: NDArray[np.uint64], style_spread: float = 1.0) -> Latent:
        """See `Generator.draw`; there is a style code where the family takes one out of the noise."""
        count, size = len(seeds), int(np.prod(self.network.latent_shape))
        noise = np.array([seeding.normal(int(seed), Stream.DIFFUSION, size) for seed in seeds], dtype=np.float32)
        noise, style = self._style_apart(noise.reshape(count, size))
        width = self.card.feature_dim
        towards = np.array([seeding.normal(int(seed), Stream.CONTEXT, width) for seed in seeds], dtype=np.float32)
        shares = np.array([seeding.uniform(int(seed), Stream.CONTEXT_COSINE, 1)[0] for seed in seeds])
        cosine = 1.0 - (1.0 - self.sampling.least_cosine) * shares
        return Latent(
            torch.from_numpy(style * np.float32(style_spread)),
            {
                "noise": torch.from_numpy(noise.reshape(count, *self.network.latent_shape)),
                "seed": torch.from_numpy(np.asarray(seeds, dtype=np.uint64).view(np.int64).copy()),
                "towards": torch.from_numpy(towards.reshape(count, width)),
                "cosine": torch.from_numpy(cosine.astype(np.float32).reshape(count)),
            },
        )

    def forward(self, vectors: Tensor, latent: Latent) -> Tensor:
        """See `Generator.forward`."""
        with autocast(self.device, self.dtype):
            return self._crops(self.latents(vectors, latent) / self.card.latent_scale)

    def latents(self, vectors: Tensor, latent: Latent) -> Tensor:
        """What `forward` decodes: (B, C, H, W), times the card's latent_scale."""
        others = latent.fixed.get(OTHERS)
        with autocast(self.device, self.dtype):
            context = self._context_of_nobody(len(vectors))
            if not self.nobody:
                moved = _moved(F.normalize(vectors), latent.fixed["towards"], latent.fixed["cosine"])
                context = self._context(moved)
            away = None if others is None else self._context(F.normalize(others))
            if self.sampling.guidance != 1.0:
                away = self._context_of_nobody(len(vectors))
            return self._sample(
                context, away, self._first_noise(latent.fixed["noise"], latent.style), latent.fixed["seed"]
            )

    @abstractmethod
    def _context(self, identity: Tensor) -> Tensor:
        """(B, D) unit vectors -> what the U-Net is told of them, images first."""
        ...

    @abstractmethod
    def _context_of_nobody(self, count: int) -> Tensor | None:
        """What the U-Net is told of so many images without an identity."""
        ...

    def _style_apart(self, noise: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """First noise (N, C * H * W), standard normal -> what stays of it, and a style code (N, S), standard normal."""
        return noise, np.zeros((len(noise), 0), dtype=np.float32)

    def _first_noise(self, noise: Tensor, style: Tensor) -> Tensor:
        """What sampling begins with: noise (B, C, H, W) without a style code, and the code (B, S)."""
        return noise

    @abstractmethod
    def _predict(self, x: Tensor, times: Tensor, context: Tensor | None) -> Tensor:
        """(B, C, H, W) noisy latents, (B,) times, and a context -> what the U-Net predicts, same shape."""
        ...

    @abstractmethod
    def _crops(self, latents: Tensor) -> Tensor:
        """(B, C, H, W) clean latents -> (B, 3, 112, 112) RGB in 0..255."""
        ...

    def _visits(self) -> Visits:
        """The times that a sampler other than lcm visits."""
        spaced = visits_short_of_clean if self.sampling.sampler == "dpm" else visits
        return spaced(self._signal, self.sampling.steps)

    def _sample(self, context: Tensor | None, away: Tensor | None, noise: Tensor, seeds: Tensor) -> Tensor:
        of_images = seeds.cpu().numpy().view(np.uint64)

        def fresh(step: int) -> Tensor:
            size = int(np.prod(self.network.latent_shape))
            rows = [seeding.normal(derive_seed(int(seed), step), Stream.DIFFUSION_STEP, size) for seed in of_images]
            return torch.from_numpy(np.array(rows, dtype=np.float32)).to(noise).reshape(noise.shape)

        def denoise(x: Tensor, time: float) -> Tensor:
            return self._noise(x, time, context, away)

        if self.sampling.sampler == "lcm":
            return lcm(denoise, noise, lcm_visits(self._signal, self.sampling.steps), fresh)
        visited = self._visits()
        if self.sampling.sampler == "dpm":
            return dpm_solver(denoise, noise, visited)
        if self.sampling.sampler == "ddim":
            return ddim(denoise, noise, visited, fresh, self.sampling.eta)
        return ddpm(denoise, noise, visited, fresh, "beta" if self.sampling.sampler == "ddpm" else "posterior")

    def _noise(self, x: Tensor, time: float, context: Tensor | None, away: Tensor | None = None) -> Tensor:
        """The noise in x as the U-Net predicts it, guided where the sampling says so."""
        times = x.new_full((len(x),), time)
        predicted = self._pass(x, times, context)
        if self.sampling.guidance != 1.0:
            without = self._pass(x, times, away)
            predicted = without + self.sampling.guidance * (predicted - without)
        elif away is not None:
            other = self._pass(x, times, away)
            predicted = predicted + self.sampling.negative * (predicted - other)
        if self.card.prediction == "noise":
            return predicted
        signal = float(self._signal[int(time)])
        return signal**0.5 * predicted + (1.0 - signal) ** 0.5 * x

    def _pass(self, x: Tensor, times: Tensor, context: Tensor | None) -> Tensor:
        """One pass of the U-Net. Where a gradient will go back through it, it is passed again instead of kept."""
        if not torch.is_grad_enabled():
            return self._predict(x, times, context).float()
        found = checkpoint(self._predict, x, times, context, use_reentrant=False, preserve_rng_state=False)
        assert isinstance(found, Tensor)
        return found.float()


def _moved(context: Tensor, towards: Tensor, cosine: Tensor) -> Tensor:
    """Unit contexts moved along the part of `towards` that is perpendicular to them, to given cosines (IDperturb)."""
    across = F.normalize(towards - (towards * context).sum(1, keepdim=True) * context)
    cosine = cosine[:, None]
    return cosine * context + (1.0 - cosine.square()).clamp(min=0.0).sqrt() * across
