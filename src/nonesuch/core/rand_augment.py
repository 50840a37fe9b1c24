"""RandAugment (arXiv 1909.13719) on tensors: some operations in a row, drawn for each image, all at one magnitude.

The fourteen operations and their ranges at magnitude 30 are the widely used ones. They are shear 0.3; shift 150/331 of
the side; rotation 30 degrees; brightness, colour, contrast and sharpness by a factor of 1 - 0.9 to 1 + 0.9; posterising
to 4 bits; solarising from level 0. Autocontrast, equalize and identity have no range. What comes from outside the frame
is black.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from nonesuch.core.devices import sent

MOST_OPERATIONS = 4
DRAWS_EACH = 2  # which operation, and its sign
_FULL = 30.0


def rand_augmented(
    images: Tensor, draws: Tensor, operations: int, magnitude: float, among: Sequence[str] = ()
) -> Tensor:
    """Changed copies of images.

    Args:
        images: (B, 3, H, W) in [-1, 1].
        draws: (B, at least DRAWS_EACH * operations) in [0, 1); in main memory, so that no device is waited for.
        operations: N, in a row, at most MOST_OPERATIONS.
        magnitude: M, 0..30.
        among: names of `OPERATIONS` that are drawn from; all where none is named.

    Returns:
        (B, 3, H, W) in [-1, 1].
    """
    if not operations:
        return images
    levels = (images + 1.0) * 127.5
    drawn = [OPERATIONS[name] for name in among or OPERATIONS]
    strength = magnitude / _FULL
    for number in range(operations):
        which = (draws[:, DRAWS_EACH * number] * len(drawn)).long()
        signed = torch.where(draws[:, DRAWS_EACH * number + 1] < 0.5, -strength, strength)
        for place, operation in enumerate(drawn):
            rows = torch.nonzero(which == place)[:, 0]
            if len(rows):
                there = sent(rows, images.device)
                levels[there] = operation(levels[there], sent(signed[rows], images.device)).clamp(0.0, 255.0)
    return levels / 127.5 - 1.0


# Each takes images (B, 3, H, W) in 0..255 and strengths (B,) in -1..1.


def _identity(images: Tensor, strength: Tensor) -> Tensor:
    return images


def _moved(images: Tensor, columns: tuple[Tensor | float, ...]) -> Tensor:
    """By an affine map of output places to input places, (x, y) in half sides."""
    entries = [
        torch.as_tensor(entry, dtype=images.dtype, device=images.device).expand(len(images)) for entry in columns
    ]
    grid = F.affine_grid(torch.stack(entries, dim=1).view(-1, 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _shear_x(images: Tensor, strength: Tensor) -> Tensor:
    return _moved(images, (1.0, 0.3 * strength, 0.0, 0.0, 1.0, 0.0))


def _shear_y(images: Tensor, strength: Tensor) -> Tensor:
    return _moved(images, (1.0, 0.0, 0.0, 0.3 * strength, 1.0, 0.0))


def _shift_x(images: Tensor, strength: Tensor) -> Tensor:
    return _moved(images, (1.0, 0.0, 2.0 * 150.0 / 331.0 * strength, 0.0, 1.0, 0.0))


def _shift_y(images: Tensor, strength: Tensor) -> Tensor:
    return _moved(images, (1.0, 0.0, 0.0, 0.0, 1.0, 2.0 * 150.0 / 331.0 * strength))


def _rotate(images: Tensor, strength: Tensor) -> Tensor:
    turn = math.radians(30.0) * strength
    return _moved(images, (turn.cos(), -turn.sin(), 0.0, turn.sin(), turn.cos(), 0.0))


def _blended(plain: Tensor, images: Tensor, strength: Tensor) -> Tensor:
    return plain + (images - plain) * (1.0 + 0.9 * strength)[:, None, None, None]


def _grey(images: Tensor) -> Tensor:
    weights = images.new_tensor([0.299, 0.587, 0.114])[:, None, None]
    return (images * weights).sum(1, keepdim=True)


def _brightness(images: Tensor, strength: Tensor) -> Tensor:
    return _blended(torch.zeros_like(images), images, strength)


def _colour(images: Tensor, strength: Tensor) -> Tensor:
    return _blended(_grey(images), images, strength)


def _contrast(images: Tensor, strength: Tensor) -> Tensor:
    return _blended(_grey(images).mean((1, 2, 3), keepdim=True), images, strength)


def _sharpness(images: Tensor, strength: Tensor) -> Tensor:
    kernel = images.new_tensor([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]]) / 13.0
    smooth = images.clone()  # the border stays as it is
    smooth[:, :, 1:-1, 1:-1] = F.conv2d(images, kernel.expand(3, 1, 3, 3), groups=3)
    return _blended(smooth, images, strength)


def _posterize(images: Tensor, strength: Tensor) -> Tensor:
    step = 2.0 ** (4.0 * strength.abs()).round()[:, None, None, None]
    return (images.round() / step).floor() * step


def _solarize(images: Tensor, strength: Tensor) -> Tensor:
    threshold = 255.0 * (1.0 - strength.abs())[:, None, None, None]
    return torch.where(images >= threshold, 255.0 - images, images)


def _autocontrast(images: Tensor, strength: Tensor) -> Tensor:
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    stretched = (images - low) * 255.0 / (high - low).clamp(min=1e-6)
    return torch.where(high > low, stretched, images)


def _equalize(images: Tensor, strength: Tensor) -> Tensor:
    levels = images.round().long().flatten(2)
    counts = torch.zeros(*levels.shape[:2], 256, dtype=torch.long, device=images.device)
    counts.scatter_add_(2, levels, torch.ones_like(levels))
    last = (counts * (counts.cumsum(2) == levels.shape[2])).amax(2, keepdim=True)  # how many have the highest level
    step = (levels.shape[2] - last) // 255
    before = counts.cumsum(2) - counts
    table = ((before + step // 2) // step.clamp(min=1)).clamp(0, 255)
    equal = table.gather(2, levels).view_as(images).to(images)
    return torch.where((step == 0)[..., None], images, equal)


OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "identity": _identity,
    "shear x": _shear_x,
    "shear y": _shear_y,
    "shift x": _shift_x,
    "shift y": _shift_y,
    "rotate": _rotate,
    "brightness": _brightness,
    "colour": _colour,
    "contrast": _contrast,
    "sharpness": _sharpness,
    "posterize": _posterize,
    "solarize": _solarize,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
}
