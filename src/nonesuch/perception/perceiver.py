"""Aligned crops -> pose, age, gender, ethnicity, attributes, quality; differentiable with respect to the pixels."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.core.arguments import AT_LEAST_1, checked
from nonesuch.core.devices import autocast
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_SIZE, Pixels
from nonesuch.core.weights import Card
from nonesuch.embedders.embedder import Embedder, check_crops, feature_network
from nonesuch.perception.attributes import AGES, ATTRIBUTES, ETHNICITIES, AttributeHeads, Perceived, windowed

COLUMNS = ("yaw", "pitch", "age", "gender", "gender_p", "ethnicity", "quality", *ATTRIBUTES)


@dataclass(frozen=True, kw_only=True)
class PerceiverCard(Card):
    """The card of perception heads.

    Attributes:
        embedder, embedder_sha256: the embedder whose feature maps the heads read.
        quality_norms: the embedding norms that stand for quality 0, 1, ... 100, ascending: the percentiles of
            real photographs.
    """

    kind: ClassVar[str] = "perceiver"

    embedder: str
    embedder_sha256: str
    quality_norms: list[float]

    def __post_init__(self) -> None:
        if len(self.quality_norms) < 2 or not np.all(np.diff(self.quality_norms) > 0):
            raise NonesuchError(f"card of {self.name}: quality_norms must be two or more ascending numbers")


class Perceiver:
    """Heads, and the embedder whose feature maps they read.

    Attributes:
        card: name, hash, what was measured.
    """

    def __init__(self, card: PerceiverCard, heads: AttributeHeads, embedder: Embedder) -> None:
        self.card, self.heads, self.embedder = card, heads, embedder
        self._features = feature_network(embedder)
        self._norms = torch.tensor(card.quality_norms, device=embedder.device)

    def look(self, pixels: Tensor, window: bool = True) -> tuple[Perceived, Tensor]:
        """Everything at once, differentiable.

        Args:
            pixels: (B, 3, 112, 112) RGB in 0..255, floating point, on the embedder's device.
            window: whether to give age, gender and ethnicity, which need a second pass; NaN if not.

        Returns:
            What the faces show, and their raw embeddings (B, D), which hold identity and quality.

        Raises:
            NonesuchError: the pixels have another shape, or are whole numbers.
        """
        if pixels.shape[1:] != (3, CROP_SIZE, CROP_SIZE) or not pixels.is_floating_point():
            raise NonesuchError(
                f"{self.card.name} looks at (B, 3, {CROP_SIZE}, {CROP_SIZE}) floating-point pixels in 0..255, not at "
                f"{tuple(pixels.shape)} {pixels.dtype}"
            )
        with autocast(self.embedder.device, self.embedder.dtype):
            whole = self._features.feature_maps(self.embedder.preprocessing.apply(pixels))
            embeddings = self._features.embed_features(whole[-1]).float()
            pose, attributes = self.heads.of_whole(whole[1:])
            if not window:
                return Perceived(pose, *_unseen(pixels), attributes), embeddings
            inside = self._features.feature_maps(self.embedder.preprocessing.apply(windowed(pixels)))
            return Perceived(pose, *self.heads.of_window(inside[1:]), attributes), embeddings

    def quality(self, embeddings: Tensor) -> Tensor:
        """Quality 0..100 of raw embeddings (B, D): the share of real photographs with a smaller norm, in percent.

        The embedding's norm as quality: MagFace (arXiv 2103.06627). It is linear between the card's percentiles, and 0
        and 100 beyond them. The gradient continues beyond, so that any face can be made better.
        """
        norms = embeddings.norm(dim=1)
        above = torch.searchsorted(self._norms, norms.detach()).clamp(1, len(self._norms) - 1)
        low, high = self._norms[above - 1], self._norms[above]
        found = (above - 1 + (norms - low) / (high - low)) * (100.0 / (len(self._norms) - 1))
        return found + (found.clamp(0.0, 100.0) - found).detach()

    @checked(batch=AT_LEAST_1)
    def perceive(self, crops: Pixels, batch: int = 64) -> dict[str, NDArray[Any]]:
        """Columns of a table, one row per crop.

        Args:
            crops: (N, 112, 112, 3) uint8 RGB, aligned.
            batch: crops per forward pass.

        Returns:
            `COLUMNS`, (N,) each, float32 or str. Yaw and pitch are in degrees (positive: nose right of the eyes'
            midpoint; looking up), age in years, quality in 0..100. gender is "male" or "female", gender_p the
            probability of female. Then ethnicity, and the probability of each attribute.

        Raises:
            NonesuchError: the crops have another shape or type, or `batch` is below 1.
        """
        check_crops(crops, self.card.name)
        parts: list[dict[str, NDArray[Any]]] = []
        with torch.inference_mode():
            for start in range(0, max(len(crops), 1), batch):
                part = torch.from_numpy(crops[start : start + batch]).to(self.embedder.device)
                seen, embeddings = self.look(part.permute(0, 3, 1, 2).float())
                parts.append(_columns(seen, self.quality(embeddings)))
        return {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}


def _unseen(pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """NaN in place of age, gender and ethnicity logits."""
    nothing = pixels.new_full((len(pixels), AGES + 1 + len(ETHNICITIES)), torch.nan)
    return nothing[:, :AGES], nothing[:, AGES], nothing[:, AGES + 1 :]


def _columns(seen: Perceived, quality: Tensor) -> dict[str, NDArray[Any]]:
    female = seen.gender.sigmoid().cpu().numpy()
    attributes = seen.attributes.sigmoid().cpu().numpy()
    return {
        "yaw": seen.pose[:, 0].cpu().numpy(),
        "pitch": seen.pose[:, 1].cpu().numpy(),
        "age": seen.years.cpu().numpy(),
        "gender": np.where(female >= 0.5, "female", "male"),
        "gender_p": female,
        "ethnicity": np.array(ETHNICITIES)[seen.ethnicity.argmax(1).cpu().numpy()],
        "quality": quality.cpu().numpy(),
        **{name: attributes[:, number] for number, name in enumerate(ATTRIBUTES)},
    }
