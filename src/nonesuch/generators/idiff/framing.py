"""Aligned 112x112 crops <-> the square images of a first stage, which may be larger and show more."""

from collections.abc import Sequence

from torch import Tensor

from nonesuch.core.images import CROP_SIZE
from nonesuch.core.warp import warp_affine


def to_crops(images: Tensor, frame: Sequence[float] = ()) -> Tensor:
    """(B, 3, S, S) images of a first stage -> (B, 3, 112, 112) aligned crops; differentiable.

    Args:
        images: any range.
        frame: left, top, side in pixels of the square that becomes the crop; empty for the whole image.
    """
    if not frame and images.shape[2] == CROP_SIZE:
        return images
    left, top, side = frame or (0.0, 0.0, float(images.shape[2]))
    return _warped(images, (left, top), CROP_SIZE / side, CROP_SIZE)


def from_crops(crops: Tensor, side: int) -> Tensor:
    """(B, 3, 112, 112) aligned crops -> (B, 3, side, side) images that show the same."""
    return crops if side == CROP_SIZE else _warped(crops, (0.0, 0.0), side / CROP_SIZE, side)


def _warped(images: Tensor, corner: tuple[float, float], scale: float, size: int) -> Tensor:
    # Pixel centres are at integers: the frame's first pixel is half of an output pixel inside the frame.
    right, down = ((-offset + 0.5) * scale - 0.5 for offset in corner)
    matrix = images.new_tensor([[scale, 0.0, right], [0.0, scale, down]])
    return warp_affine(images, matrix.expand(len(images), 2, 3), size)
