"""Crops of images that show one large face each, made differentiably: for generators whose images are larger."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.core.images import CROP_SIZE
from nonesuch.core.warp import warp_affine
from nonesuch.perception.alignment import TEMPLATE, similarity_transform
from nonesuch.perception.detection import Detector

LEAST_FACE = 0.25  # side of a face's box as a share of the image's, below which it is not the one that is meant
_FFHQ_SIDE = 512
# Where images framed like FFHQ show the five landmarks, as facexlib states it for images of 512 pixels.
_FFHQ = np.array(
    [
        [192.98138, 239.94708],
        [318.90277, 240.1936],
        [256.63416, 314.01935],
        [201.26117, 371.41043],
        [313.08905, 371.15118],
    ]
)


class ImageAligner:
    """Images framed like FFHQ -> aligned crops, by the landmarks of the largest face.

    Where no face is found that is at least a quarter as wide as the image, the mean landmarks of FFHQ stand for its
    own. An image's crop depends on that image alone. Gradients flow to the pixels, not to the landmarks.

    Args:
        detector: looks for the faces.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def __call__(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) float32 RGB in 0..255 -> (B, 3, 112, 112), the same."""
        with torch.autocast(images.device.type, enabled=False):
            return torch.cat([_warped(image[None], self._landmarks(image)) for image in images])

    def _landmarks(self, image: Tensor) -> NDArray[np.float64]:
        side = image.shape[2]
        pixels = image.detach().round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
        least = (LEAST_FACE * side) ** 2
        found = next((face for face in self._detector.detect(pixels) if face.area >= least), None)
        return (_FFHQ + 0.5) * (side / _FFHQ_SIDE) - 0.5 if found is None else found.landmarks


def _warped(image: Tensor, landmarks: NDArray[np.float64]) -> Tensor:
    """(1, 3, S, S) -> (1, 3, 112, 112); a much larger image is first reduced by averaging, so that nothing aliases."""
    matrix = similarity_transform(landmarks, TEMPLATE)
    factor = int(1.0 / np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if factor > 1:
        image = F.avg_pool2d(image, factor, ceil_mode=True)
        matrix = similarity_transform((landmarks + 0.5) / factor - 0.5, TEMPLATE)
    return warp_affine(image, torch.from_numpy(matrix), CROP_SIZE)
