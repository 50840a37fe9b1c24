"""An embedder: a network together with the card that says how its input is prepared."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from msgspec import Meta
from numpy.typing import NDArray
from torch import Tensor, nn

from nonesuch.core import files
from nonesuch.core.arguments import AT_LEAST_1, checked
from nonesuch.core.devices import autocast, channels_last
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_SIZE, Pixels
from nonesuch.core.warp import warp_affine
from nonesuch.core.weights import Card, Cosine, Width

_RATE = r"^(1|0?\.\d+|\d(\.\d+)?[eE]-\d{1,3})$"  # a false match rate as text


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How an aligned 112x112 RGB crop becomes the network's input: warp, colour order, (x - mean) / std.

    Attributes:
        size: side of the network's input; crops are resized to it unless there is a chip.
        colour: "rgb" or "bgr".
        mean, std: in 0..255, one number, or one per channel in the network's order.
        chip: affine map (2x3) from crop to input coordinates where the network has its own alignment.
    """

    size: Annotated[int, Meta(ge=1, le=1024)] = CROP_SIZE
    colour: str = "rgb"
    mean: float | list[float] = 127.5
    std: float | list[float] = 127.5
    chip: list[list[float]] | None = None

    def __post_init__(self) -> None:
        if self.colour not in ("rgb", "bgr"):
            raise NonesuchError(f"colour {self.colour!r}: it must be rgb or bgr")
        if (
            self.size < 1
            or not np.all(np.isfinite([*np.ravel(self.mean), *np.ravel(self.std)]))
            or np.any(np.equal(self.std, 0))
        ):
            raise NonesuchError("size must be at least 1, mean and std finite, std not 0")
        if np.size(self.mean) not in (1, 3) or np.size(self.std) not in (1, 3):
            raise NonesuchError("mean and std are one number, or one per channel")
        if self.chip is not None and np.shape(self.chip) != (2, 3):
            raise NonesuchError("chip is a 2x3 matrix")

    def apply(self, pixels: Tensor) -> Tensor:
        """(B, 3, 112, 112) RGB in 0..255, floating point -> the network's input; differentiable."""
        if self.chip is not None:
            pixels = warp_affine(pixels, torch.tensor(self.chip, dtype=torch.float64), self.size)
        elif self.size != CROP_SIZE:
            pixels = F.interpolate(pixels, size=(self.size, self.size), mode="bilinear", antialias=True)
        if self.colour == "bgr":
            pixels = pixels.flip(1)
        mean, std = (torch.tensor(value, device=pixels.device).view(-1, 1, 1) for value in (self.mean, self.std))
        return (pixels - mean) / std


@dataclass(frozen=True, kw_only=True)
class EmbedderCard(Card):
    """The card of an embedder.

    Attributes:
        embedding_dim: width of the embedding.
        preprocessing: keyword arguments of `Preprocessing`.
        thresholds: cosine threshold by FMR, such as {"1e-4": 0.541}, measured on real faces.
        adapter_rank: rank of the low-rank adapters of the architecture's layers (`nonesuch.embedders.adapters`); 0
            where there are none.
    """

    kind: ClassVar[str] = "embedder"

    embedding_dim: Width
    preprocessing: dict[str, object] = field(default_factory=dict)
    thresholds: dict[Annotated[str, Meta(pattern=_RATE)], Cosine] = field(default_factory=dict)
    adapter_rank: Annotated[int, Meta(ge=0)] = 0

    def threshold(self, fmr: float) -> float:
        """The cosine at a false match rate.

        Raises:
            NonesuchError: the card holds no threshold for that rate.
        """
        if (cosine := self.known_threshold(fmr)) is not None:
            return cosine
        known = ", ".join(self.thresholds) or "none"
        raise NonesuchError(f"no threshold of {self.name} is known at FMR {fmr:g} (known: {known}); give a cosine")

    def known_threshold(self, fmr: float) -> float | None:
        """The cosine at a false match rate, None if the card holds none."""
        return next((cosine for rate, cosine in self.thresholds.items() if abs(float(rate) / fmr - 1.0) < 1e-6), None)


