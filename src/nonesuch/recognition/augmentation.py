"""Augmentation of face images on tensors, each image by its own draws.

Mirror, crop, low resolution and photometric changes after AdaFace's augmenter (arXiv 2204.00964), with milder ranges of
our own, the crop resized to the full image instead of pasted on black; then random erasing (arXiv 1708.04896).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nonesuch.core.devices import sent
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_SIZE
from nonesuch.core.rand_augment import DRAWS_EACH, MOST_OPERATIONS, rand_augmented

_RAND_AUGMENT = 16  # the first of its draws
AUGMENTATION_DRAWS = _RAND_AUGMENT + DRAWS_EACH * MOST_OPERATIONS
_LEAST_CROP = 0.75  # side of the crop, as a share of the image's
_SIZES = (24, 32, 40, 56, 72, 88)  # of the intermediate image, in pixels: few, so that images can be grouped
_JITTER = 0.4
_ERASED = (0.02, 0.33)  # share of the area
_ASPECT = 3.3  # of the erased rectangle, at most


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """The share of the images that is changed in each way.

    Attributes:
        mirror, crop, low_resolution, photometric, erase: shares in 0..1.
        rand_augment: number N of operations and magnitude M of RandAugment, on all images; see
            `nonesuch.core.rand_augment`.

    Raises:
        NonesuchError: N or M is out of range.
    """

    mirror: float = 0.5
    crop: float = 0.0
    low_resolution: float = 0.0
    photometric: float = 0.0
    erase: float = 0.0
    rand_augment: tuple[int, float] = (0, 0.0)

    def __post_init__(self) -> None:
        operations, magnitude = self.rand_augment
        if not (0 <= operations <= MOST_OPERATIONS and 0.0 <= magnitude <= 30.0):
            raise NonesuchError(
                f"RandAugment({operations}, {magnitude}): at most {MOST_OPERATIONS} operations, 0 to 30"
            )

    def apply(self, images: Tensor, draws: Tensor) -> Tensor:
        """Changed copies of images.

        Args:
            images: (B, 3, 112, 112) in [-1, 1].
            draws: (B, AUGMENTATION_DRAWS) in [0, 1); equal draws change equally. In main memory, so that it is known
                without waiting for a device how many images each change is for.

        Returns:
            (B, 3, 112, 112) in [-1, 1].
        """
        mirrored = sent(draws[:, 0] < self.mirror, images.device)
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        changes = (
            (self.crop, 1, _cropped),
            (self.low_resolution, 5, _coarse),
            (self.photometric, 7, _recoloured),
            (self.erase, 11, _erased),
        )
        for share, at, change in changes:
            rows = torch.nonzero(draws[:, at] < share)[:, 0]
            if len(rows):
                there = sent(rows, images.device)
                images[there] = change(images[there], draws[rows, at + 1 :])
        return rand_augmented(images, draws[:, _RAND_AUGMENT:], *self.rand_augment)


# Each takes images and their draws in main memory, and uses the first few draws.


def _cropped(images: Tensor, draws: Tensor) -> Tensor:
    draws = sent(draws, images.device)
    side = _LEAST_CROP + (1.0 - _LEAST_CROP) * draws[:, 0]
    right, down = ((2.0 * draws[:, at] - 1.0) * (1.0 - side) for at in (1, 2))
    zero = torch.zeros_like(side)
    frame = torch.stack([side, zero, right, zero, side, down], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(frame, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _coarse(images: Tensor, draws: Tensor) -> Tensor:
    size_of = (draws[:, 0] * len(_SIZES)).long()
    result = torch.empty_like(images)
    for number, size in enumerate(_SIZES):
        rows = torch.nonzero(size_of == number)[:, 0]
        if len(rows):
            there = sent(rows, images.device)
            small = F.interpolate(images[there], size=(size, size), mode="bilinear", antialias=True)
            result[there] = F.interpolate(small, size=images.shape[-2:], mode="bilinear", align_corners=False)
    return result


def _recoloured(images: Tensor, draws: Tensor) -> Tensor:
    draws = sent(draws, images.device)
    brightness, contrast, saturation = (
        (1.0 + _JITTER * (2.0 * draws[:, at] - 1.0))[:, None, None, None] for at in range(3)
    )
    light = (images + 1.0) * brightness
    mean = light.mean((1, 2, 3), keepdim=True)
    light = mean + (light - mean) * contrast
    grey = light.mean(1, keepdim=True)
    return (grey + (light - grey) * saturation - 1.0).clamp(-1.0, 1.0)


def _erased(images: Tensor, draws: Tensor) -> Tensor:
    draws = sent(draws, images.device)
    area = _ERASED[0] + (_ERASED[1] - _ERASED[0]) * draws[:, 0]
    aspect = _ASPECT ** (2.0 * draws[:, 1] - 1.0)
    high, wide = ((area * aspect).sqrt().clamp(max=1.0), (area / aspect).sqrt().clamp(max=1.0))
    top, left = draws[:, 2] * (1.0 - high), draws[:, 3] * (1.0 - wide)
    at = (torch.arange(CROP_SIZE, device=images.device) + 0.5) / CROP_SIZE
    rows = (at >= top[:, None]) & (at < (top + high)[:, None])
    columns = (at >= left[:, None]) & (at < (left + wide)[:, None])
    hidden = rows[:, :, None] & columns[:, None, :]
    return images.masked_fill(hidden[:, None], 0.0)
