"""The face of a photograph as an aligned crop."""

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_SIZE, Pixels
from nonesuch.formats.photographs import Photograph
from nonesuch.perception.alignment import align
from nonesuch.perception.detection import Detector

NO_FACE = "no face found"


def aligned_face(
    photograph: Photograph,
    detector: Detector | None,
    always_align: bool = False,
    landmarks: NDArray[np.float64] | None = None,
) -> tuple[Pixels | None, str]:
    """The largest face of a photograph.

    A 112x112 image counts as aligned unless `always_align`. Nothing is resized in a face's place. Without a detector
    only 112x112 images have one.

    Args:
        landmarks: (5, 2) known ones as in `align`; nothing is then detected.

    Returns:
        (112, 112, 3) uint8 RGB or None, and in words why there is none ("" where there is one).
    """
    try:
        image = photograph.read()
    except NonesuchError as error:
        return None, str(error)
    if image.shape == (CROP_SIZE, CROP_SIZE, 3) and not always_align:
        return image, ""
    if landmarks is not None:
        return align(image, landmarks), ""
    if detector is None:
        height, width = image.shape[:2]
        mend = "align it with 'nonesuch embed IN --crops FOLDER'"
        return None, f"{photograph.name}: {width}x{height}, not an aligned {CROP_SIZE}x{CROP_SIZE} crop; {mend}"
    faces = detector.detect(image)
    return (align(image, faces[0].landmarks), "") if faces else (None, f"{photograph.name}: {NO_FACE}")
