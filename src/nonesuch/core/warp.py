"""Differentiable affine warps of image batches."""

import torch
import torch.nn.functional as F
from torch import Tensor


def warp_affine(images: Tensor, matrices: Tensor, size: int) -> Tensor:
    """Warp images by affine maps, bilinear, border pixels replicated, pixel centres at integers.

    Args:
        images: (B, C, H, W), floating point.
        matrices: (B, 2, 3) or (2, 3), mapping input coordinates (x, y) to output coordinates.
        size: side of the square output.

    Returns:
        (B, C, size, size); gradients flow to the images.
    """
    height, width = images.shape[2:]
    matrices = matrices.to(images.device, torch.float64).expand(len(images), 2, 3)
    inverse = torch.linalg.inv(matrices[:, :, :2])
    axis = torch.arange(size, dtype=torch.float64, device=images.device)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    target = torch.stack([x, y], dim=-1).reshape(1, -1, 2) - matrices[:, None, :, 2]
    source = target @ inverse.transpose(1, 2)
    scale = torch.tensor([2.0 / max(width - 1, 1), 2.0 / max(height - 1, 1)], dtype=torch.float64, device=images.device)
    grid = (source * scale - 1.0).reshape(len(images), size, size, 2).to(images.dtype)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=True)
