"""Mirrored, slightly moved and recoloured copies of images, each by draws that belong to its sample."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

DRAWS = 7  # numbers that describe one disturbance
_TURN, _SCALE, _SHIFT = math.radians(4.0), 0.04, 0.05  # shift in half image sides
_CONTRAST, _BRIGHTNESS = 0.15, 0.1


def mirrored(draws: Tensor) -> Tensor:
    """Which images `disturbed` mirrors: (B, 7) draws -> (B,) bool."""
    return draws[:, 0] < 0.5


def disturbed(images: Tensor, draws: Tensor) -> Tensor:
    """Mirrored, slightly moved and recoloured copies of images; differentiable.

    Args:
        images: (B, 3, H, W) in [-1, 1].
        draws: (B, 7) in [0, 1); equal draws disturb equally.

    Returns:
        (B, 3, H, W).
    """
    mirror = torch.where(mirrored(draws), -1.0, 1.0)
    turn, scale, right, down, contrast, brightness = (2.0 * draws[:, 1:] - 1.0).unbind(1)
    turn, scale = turn * _TURN, 1.0 + scale * _SCALE
    cosine, sine = scale * turn.cos(), scale * turn.sin()
    rows = [cosine * mirror, -sine, right * _SHIFT, sine * mirror, cosine, down * _SHIFT]
    grid = F.affine_grid(torch.stack(rows, dim=1).view(-1, 2, 3), list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return moved * (1.0 + contrast * _CONTRAST)[:, None, None, None] + (brightness * _BRIGHTNESS)[:, None, None, None]
