"""Mirrored, slightly moved and recoloured copies of images, each by draws that belong to its sample."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

DRAWS = 7  # numbers that describe one disturbance
_TURN, _SCALE, _SHIFT = math.radians(4.0), 0.04, 0.05  # shift in half image sides
_CONTRAST, _BRIGHTNESS = 0.15, 0.1
_JITTER_SHIFT, _JITTER_CONTRAST, _JITTER_BRIGHTNESS = 0.08, 0.5, 0.3  # share of a side, powers of 2, of [-1, 1]


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


def jittered(images: Tensor, probability: Tensor) -> Tensor:
    """Moved and recoloured copies that keep fine detail: whole pixels, mirrored; differentiable.

    Each of the changes befalls an image with the probability (arXiv 2006.06676, with arXiv 2006.10738's changes). Draws
    come from torch's own state, on the images' device.

    Args:
        images: (B, 3, H, W) in [-1, 1].
        probability: () in [0, 1].

    Returns:
        (B, 3, H, W).
    """
    batch, _, height, width = images.shape
    happens = torch.rand(5, batch, device=images.device) < probability
    drawn = 2.0 * torch.rand(5, batch, device=images.device) - 1.0
    most = max(round(_JITTER_SHIFT * height), 1)
    down, right = (torch.where(happens[i], drawn[i] * most, 0.0).round().long() for i in (0, 1))
    rows = (torch.arange(height, device=images.device) - down[:, None]).clamp(0, height - 1)
    columns = (torch.arange(width, device=images.device) - right[:, None]).clamp(0, width - 1)
    columns = torch.where((happens[2] & (drawn[2] < 0.0))[:, None], width - 1 - columns, columns)
    number = torch.arange(batch, device=images.device)[:, None, None]
    moved = images.permute(0, 2, 3, 1)[number, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    contrast = torch.where(happens[3], 2.0 ** (drawn[3] * _JITTER_CONTRAST), 1.0)
    brightness = torch.where(happens[4], drawn[4] * _JITTER_BRIGHTNESS, 0.0)
    return moved * contrast[:, None, None, None] + brightness[:, None, None, None]
