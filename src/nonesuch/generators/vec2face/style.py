"""The encoder of style codes, for what a face embedding hardly holds of a photograph (pose, light, background)."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class StyleEncoder(nn.Module):
    """(B, 3, 112, 112) images in [-1, 1] and their (B, feature_dim) vectors -> mean and log-variance, (B, style_dim).

    A conditional variational autoencoder's encoder (Sohn et al., NeurIPS 2015); used in training only.
    """

    def __init__(self, feature_dim: int, style_dim: int, width: int = 32) -> None:
        super().__init__()
        widths = [3, width, 2 * width, 4 * width, 4 * width]
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in pairwise(widths))
        self.hidden = nn.Linear(4 * width * 7 * 7 + feature_dim, 256)
        self.out = nn.Linear(256, 2 * style_dim)

    def forward(self, images: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        x = images
        for convolution in self.convolutions:
            x = F.silu(convolution(x))
        hidden = F.silu(self.hidden(torch.cat([x.flatten(1), vectors.to(x.dtype)], dim=1)))
        mean, log_variance = self.out(hidden).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-8.0, 4.0)


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Per image (B,): KL divergence of the code's distribution from the standard normal, in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(1)
