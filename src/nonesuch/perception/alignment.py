"""From landmarks to the aligned 112x112 crop that embedders take."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_SIZE, Pixels
from nonesuch.core.warp import warp_affine

# Left eye, right eye, nose, left and right corner of the mouth, as the image shows them, at 112x112 (ArcFace).
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)

_LEAST, _MOST = 1e-3, 1e6  # pixels that landmarks span


def usable(landmarks: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Whether (..., N, 2) landmarks in pixels are numbers and not all at one place: (...,)."""
    with np.errstate(invalid="ignore", over="ignore"):
        span = np.ptp(landmarks, axis=-2).max(-1)
    return np.isfinite(landmarks).all((-2, -1)) & (span > _LEAST) & (span < _MOST)


def similarity_transform(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least-squares similarity (rotation, scale, shift; no reflection) between point sets (Umeyama, 1991).

    Args:
        source, target: (N, 2) corresponding points.

    Returns:
        (2, 3) matrix M with target ~ M[:, :2] @ source + M[:, 2].

    Raises:
        NonesuchError: the source's points are all at one place, or not finite.
    """
    if not usable(source):
        raise NonesuchError("its landmarks are all at one place, or no numbers")
    source_mean, target_mean = source.mean(0), target.mean(0)
    covariance = (target - target_mean).T @ (source - source_mean) / len(source)
    left, singular, right = np.linalg.svd(covariance)
    signs = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    scale = (singular * signs).sum() / (source - source_mean).var(0).sum()
    linear = scale * (left * signs) @ right
    return np.column_stack([linear, target_mean - linear @ source_mean])


def align(image: Pixels, landmarks: NDArray[np.float64]) -> Pixels:
    """Warp a photograph so that its landmarks meet the template.

    A photograph that is much larger than the crop is first reduced by averaging, so that nothing aliases.

    Args:
        image: (H, W, 3) uint8 RGB.
        landmarks: (5, 2) x and y in pixels, pixel centres at integers.

    Returns:
        (112, 112, 3) uint8 RGB; outside the photograph its border is replicated.

    Raises:
        NonesuchError: the landmarks are all at one place, or no numbers.
    """
    matrix = similarity_transform(landmarks, TEMPLATE)
    factor = int(1.0 / np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if factor > 1:
        image = np.array(Image.fromarray(image).reduce(factor))
        matrix = similarity_transform((landmarks + 0.5) / factor - 0.5, TEMPLATE)
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
    crop = warp_affine(pixels, torch.from_numpy(matrix), CROP_SIZE)[0].permute(1, 2, 0)
    return crop.round().to(torch.uint8).numpy()
