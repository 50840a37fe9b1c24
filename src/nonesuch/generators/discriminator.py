"""The published discriminator of adversarial training, and its losses (Vec2Face, arXiv 2409.02979, section 3.2)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SLOPE = 0.1


class _Stage(nn.Module):
    """Halves the resolution: convolution 4x4 / 2, leaky ReLU, GroupNorm(8), a residual 3x3 convolution."""

    def __init__(self, in_width: int, width: int) -> None:
        super().__init__()
        groups = min(8, width // 16)  # narrower groups are slow on a CPU; published widths have 8
        self.down = nn.Conv2d(in_width, width, 4, 2, 1)
        self.norm = nn.GroupNorm(groups, width)
        self.residual_norm = nn.GroupNorm(groups, width)
        self.residual = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(F.leaky_relu(self.down(x), _SLOPE))
        return x + self.residual(F.leaky_relu(self.residual_norm(x), _SLOPE))


class PatchDiscriminator(nn.Module):
    """(B, 3, 112, 112) images in [-1, 1] -> (B, 1, 11, 11) scores of patches, high for real.

    Args:
        stem: channels of the three first convolutions, with kernels 3, 7 and 15 (published: 32, 16, 16).
        stages: channels of the stages behind them (published: 128, 256, 512).
    """

    def __init__(self, stem: Sequence[int] = (32, 16, 16), stages: Sequence[int] = (128, 256, 512)) -> None:
        super().__init__()
        self.stem = nn.ModuleList(
            nn.Conv2d(3, width, kernel, padding=kernel // 2) for width, kernel in zip(stem, (3, 7, 15), strict=True)
        )
        widths = [sum(stem), *stages]
        self.stages = nn.Sequential(*(_Stage(a, b) for a, b in pairwise(widths)))
        self.head = nn.Sequential(
            nn.Conv2d(widths[-1], widths[-1], 1), nn.LeakyReLU(_SLOPE), nn.Conv2d(widths[-1], 1, 4)
        )

    def forward(self, images: Tensor) -> Tensor:
        x = torch.cat([convolution(images) for convolution in self.stem], dim=1)
        return self.head(self.stages(F.leaky_relu(x, _SLOPE)))

    def unconvinced(self, fakes: Tensor) -> Tensor:
        """What a generator minimises, per image (B,): -D(g), a mean over patches."""
        return -self(fakes).float().mean((1, 2, 3))

    def losses(self, real: Tensor, fakes: Tensor, seen: int) -> dict[str, Tensor]:
        """What it minimises itself, least squares: 0.5 * (mean (D(x) - 1)^2 + mean D(g)^2), however many were seen."""
        scores = self(torch.cat([real, fakes])).float()
        count = len(real)
        return {"discriminator": 0.5 * ((scores[:count] - 1.0).square().mean() + scores[count:].square().mean())}


def adaptive_weight(reconstruction: Tensor, adversarial: Tensor, last_layer: Tensor, factor: float = 0.8) -> Tensor:
    """factor * |grad reconstruction| / (|grad adversarial| + 1e-4), at the generator's last layer (VQGAN, equation 7).

    The published code computes it behind a condition that is never true, so that its weight is in effect 1.
    """
    first, second = (
        torch.autograd.grad(loss, last_layer, retain_graph=True)[0].norm() for loss in (reconstruction, adversarial)
    )
    return (factor * first / (second + 1e-4)).clamp(0.0, 1e4).detach()
