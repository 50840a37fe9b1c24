"""Training the U-Net of a latent diffusion on the latents of photographs, each with its embedding as context.

Source: IDiff-Face (arXiv 2308.04995), section 3; the velocity is progressive distillation's (arXiv 2202.00512), leaving
identities out is classifier-free guidance's (arXiv 2207.12598).
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.core.augmentation import DRAWS, disturbed
from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import Stream, normal, uniform
from nonesuch.embedders.embedder import Embedder
from nonesuch.generators.diffusion.schedule import SCHEDULES, TIMES, Prediction, Schedule
from nonesuch.generators.idiff.framing import to_crops
from nonesuch.generators.idiff.network import LatentDiffusion
from nonesuch.generators.losses import EmbedderView
from nonesuch.loop.runs import CountedRecipe
from nonesuch.loop.trainer import Batch, Player

_LATEST = 0.85  # share of the times up to which a predicted clean latent shows a face
_AT_ONCE = 512  # latents read together


@dataclass(frozen=True, kw_only=True)
class DiffusionLosses:
    """Weights of the loss terms; 0 leaves a term out. The defaults are the published ones.

    Attributes:
        diffusion: mean squared error of what the U-Net predicts.
        identity: 1 - cosine between the embedding of the predicted clean image and the context, weighted by the share
            of signal; of a part of each batch.
    """

    diffusion: float = 1.0
    identity: float = 0.0


@dataclass(frozen=True, kw_only=True)
class DiffusionRecipe(CountedRecipe):
    """How a U-Net is trained. The defaults are the published ones.

    Attributes:
        losses: weights of the terms.
        prediction: "noise" or "velocity".
        schedule: a name of `SCHEDULES`.
        without_identity: share of the images whose context is left out, for guidance.
        identity_share: share of a batch that the identity term looks at.
        latent_scale: latent * scale is what is diffused; None for what gives the training latents unit variance.
        period: images of the first period of the learning rate, each later one twice as long; 0 for one fall to 0.
        weight_decay: see `TrainSettings`.
        sampling: keyword arguments of `Sampling`, for the card.

    Raises:
        NonesuchError: no term has a weight.
    """

    losses: DiffusionLosses = field(default_factory=DiffusionLosses)
    prediction: Prediction = "noise"
    schedule: Schedule = "linear"
    without_identity: float = 0.0
    identity_share: float = 0.25
    latent_scale: float | None = 1.0
    period: int = 0
    weight_decay: float = 0.0
    sampling: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (self.losses.diffusion or self.losses.identity):
            raise NonesuchError("--loss: nothing has a weight; give diffusion one")

    def settings_for(self, images: int) -> dict[str, Any]:
        """See `Recipe.settings_for`."""
        return {**super().settings_for(images), "period": self.period, "weight_decay": self.weight_decay}


class LatentSamples:
    """Latents of photographs and of their mirror images, with the photographs' vectors.

    Args:
        latents: (2 N, C, H, W): a photograph's at 2 i, its mirror image's at 2 i + 1.
        vectors: (N, D) raw embeddings of the photographs.
        latent_scale: what a latent is multiplied by.
        without_identity: share of the images whose context is left out.
    """

    def __init__(
        self,
        latents: NDArray[np.float16],
        vectors: NDArray[np.float32],
        latent_scale: float,
        without_identity: float,
    ) -> None:
        self.latents, self.latent_scale, self.without_identity = latents, latent_scale, without_identity
        self.contexts = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def __len__(self) -> int:
        return len(self.contexts)

    def load(self, indices: NDArray[np.int64], seeds: list[int]) -> Batch:
        """latents and noise (B, C, H, W); contexts (B, D), of length 1; known (B,) bool, whose context is not left out;
        times (B,) int64, one in each B-th part of all times; disturbance (B, 7) in [0, 1).
        """
        draws = np.stack([uniform(seed, Stream.DIFFUSION_TIME, 4) for seed in seeds])
        rows = 2 * indices + (draws[:, 0] < 0.5)
        clean = torch.from_numpy(self.latents[rows].astype(np.float32)) * self.latent_scale
        noise = np.stack([normal(seed, Stream.DIFFUSION, clean[0].numel()) for seed in seeds])
        # Even times vary less from batch to batch: the image whose draw is the k-th gets the k-th part of them.
        places = np.argsort(np.argsort(draws[:, 1], kind="stable"), kind="stable")
        times = (places + draws[:, 3]) / len(seeds) * TIMES
        disturbance = np.stack([uniform(seed, Stream.DISTURBANCE, DRAWS) for seed in seeds])
        return {
            "latents": clean,
            "noise": torch.from_numpy(noise).float().reshape(clean.shape),
            "contexts": torch.from_numpy(self.contexts[indices]),
            "known": torch.from_numpy(draws[:, 2] >= self.without_identity),
            "times": torch.from_numpy(np.minimum(times.astype(np.int64), TIMES - 1)),
            "disturbance": torch.from_numpy(disturbance).float(),
        }


def scale_to_unit(latents: NDArray[np.float16]) -> float:
    """What latents (N, ...) are multiplied by to have a standard deviation of 1; reads a file's part by part."""
    total = squares = 0.0
    for start in range(0, len(latents), _AT_ONCE):
        part = latents[start : start + _AT_ONCE].astype(np.float64)
        total, squares = total + float(part.sum()), squares + float(np.square(part).sum())
    mean = total / latents.size
    return float((squares / latents.size - mean**2) ** -0.5)


