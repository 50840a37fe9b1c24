"""What small FLIP sees: a frozen embedder's feature maps, brought to one grid."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from nonesuch.embedders.embedder import Embedder, feature_network

CHANNELS, SIDE = 896, 7


def grid(maps: Sequence[Tensor]) -> Tensor:
    """Maps (B, 64, 28, 28), (B, 128, 14, 14), (B, 128, 7, 7) of `MobileFaceNet.feature_maps` -> (B, 896, 7, 7).

    What lies within one of the 49 places is stacked in its channels, the finest map at half its resolution.
    """
    fine, middle, coarse = maps
    fine = F.pixel_unshuffle(F.avg_pool2d(fine, 2), 2)
    return torch.cat([fine, F.pixel_unshuffle(middle, 2), coarse], dim=1)


def embedder_maps(embedder: Embedder, pixels: Tensor) -> Tensor:
    """(B, 3, 112, 112) RGB in 0..255, floating point -> (B, 896, 7, 7) of a frozen embedder.

    Raises:
        NonesuchError: the embedder's feature maps cannot be read.
    """
    return grid(feature_network(embedder).feature_maps(embedder.preprocessing.apply(pixels))[1:])
