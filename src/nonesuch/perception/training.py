"""Training the perception heads on labelled photographs; the embedder below them stays as it is."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.core.augmentation import DRAWS, disturbed, mirrored
from nonesuch.core.seeding import Stream, uniform
from nonesuch.embedders.embedder import Embedder, feature_network
from nonesuch.loop.runs import CountedRecipe
from nonesuch.loop.trainer import Batch, Player
from nonesuch.perception.attributes import AGES, GREY, AttributeHeads, windowed
from nonesuch.perception.labels import LabelledPhotographs

_AGE_SPREAD = 3.0  # years: how wide a label counts
_DEGREES, _YEARS = 10.0, 10.0  # an error that counts as 1


@dataclass(frozen=True, kw_only=True)
class PerceiverRecipe(CountedRecipe):
    """How heads are trained."""


class LabelledSamples:
    """Labelled photographs as batches."""

    def __init__(self, labelled: LabelledPhotographs) -> None:
        self.labelled = labelled

    def __len__(self) -> int:
        return len(self.labelled.photographs)

    def load(self, indices: NDArray[np.int64], seeds: list[int]) -> Batch:
        """images (B, 3, 112, 112) in [-1, 1], channels last, grey where a photograph has no real pixels; pose (B, 2),
        face (B, 3), attributes (B, 40) as in `LabelledPhotographs`; disturbance (B, 7) in [0, 1).
        """
        part = self.labelled.chosen(indices)
        pixels = np.stack([photograph.read_crop() for photograph in part.photographs])
        rows = np.arange(pixels.shape[1])
        top, left, bottom, right = (part.valid[:, side, None] for side in range(4))
        real = ((rows >= top) & (rows < bottom))[:, :, None] & ((rows >= left) & (rows < right))[:, None, :]
        images = torch.from_numpy(np.where(real[..., None], pixels, GREY).astype(np.float32))
        draws = np.stack([uniform(seed, Stream.DISTURBANCE, DRAWS) for seed in seeds])
        return {
            "images": images.permute(0, 3, 1, 2) / 127.5 - 1.0,
            "pose": torch.from_numpy(part.pose),
            "face": torch.from_numpy(part.face),
            "attributes": torch.from_numpy(part.attributes),
            "disturbance": torch.from_numpy(draws).float(),
        }


class PerceiverTask:
    """The heads and their losses; a loss counts the images that have its label.

    Args:
        heads: the heads to train.
        embedder: frozen; its feature maps are read.

    Raises:
        NonesuchError: the embedder's feature maps cannot be read.
    """

    def __init__(self, heads: AttributeHeads, embedder: Embedder) -> None:
        self.heads, self.embedder = heads, embedder
        self.features = feature_network(embedder)

    @property
    def players(self) -> list[Player]:
        """The heads alone."""
        return [Player(self.heads, self.losses)]

    def losses(self, batch: Batch, seen: int) -> dict[str, Tensor]:
        """Loss terms of one batch of `LabelledSamples`, on disturbed copies of its images."""
        draws = batch["disturbance"]
        pixels = (disturbed(batch["images"], draws) + 1.0) * 127.5
        pose = torch.where(
            mirrored(draws)[:, None], batch["pose"] * batch["pose"].new_tensor([-1.0, 1.0]), batch["pose"]
        )
        terms = self._of_whole(pixels, pose, batch["attributes"])
        known = batch["face"].isfinite().all(1)
        if known.any():
            terms |= self._of_window(pixels[known], batch["face"][known])
        return terms

    def _of_whole(self, pixels: Tensor, pose: Tensor, attributes: Tensor) -> dict[str, Tensor]:
        found_pose, found_attributes = self.heads.of_whole(self._maps(pixels))
        terms = {}
        known = pose.isfinite().all(1)
        if known.any():
            error = found_pose[known] / _DEGREES - pose[known] / _DEGREES
            terms["pose"] = F.smooth_l1_loss(error, torch.zeros_like(error), beta=0.3)
        known = attributes.isfinite().all(1)
        if known.any():
            terms["attributes"] = F.binary_cross_entropy_with_logits(found_attributes[known], attributes[known])
        return terms

    def _of_window(self, pixels: Tensor, face: Tensor) -> dict[str, Tensor]:
        age, gender, ethnicity = self.heads.of_window(self._maps(windowed(pixels)))
        years = torch.arange(AGES, device=age.device, dtype=torch.float32)
        likely = (-0.5 * ((years - face[:, :1]) / _AGE_SPREAD).square()).softmax(1)
        expected = (age.softmax(1) * years).sum(1)
        return {
            "age": 0.2 * F.cross_entropy(age, likely) + F.l1_loss(expected / _YEARS, face[:, 0] / _YEARS),
            "gender": F.binary_cross_entropy_with_logits(gender, face[:, 1]),
            "ethnicity": F.cross_entropy(ethnicity, face[:, 2].long()),
        }

    @torch.no_grad()
    def _maps(self, pixels: Tensor) -> list[Tensor]:
        return self.features.feature_maps(self.embedder.preprocessing.apply(pixels))[1:]
