"""RandAugment's operations against Pillow's, and which of them are drawn."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from nonesuch.core.rand_augment import OPERATIONS, rand_augmented


def _images(count: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    smooth = torch.rand(count, 3, 9, 9, generator=generator) * 200 + 20
    large = torch.nn.functional.interpolate(smooth, size=(112, 112), mode="bicubic").clamp(0, 255)
    return (large + 10 * torch.randn(large.shape, generator=generator)).clamp(0, 255).round()


def _pillow(image: torch.Tensor) -> Image.Image:
    return Image.fromarray(image.permute(1, 2, 0).numpy().astype(np.uint8))


def _affine(*columns: float) -> Callable[[Image.Image], Image.Image]:
    """Pillow maps output to input pixels too, about the corner."""
    return lambda image: image.transform(image.size, Image.Transform.AFFINE, columns, Image.Resampling.BILINEAR)


def _about_centre(a: float, b: float, d: float, e: float) -> Callable[[Image.Image], Image.Image]:
    return _affine(a, b, 56 - 56 * a - 56 * b, d, e, 56 - 56 * d - 56 * e)


TURN = math.radians(30 * 0.6)
PILLOW: dict[str, Callable[[Image.Image], Image.Image]] = {
    "identity": lambda image: image,
    "shear x": _about_centre(1, 0.18, 0, 1),
    "shear y": _about_centre(1, 0, 0.18, 1),
    "shift x": _affine(1, 0, 150 / 331 * 0.6 * 112, 0, 1, 0),
    "shift y": _affine(1, 0, 0, 0, 1, 150 / 331 * 0.6 * 112),
    "rotate": _about_centre(math.cos(TURN), -math.sin(TURN), math.sin(TURN), math.cos(TURN)),
    "brightness": lambda image: ImageEnhance.Brightness(image).enhance(1.54),
    "colour": lambda image: ImageEnhance.Color(image).enhance(1.54),
    "contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.54),
    "sharpness": lambda image: ImageEnhance.Sharpness(image).enhance(1.54),
    "posterize": lambda image: ImageOps.posterize(image, 8 - 2),
    "solarize": lambda image: ImageOps.solarize(image, 102),
    "autocontrast": ImageOps.autocontrast,
    "equalize": ImageOps.equalize,
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_equal_pillows(name: str) -> None:
    images = _images()
    ours = OPERATIONS[name](images.clone(), torch.full((4,), 0.6)).clamp(0, 255)
    theirs = torch.stack(
        [torch.from_numpy(np.array(PILLOW[name](_pillow(image)))).permute(2, 0, 1).float() for image in images]
    )
    inside = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    difference = (ours[inside] - theirs[inside]).abs()
    # Pillow leaves a pixel with a neighbour outside black; elsewhere it rounds to levels, at times twice.
    assert difference.median() <= 1.0
    assert (difference > 2.0).float().mean() < 0.03
    if name != "identity":
        assert (ours - images).abs().mean() > 0.5


def test_operations_in_a_row_each_with_its_own_sign() -> None:
    images = _images(2) / 127.5 - 1.0
    names = list(OPERATIONS)
    draws = torch.zeros(2, 8)
    draws[0, 0], draws[0, 1] = (names.index("brightness") + 0.5) / 14, 0.0  # darker
    draws[0, 2], draws[0, 3] = (names.index("rotate") + 0.5) / 14, 0.9
    changed = rand_augmented(images, draws, 2, 18.0)
    assert torch.allclose(changed[1], images[1], atol=1e-5)  # twice the identity
    levels = (images[:1] + 1.0) * 127.5
    by_hand = OPERATIONS["rotate"](levels * (1 - 0.9 * 0.6), torch.tensor([0.6]))
    assert torch.allclose(changed[:1], by_hand / 127.5 - 1.0, atol=1e-4)


def test_even_images_are_left_as_they_are() -> None:
    even = torch.full((1, 3, 112, 112), 77.0)
    for name in ("autocontrast", "equalize"):
        assert torch.equal(OPERATIONS[name](even.clone(), torch.zeros(1)), even)
