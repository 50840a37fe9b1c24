"""What the pixels of a crop say by themselves: sharpness, brightness, contrast, clipped ends, side of the light.

All measures are of luminance, 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), in 0..255. A measure of a crop depends on
that crop alone, to the last bit.
"""

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.images import Pixels
from nonesuch.embedders.embedder import check_crops

VERSION = "pixels 1"  # increased when a measure changes, so that kept values are measured again
NAMES = ("sharpness", "brightness", "contrast", "clipped", "light")
_AT_ONCE = 8  # crops, whose planes then stay in a core's cache
_ROWS, _LEFT, _RIGHT = slice(20, 100), slice(20, 56), slice(56, 92)  # the face on the ArcFace template


def measures(crops: Pixels) -> dict[str, NDArray[np.float32]]:
    """Measure aligned crops.

    Args:
        crops: (N, 112, 112, 3) uint8 RGB.

    Returns:
        (N,) float32 by the names of `NAMES`:
        sharpness: variance of the 4-neighbour Laplacian (Pech-Pacheco et al., ICPR 2000), from 0; noise raises it too.
        brightness: mean luminance, 0..255.
        contrast: deviation of luminance, 0..127.5.
        clipped: share of pixels whose luminance is below 1 or above 254, the black ground of an alignment included.
        light: mean luminance of the face's left half of the picture minus the right half, -255..255.

    Raises:
        NonesuchError: the crops have another shape or type.
    """
    check_crops(crops, "a measure of pixels")
    found = {name: np.empty(len(crops), dtype=np.float32) for name in NAMES}
    for start in range(0, len(crops), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        grey = luminance(crops[rows])
        laplacian = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1]
        laplacian += grey[:, 1:-1, :-2]
        laplacian += grey[:, 1:-1, 2:]
        laplacian -= 4 * grey[:, 1:-1, 1:-1]
        found["sharpness"][rows] = laplacian.var((1, 2))
        found["brightness"][rows] = grey.mean((1, 2))
        found["contrast"][rows] = grey.std((1, 2))
        found["clipped"][rows] = ((grey < 1) | (grey > 254)).mean((1, 2))
        found["light"][rows] = grey[:, _ROWS, _LEFT].mean((1, 2)) - grey[:, _ROWS, _RIGHT].mean((1, 2))
    return found


def luminance(crops: Pixels) -> NDArray[np.float32]:
    """(N, H, W, 3) uint8 RGB -> (N, H, W) in 0..255."""
    # Whole thousandths are exact in float32, in whatever order they are summed.
    return crops.astype(np.float32) @ np.array([299, 587, 114], dtype=np.float32) / np.float32(1000)
