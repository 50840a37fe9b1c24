"""BRISQUE: how unnatural a picture's local contrasts are; lower is better (Mittal, Moorthy, Bovik, IEEE TIP, 2012).

The 36 features are those of the authors' release: rounded luminance in 0..255, zeros beyond the border, products that
wrap around, MATLAB's bicubic halving. Scores need the release's regression, which is not ours to pass on. It was
learned from the photographs and ratings of the LIVE database, and the release's notice (use, change and pass on freely
with the notice kept and the paper cited) speaks of source files. Users take `allmodel` and `allrange` from
BRISQUE_release.zip of the LIVE laboratory (live.ece.utexas.edu/research/quality). Copies of these files from elsewhere
differ; scores compare only if they were made with the same pair of files.

The regression was learned from whole photographs of about 768x512 pixels. On crops of 112x112, scores rise with blur,
strong compression and strong noise. Light noise lowers them: on a soft crop it passes for detail. They do not compare
with scores of larger pictures.
"""

import math
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nonesuch.audit.judges.libsvm import Regression, read_regression
from nonesuch.audit.judges.pixels import luminance
from nonesuch.core.images import CROP_SIZE, Pixels
from nonesuch.embedders.embedder import check_crops

VERSION = "brisque 1"  # increased when a feature changes, so that kept values are measured again
FEATURES = 36
_DEVIATION, _REACH = 7 / 6, 3  # of the Gaussian window, 7x7
_SHIFTS = ((0, 1), (1, 0), (1, 1), (-1, 1))
_FLAT = 1e-9  # a coefficient that only rounding keeps from 0, where all luminances in the window are equal
_AT_ONCE = 4  # crops, whose planes then stay in a core's cache

Float64 = NDArray[np.float64]


def features(crops: Pixels) -> Float64:
    """The natural scene statistics of aligned crops.

    Args:
        crops: (N, 112, 112, 3) uint8 RGB.

    Returns:
        (N, 36) float64, 18 at full and 18 at half size: shape and variance of a generalised Gaussian fitted to the
        normalised luminances (equations 1 and 4); then for their products with the neighbour to the right, below,
        and on both diagonals: shape, mean, left and right variance of an asymmetric one (equations 7 to 15).
        NaN where a crop has no structure at all (a black one).

    Raises:
        NonesuchError: the crops have another shape or type.
    """
    check_crops(crops, "BRISQUE")
    found = np.empty((len(crops), FEATURES))
    for start in range(0, len(crops), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        grey = np.floor(luminance(crops[rows]) + np.float32(0.5)).astype(np.float64)
        found[rows, :18] = _statistics(grey)
        halving = _halving(CROP_SIZE)
        found[rows, 18:] = _statistics(halving @ grey @ halving.T)
    return found


def regression(model: Path, ranges: Path) -> Regression:
    """The published regression: `regression(...)(features(crops))` are scores of mostly 0 (best) to 100.

    Args:
        model, ranges: `allmodel` and `allrange`.

    Raises:
        NonesuchError: see `nonesuch.audit.judges.libsvm.read_regression`.
    """
    return read_regression(model, ranges, FEATURES)


def _statistics(grey: Float64) -> Float64:
    """(B, S, S) luminance -> (B, 18)."""
    blur = _blur(grey.shape[1])
    mean = blur @ grey @ blur.T
    deviation = np.sqrt(np.abs(blur @ (grey * grey) @ blur.T - mean * mean))
    normalised = (grey - mean) / (deviation + 1.0)
    normalised[np.abs(normalised) < _FLAT] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.square(normalised).mean((1, 2))
        shape = _shape(np.abs(normalised).mean((1, 2)) ** 2 / variance)[0]
        parts = [shape, variance]
        for shift in _SHIFTS:
            parts += _asymmetric(normalised * np.roll(normalised, shift, (1, 2)))
    return np.stack(parts, 1)


def _asymmetric(products: Float64) -> list[Float64]:
    """Shape, mean, left and right variance of each (B, S, S)."""
    squares = products * products
    right_ones, left_ones = products > 0, products < 0
    right = np.sqrt((squares * right_ones).sum((1, 2)) / right_ones.sum((1, 2)))
    left = np.sqrt((squares * left_ones).sum((1, 2)) / left_ones.sum((1, 2)))
    skew = left / right
    ratio = np.abs(products).mean((1, 2)) ** 2 / squares.mean((1, 2))
    shape, moment = _shape(ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2)
    # mean = (right - left) G(2/a) / G(1/a) sqrt(G(1/a) / G(3/a)), whose last factor is the root of the moments' ratio.
    return [shape, (right - left) * np.sqrt(moment), left**2, right**2]


def _shape(ratio: Float64) -> tuple[Float64, Float64]:
    """The shape of the Gaussian whose E|x|^2 / E x^2 is nearest, of 0.2 to 10 in steps of 0.001, and that ratio."""
    shapes, ratios = _moments()
    after = np.searchsorted(ratios, ratio).clip(1, len(ratios) - 1)  # ratios rise with the shape
    nearest = np.where(ratio - ratios[after - 1] <= ratios[after] - ratio, after - 1, after)
    unknown = np.isnan(ratio)
    return np.where(unknown, np.nan, shapes[nearest]), np.where(unknown, np.nan, ratios[nearest])


@cache
def _moments() -> tuple[Float64, Float64]:
    """Shapes a, and G(2/a)^2 / (G(1/a) G(3/a))."""
    shapes = np.arange(200, 10_001) / 1000
    return shapes, np.array([math.gamma(2 / a) ** 2 / (math.gamma(1 / a) * math.gamma(3 / a)) for a in shapes])


@cache
def _blur(size: int) -> Float64:
    """(S, S): the Gaussian along one axis as a matrix, with zeros beyond the border."""
    apart = np.arange(size)[:, None] - np.arange(size)
    window = np.exp(-(np.arange(-_REACH, _REACH + 1) ** 2) / (2 * _DEVIATION**2))
    return np.where(np.abs(apart) <= _REACH, np.exp(-(apart**2) / (2 * _DEVIATION**2)), 0.0) / window.sum()


@cache
def _halving(size: int) -> Float64:
    """(S / 2, S): MATLAB's imresize by one half along one axis, cubic (a = -0.5), widened, mirrored at the border."""
    weights = np.zeros((size // 2, size))
    for row in range(size // 2):
        places = np.arange(2 * row - 3, 2 * row + 5)
        far = np.abs(places - (2 * row + 0.5)) / 2
        near = 1.5 * far**3 - 2.5 * far**2 + 1
        cubic = np.where(far <= 1, near, -0.5 * far**3 + 2.5 * far**2 - 4 * far + 2)
        mirrored = np.where(places < 0, -1 - places, np.where(places >= size, 2 * size - 1 - places, places))
        np.add.at(weights[row], mirrored, cubic / cubic.sum())
    return weights
