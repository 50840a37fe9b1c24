"""The faces of photographs as aligned crops."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_SIZE, Pixels
from nonesuch.formats.photographs import Photograph
from nonesuch.perception.alignment import align
from nonesuch.perception.detection import Detector

NO_FACE = "no face found"
BATCH = 64  # photographs in memory at a time


@dataclass(frozen=True)
class FaceBatch:
    """Some photographs that follow one another, and the faces among them.

    Attributes:
        start: place of the first among all photographs.
        photographs: K of them.
        found: (K,) whether each shows a face.
        crops: (found, 112, 112, 3) uint8 RGB of those that do.
        problems: (K,) in words, why there is no face; "" where there is one.
    """

    start: int
    photographs: list[Photograph]
    found: NDArray[np.bool_]
    crops: Pixels
    problems: list[str]

    @property
    def rows(self) -> NDArray[np.int64]:
        """(found,) places of the faces among all photographs."""
        return self.start + np.flatnonzero(self.found)


def read_faces(
    photographs: Iterable[Photograph],
    detector: Detector | None,
    always_align: bool = False,
    landmarks: NDArray[np.float64] | None = None,
    on_image: Callable[[int], None] = lambda read: None,
) -> Iterator[FaceBatch]:
    """The largest face of each photograph, each read once and `BATCH` in memory at a time.

    Args:
        detector, always_align: as in `aligned_face`.
        landmarks: (N, 5, 2) known ones of all photographs, which replace the detector.
        on_image: told how many have been read.
    """
    remaining, start = iter(photographs), 0
    while batch := list(islice(remaining, BATCH)):
        crops: list[Pixels | None] = []
        problems = []
        for row, photograph in enumerate(batch, start):
            points = None if landmarks is None else landmarks[row]
            crop, problem = aligned_face(photograph, detector, always_align, points)
            crops.append(crop)
            problems.append(problem)
            on_image(row + 1)
        there = [crop for crop in crops if crop is not None]
        stacked = np.stack(there) if there else np.empty((0, CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
        yield FaceBatch(start, batch, np.array([crop is not None for crop in crops]), stacked, problems)
        start += len(batch)


def aligned_face(
    photograph: Photograph,
    detector: Detector | None,
    always_align: bool = False,
    landmarks: NDArray[np.float64] | None = None,
) -> tuple[Pixels | None, str]:
    """The largest face of a photograph.

    A 112x112 image counts as aligned unless `always_align`, or where its landmarks are known. No image is resized to
    stand in for a face. Without a detector only 112x112 images have one.

    Args:
        landmarks: (5, 2) known ones as in `align`; then nothing is detected.

    Returns:
        (112, 112, 3) uint8 RGB or None, and in words why there is none ("" where there is one).
    """
    try:
        image = photograph.read(whole=landmarks is not None)
    except NonesuchError as error:
        return None, str(error)
    if landmarks is not None:
        try:
            return align(image, landmarks), ""
        except NonesuchError as error:
            return None, f"{photograph.name}: {error}"
    if image.shape == (CROP_SIZE, CROP_SIZE, 3) and not always_align:
        return image, ""
    if detector is None:
        height, width = image.shape[:2]
        mend = "align it with 'nonesuch embed IN --crops FOLDER'"
        return None, f"{photograph.name}: {width}x{height}, not an aligned {CROP_SIZE}x{CROP_SIZE} crop; {mend}"
    faces = detector.detect(image)
    return (align(image, faces[0].landmarks), "") if faces else (None, f"{photograph.name}: {NO_FACE}")
