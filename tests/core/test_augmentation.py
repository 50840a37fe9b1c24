"""What one disturbance does to an image, by its draws."""

import math

import pytest
import torch

from nonesuch.core.augmentation import DRAWS, disturbed, jittered, mirrored

SIDE = 81
NOTHING = (0.9, *[0.5] * (DRAWS - 1))  # every change is in the middle of its range


def _spot(right: float, down: float) -> torch.Tensor:
    """A bright spot at a place, in half image sides from the middle."""
    places = torch.linspace(-1, 1, SIDE) * (SIDE - 1) / SIDE
    rows, columns = torch.exp(-200 * (places - down) ** 2), torch.exp(-200 * (places - right) ** 2)
    return (rows[:, None] * columns).expand(1, 3, SIDE, SIDE).clone()


def _place(image: torch.Tensor) -> tuple[float, float]:
    places = torch.linspace(-1, 1, SIDE) * (SIDE - 1) / SIDE
    level = image[0, 0] / image[0, 0].sum()
    return float((level.sum(0) * places).sum()), float((level.sum(1) * places).sum())


def _with(**changes: float) -> torch.Tensor:
    names = ("mirror", "turn", "scale", "right", "down", "contrast", "brightness")
    return torch.tensor([[changes.get(name, value) for name, value in zip(names, NOTHING, strict=True)]])


def test_draws_in_the_middle_change_nothing() -> None:
    images = torch.rand(2, 3, 16, 16)
    assert torch.allclose(disturbed(images, _with().repeat(2, 1)), images, atol=1e-5)


def test_half_of_the_draws_mirror() -> None:
    images = torch.rand(2, 3, 16, 16)
    draws = torch.cat([_with(mirror=0.49), _with(mirror=0.5)])
    assert mirrored(draws).tolist() == [True, False]
    assert torch.allclose(disturbed(images, draws), torch.stack([images[0].flip(2), images[1]]), atol=1e-5)


def test_contrast_and_brightness() -> None:
    images = torch.full((4, 3, 8, 8), 0.5)
    draws = torch.cat([_with(contrast=0.0), _with(contrast=1.0), _with(brightness=0.0), _with(brightness=1.0)])
    assert disturbed(images, draws)[:, 1, 3, 3].tolist() == pytest.approx([0.425, 0.575, 0.4, 0.6])


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_moves(end: float) -> None:
    """Where a spot goes at the ends of the ranges: 4 degrees, 4%, a twentieth of half the side."""
    sign = 2 * end - 1
    turn, scale = math.radians(4) * sign, 1 + 0.04 * sign
    at = (0.4, -0.2)
    assert _place(disturbed(_spot(*at), _with(right=end))) == pytest.approx((at[0] - 0.05 * sign, at[1]), abs=2e-3)
    assert _place(disturbed(_spot(*at), _with(down=end))) == pytest.approx((at[0], at[1] - 0.05 * sign), abs=2e-3)
    assert _place(disturbed(_spot(*at), _with(scale=end))) == pytest.approx((at[0] / scale, at[1] / scale), abs=2e-3)
    turned = complex(*at) * complex(math.cos(turn), -math.sin(turn))
    assert _place(disturbed(_spot(*at), _with(turn=end))) == pytest.approx((turned.real, turned.imag), abs=2e-3)
    # The turned image is mirrored as a whole.
    both = disturbed(_spot(*at), _with(turn=end, mirror=0.0))
    assert _place(both) == pytest.approx((-turned.real, turned.imag), abs=2e-3)


def test_jittered_leaves_images_alone_at_probability_0() -> None:
    images = torch.rand(4, 3, 20, 16) * 2.0 - 1.0
    torch.testing.assert_close(jittered(images, torch.tensor(0.0)), images, rtol=0.0, atol=0.0)


def test_jittered_moves_by_whole_pixels_and_recolours_evenly() -> None:
    """Each copy is its image moved by at most two pixels, mirrored or not, up to one contrast and one brightness."""
    torch.manual_seed(3)
    images = torch.rand(16, 1, 20, 20) * 2.0 - 1.0
    copies = jittered(images, torch.tensor(1.0))
    kinds = set()
    for image, copy in zip(images[:, 0], copies[:, 0], strict=True):
        inner = copy[4:-4, 4:-4].flatten()
        correlations = {}
        for down in range(-2, 3):
            for right in range(-2, 3):
                for mirror in (False, True):
                    source = image.flip(1) if mirror else image
                    moved = torch.roll(source, (down, right), (0, 1))[4:-4, 4:-4].flatten()
                    correlations[down, right, mirror] = float(torch.corrcoef(torch.stack([inner, moved]))[0, 1])
        best = max(correlations, key=lambda key: correlations[key])
        assert correlations[best] == pytest.approx(1.0, abs=1e-4)
        kinds.add(best)
    assert len({kind[:2] for kind in kinds}) > 5
    assert {kind[2] for kind in kinds} == {False, True}
