"""Measures of pixels against scipy and scikit-image, and on crops that were blurred, darkened or lit from one side."""

import numpy as np
import pytest
import scipy.ndimage
import skimage.color

from nonesuch.audit.judges.pixels import NAMES, measures
from nonesuch.core.errors import NonesuchError


def _crops(count: int = 19) -> np.ndarray:
    """Smooth patterns with some noise, of all brightnesses."""
    draws = np.random.default_rng(0)
    smooth = scipy.ndimage.gaussian_filter(draws.normal(size=(count, 112, 112, 3)), (0, 5, 5, 0)) * 600
    noise = draws.normal(0, 4, smooth.shape)
    return (smooth + noise + draws.uniform(90, 160, (count, 1, 1, 1))).clip(0, 255).astype(np.uint8)


def test_by_scipy_and_scikit_image() -> None:
    crops = _crops()
    found = measures(crops)
    assert tuple(found) == NAMES
    for row, crop in enumerate(crops):
        grey = crop.astype(np.float64) @ [0.299, 0.587, 0.114]
        laplacian = scipy.ndimage.laplace(grey)[1:-1, 1:-1]
        assert found["sharpness"][row] == pytest.approx(laplacian.var(), rel=1e-5)
        assert found["brightness"][row] == pytest.approx(grey.mean(), rel=1e-5)
        assert found["contrast"][row] == pytest.approx(grey.std(), rel=1e-5)
        assert found["clipped"][row] == pytest.approx(((grey < 1) | (grey > 254)).mean(), abs=1e-6)
        lit = grey[20:100, 20:56].mean() - grey[20:100, 56:92].mean()
        assert found["light"][row] == pytest.approx(lit, abs=1e-3)
        # By another definition of luminance, BT.709, it is nearly the same.
        assert found["brightness"][row] == pytest.approx(255 * skimage.color.rgb2gray(crop).mean(), abs=6)


def test_a_crop_has_its_measures_whatever_its_neighbours() -> None:
    crops = _crops()
    together = measures(crops)
    for row in (0, 7, 18):
        alone = measures(crops[row : row + 1])
        assert all(alone[name][0] == together[name][row] for name in NAMES)
    assert all(len(values) == 0 for values in measures(crops[:0]).values())


def test_what_was_planted_is_found() -> None:
    crops = _crops()
    plain = measures(crops)
    blurred = measures(scipy.ndimage.gaussian_filter(crops, (0, 1, 1, 0)))
    assert (blurred["sharpness"] < 0.3 * plain["sharpness"]).all()
    assert np.allclose(blurred["brightness"], plain["brightness"], atol=1.2)  # two roundings downwards
    dark = measures(crops // 2)
    assert np.allclose(dark["brightness"], plain["brightness"] / 2, atol=0.6)
    assert np.allclose(dark["contrast"], plain["contrast"] / 2, atol=0.3)
    exposed = measures((3.0 * crops).clip(0, 255).astype(np.uint8))
    assert (exposed["clipped"] > plain["clipped"] + 0.2).all()
    slope = np.linspace(1, 0.5, 112)[:, None]
    from_the_left = measures((crops * slope).astype(np.uint8))
    mirrored = measures(np.ascontiguousarray((crops * slope).astype(np.uint8)[:, :, ::-1]))
    assert (from_the_left["light"] > plain["light"] + 5).all()
    assert (mirrored["light"] < -plain["light"] - 5).all()


def test_ends() -> None:
    crops = np.zeros((3, 112, 112, 3), dtype=np.uint8)
    crops[1] = 255
    crops[2, :, :56] = 255
    found = measures(crops)
    assert found["clipped"].tolist() == [1, 1, 1]
    assert found["brightness"].tolist() == [0, 255, 127.5]
    assert found["light"].tolist() == [0, 0, 255]
    assert found["contrast"].tolist() == [0, 0, 127.5]


def test_wrong_crops_are_refused() -> None:
    with pytest.raises(NonesuchError, match=r"takes \(N, 112, 112, 3\) uint8 RGB crops"):
        measures(_crops().astype(np.float32))
