"""Image losses of generator training: SSIM and perceptual distances."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from nonesuch.core import weights
from nonesuch.core.errors import NonesuchError
from nonesuch.embedders.embedder import Embedder, feature_network

_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2
_WINDOW = 11


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity per image (Wang et al., 2004): Gaussian window 11, sigma 1.5, no padding.

    Args:
        a, b: (B, C, H, W) in [0, 1], at least 11 pixels a side.

    Returns:
        (B,) in [-1, 1], 1 for equal images.

    Raises:
        NonesuchError: the images differ in shape, or are smaller.
    """
    if a.shape != b.shape or a.ndim != 4 or min(a.shape[2:]) < _WINDOW:
        raise NonesuchError(
            f"SSIM compares (B, C, H, W) images of one shape, at least {_WINDOW} pixels a side, not {tuple(a.shape)} "
            f"and {tuple(b.shape)}"
        )
    blur_x, blur_y = (torch.from_numpy(_gaussian_matrix(side)).to(a) for side in (a.shape[3], a.shape[2]))
    maps = torch.stack([a, b, a * a, b * b, a * b])
    with torch.autocast(a.device.type, enabled=False):  # variances are differences of near-equal numbers
        mean_a, mean_b, square_a, square_b, product = (blur_y @ (maps @ blur_x.T)).unbind(0)
    variance_a, variance_b = square_a - mean_a**2, square_b - mean_b**2
    covariance = product - mean_a * mean_b
    similarity = ((2 * mean_a * mean_b + _SSIM_C1) * (2 * covariance + _SSIM_C2)) / (
        (mean_a**2 + mean_b**2 + _SSIM_C1) * (variance_a + variance_b + _SSIM_C2)
    )
    return similarity.mean((1, 2, 3))


@lru_cache(maxsize=8)  # of arrays: a tensor first made under inference_mode could not take part in training later
def _gaussian_matrix(side: int) -> NDArray[np.float32]:
    # A product with this banded matrix is far cheaper, forwards and backwards, than a convolution of one channel.
    axis = np.arange(_WINDOW) - _WINDOW // 2
    window = np.exp(-(axis**2) / (2 * 1.5**2))
    matrix = np.zeros((side - _WINDOW + 1, side))
    for row in range(len(matrix)):
        matrix[row, row : row + _WINDOW] = window / window.sum()
    return matrix.astype(np.float32)


def feature_distance(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Perceptual distance per image: squared differences of channel-normalised feature maps, averaged over positions,
    summed over layers (LPIPS, arXiv 1801.03924, equation 1, with all channel weights 1).

    Args:
        a, b: feature maps (B, C, H, W), layer by layer.

    Returns:
        (B,) non-negative.
    """
    return torch.stack([_unit_difference(x, y).sum(1).mean((1, 2)) for x, y in zip(a, b, strict=True)]).sum(0)


def _unit_difference(a: Tensor, b: Tensor) -> Tensor:
    a, b = (x.float() / (x.float().square().sum(1, keepdim=True) + 1e-10).sqrt() for x in (a, b))
    return (a - b).square()


class EmbedderView:
    """Images as a frozen embedder sees them.

    Args:
        embedder: the embedder.

    Raises:
        NonesuchError: its feature maps cannot be read.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._network, self._preprocessing = feature_network(embedder), embedder.preprocessing

    def maps(self, images: Tensor) -> list[Tensor]:
        """(B, 3, 112, 112) in [-1, 1] -> feature maps (B, C, H, W), layer by layer."""
        return self._network.feature_maps(self._preprocessing.apply((images + 1.0) * 127.5))

    def vectors(self, maps: list[Tensor]) -> Tensor:
        """The maps of `maps` -> raw embeddings (B, D), float32."""
        return self._network.embed_features(maps[-1]).float()

    def identity_distance(self, maps: list[Tensor], vectors: Tensor) -> Tensor:
        """1 - cosine between the embeddings of `maps` and vectors (B, D), per image (B,) in [0, 2]."""
        return 1.0 - F.cosine_similarity(self.vectors(maps), vectors)


class PerceptualDistance(Protocol):
    """A distance between image batches (B, 3, 112, 112) in [-1, 1], per image (B,)."""

    def __call__(self, a: Tensor, b: Tensor) -> Tensor: ...


# VGG16's convolutions before its fifth pooling: "M" is a 2x2 max-pool. LPIPS reads after the last ReLU of each stage.
_VGG16 = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512)


class Lpips(nn.Module):
    """LPIPS with VGG16 (arXiv 1801.03924), from weights that the user supplies.

    Tensor names: VGG16's as torchvision names them (`features.{i}.weight`), the channel weights as the authors'
    package does (`lin{k}.model.1.weight`).
    """

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 3
        for item in _VGG16:
            if isinstance(item, int):
                layers += [nn.Conv2d(width, item, 3, padding=1), nn.ReLU()]
                width = item
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        for index, channels in enumerate((64, 128, 256, 512, 512)):
            # The authors put a dropout before each of these, hence the name model.1.
            self.add_module(f"lin{index}", _ChannelWeights(channels))
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1), persistent=False)

    def _stages(self, images: Tensor) -> list[Tensor]:
        x = (images - self.shift) / self.scale
        stages = []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                stages.append(x)
            x = layer(x)
        return [*stages, x]

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        distances = [
            self.get_submodule(f"lin{index}")(_unit_difference(x, y)).mean((1, 2, 3))
            for index, (x, y) in enumerate(zip(self._stages(a), self._stages(b), strict=True))
        ]
        return torch.stack(distances).sum(0)


class _ChannelWeights(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Identity(), nn.Conv2d(channels, 1, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


def load_lpips(vgg: Path, linear: Path) -> Lpips:
    """LPIPS from VGG16's ImageNet weights and the authors' channel weights (`vgg.pth`).

    Raises:
        NonesuchError: a file is missing, or a tensor is missing or has another shape.
    """
    network = Lpips()
    tensors = {**weights.load_checkpoint(vgg), **weights.load_checkpoint(linear)}
    weights.load_into(network, tensors, f"{vgg} and {linear}")
    if any((network.get_parameter(f"lin{k}.model.1.weight") < 0).any() for k in range(5)):
        raise NonesuchError(f"{linear}: LPIPS channel weights are never negative; this is another file")
    return network