class Network(Protocol):
    """The network of an embedder: prepared float32 input (B, 3, size, size) -> raw embeddings (B, D)."""

    def __call__(self, prepared: Tensor, /) -> Tensor: ...


@runtime_checkable
class FeatureNetwork(Protocol):
    """An embedder's network whose feature maps can be read on the way to the embedding."""

    def feature_maps(self, x: Tensor) -> list[Tensor]: ...

    def embed_features(self, last_map: Tensor) -> Tensor: ...


def check_crops(crops: Pixels | Tensor, wanted_by: str) -> None:
    """Raises NonesuchError unless the crops are (N, 112, 112, 3) uint8."""
    stacked = torch.as_tensor(crops)
    if stacked.dtype != torch.uint8 or stacked.ndim != 4 or stacked.shape[1:] != (CROP_SIZE, CROP_SIZE, 3):
        raise NonesuchError(
            f"{wanted_by} takes (N, 112, 112, 3) uint8 RGB crops, not {tuple(stacked.shape)} {stacked.dtype}; "
            "align photographs first"
        )


class Embedder:
    """Faces -> raw (un-normalised) embeddings.

    Attributes:
        card: name, hash, preprocessing, thresholds.
        network: the torch module, or the ONNX session behind the same call.
    """

    def __init__(
        self, card: EmbedderCard, network: Network, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        self.card = card
        self.network = network
        self.device = device
        self.dtype = dtype
        try:
            self.preprocessing = files.typed(card.preprocessing, Preprocessing, "preprocessing")
        except NonesuchError as error:
            raise NonesuchError(f"card of {card.name}: bad preprocessing ({error})") from error

    @property
    def name(self) -> str:
        """The name of the weights."""
        return self.card.name

    def pixels_to_embeddings(self, pixels: Tensor) -> Tensor:
        """(B, 3, 112, 112) RGB in 0..255 on the embedder's device -> (B, D); differentiable for torch networks."""
        with autocast(self.device, self.dtype):
            return self.network(self.preprocessing.apply(pixels)).float()

    @checked(batch=AT_LEAST_1)
    def embed(self, crops: Pixels | Tensor, batch: int = 64) -> NDArray[np.float32]:
        """Embed aligned crops.

        Args:
            crops: (N, 112, 112, 3) uint8 RGB.
            batch: crops per forward pass.

        Returns:
            (N, D) float32 raw embeddings.

        Raises:
            NonesuchError: the crops have another shape or type, or `batch` is below 1.
        """
        check_crops(crops, self.name)
        stacked = torch.as_tensor(crops)
        result = np.empty((len(stacked), self.card.embedding_dim), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(stacked), batch):
                part = stacked[start : start + batch].to(self.device).permute(0, 3, 1, 2).float()
                found = self.pixels_to_embeddings(part).cpu().numpy()
                if found.shape != (len(part), self.card.embedding_dim):
                    raise NonesuchError(
                        f"{self.name} gave {found.shape} for {len(part)} crops, its card says width "
                        f"{self.card.embedding_dim}; correct the card"
                    )
                result[start : start + batch] = found
        return result

    __call__ = embed


def feature_network(embedder: Embedder) -> FeatureNetwork:
    """The embedder's network, if its feature maps can be read; raises NonesuchError if not."""
    if isinstance(embedder.network, FeatureNetwork):
        return embedder.network
    raise NonesuchError(f"{embedder.name}: its feature maps cannot be read; take mobilefacenet")


def freeze(network: nn.Module, device: torch.device) -> nn.Module:
    """A network for inference: on its device, in channels_last, without parameter gradients."""
    return channels_last(network.eval().requires_grad_(False).to(device))