class DiffusionTask:
    """The U-Net of a latent diffusion; its first stage stays as it is.

    Args:
        network: both networks.
        embedder: frozen; made the contexts, and judges identity.
        recipe: loss weights, prediction, schedule.

    Attributes:
        latent_scale: what latents are multiplied by; the samples' own.

    Raises:
        NonesuchError: the embedder's feature maps cannot be read, but the identity term has a weight.
    """

    def __init__(self, network: LatentDiffusion, embedder: Embedder, recipe: DiffusionRecipe) -> None:
        self.network, self.recipe, self.latent_scale = network, recipe, 1.0
        self.view = EmbedderView(embedder) if recipe.losses.identity else None
        self.signal = torch.from_numpy(SCHEDULES[recipe.schedule]()).float()
        network.first_stage.eval().requires_grad_(False)

    @property
    def players(self) -> list[Player]:
        """The U-Net alone."""
        return [Player(self.network.unet, self.losses)]

    def losses(self, batch: Batch, seen: int) -> dict[str, Tensor]:
        """Weighted terms of one batch of `LatentSamples`."""
        weights, times = self.recipe.losses, batch["times"]
        signal = self.signal.to(times.device)[times][:, None, None, None]
        keep, blur = signal.sqrt(), (1.0 - signal).sqrt()
        noisy = keep * batch["latents"] + blur * batch["noise"]
        found = self.network.unet(noisy, times, batch["contexts"], batch["known"]).float()
        velocity = self.recipe.prediction == "velocity"
        target = keep * batch["noise"] - blur * batch["latents"] if velocity else batch["noise"]
        terms = {"diffusion": weights.diffusion * F.mse_loss(found, target)} if weights.diffusion else {}
        if self.view is None:
            return terms
        # As many rows always, those that count first: their number itself would have to be waited for.
        counts = batch["known"] & (times < _LATEST * TIMES)
        rows = torch.argsort((~counts).int(), stable=True)[: round(len(times) * self.recipe.identity_share)]
        if len(rows):
            clean = keep * noisy - blur * found if velocity else (noisy - blur * found) / keep
            part = {name: batch[name][rows] for name in ("contexts", "disturbance")}
            distance = self._distance(self.view, clean[rows], part)
            share = signal[rows, 0, 0, 0] * counts[rows]
            terms["identity"] = weights.identity * (share * distance).sum() / counts[rows].sum().clamp(min=1)
        return terms

    def _distance(self, view: EmbedderView, clean: Tensor, part: Batch) -> Tensor:
        images = to_crops(self.network.first_stage.decode(clean / self.latent_scale).float())
        return view.identity_distance(view.maps(disturbed(images, part["disturbance"])), part["contexts"])
