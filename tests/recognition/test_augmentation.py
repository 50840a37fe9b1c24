"""Augmentation: each image by its own draws, and what each change does."""

import numpy as np
import pytest
import torch

from nonesuch.recognition.augmentation import AUGMENTATION_DRAWS, Augmentation

ALL = Augmentation(mirror=0.5, crop=0.5, low_resolution=0.5, photometric=0.5, erase=0.5)


def _some(count: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    smooth = torch.rand(count, 3, 7, 7, generator=generator) * 2 - 1
    images = torch.nn.functional.interpolate(smooth, size=(112, 112), mode="bilinear")
    return images, torch.rand(count, AUGMENTATION_DRAWS, generator=generator)


def test_an_image_is_changed_by_its_own_draws_alone() -> None:
    images, draws = _some()
    together = ALL.apply(images, draws)
    alone = torch.cat([ALL.apply(images[row : row + 1], draws[row : row + 1]) for row in range(len(images))])
    assert torch.allclose(together, alone, atol=1e-6)
    assert together.abs().max() <= 1.0 + 1e-6
    assert (together != images).flatten(1).any(1).sum() >= 10


def test_a_share_of_none_changes_nothing() -> None:
    images, draws = _some()
    assert torch.equal(Augmentation(mirror=0.0).apply(images, draws), images)


def test_mirroring() -> None:
    images, draws = _some()
    assert torch.equal(Augmentation(mirror=1.0).apply(images, draws), images.flip(3))


def test_a_crop_shows_a_part_larger() -> None:
    images, draws = _some(1)
    draws[0, 2:5] = torch.tensor([0.0, 0.5, 0.5])  # the smallest, in the middle
    cropped = Augmentation(mirror=0.0, crop=1.0).apply(images, draws)
    # Three quarters of the side: the new corner is what lay an eighth inside.
    assert torch.allclose(cropped[0, :, 0, 0], images[0, :, 14, 14], atol=0.05)
    assert torch.allclose(cropped[0, :, 56, 56], images[0, :, 56, 56], atol=0.05)


def test_low_resolution_takes_detail_away() -> None:
    images = torch.rand(6, 3, 112, 112) * 2 - 1
    _, draws = _some(6)
    coarse = Augmentation(mirror=0.0, low_resolution=1.0).apply(images, draws)
    assert (coarse.diff(dim=3).abs().mean((1, 2, 3)) < 0.5 * images.diff(dim=3).abs().mean((1, 2, 3))).all()
    assert torch.allclose(coarse.mean((1, 2, 3)), images.mean((1, 2, 3)), atol=0.02)


def test_erasing_hides_a_rectangle_of_the_stated_size() -> None:
    images = torch.ones(200, 3, 112, 112)
    _, draws = _some(200)
    erased = Augmentation(mirror=0.0, erase=1.0).apply(images, draws)
    hidden = (erased == 0.0).all(1).numpy()
    share = hidden.mean((1, 2))
    assert 0.015 < share.min() < 0.06
    assert 0.25 < share.max() <= 0.34
    for one in hidden[:20]:
        rows, columns = np.flatnonzero(one.any(1)), np.flatnonzero(one.any(0))
        assert one.sum() == len(rows) * len(columns)


@pytest.mark.parametrize("name", ["crop", "low_resolution", "photometric", "erase"])
def test_shares_are_kept(name: str) -> None:
    images, draws = _some(400)
    changed = Augmentation(mirror=0.0, **{name: 0.3}).apply(images, draws)
    share = float((changed != images).flatten(1).any(1).float().mean())
    assert 0.22 < share < 0.38
