"""The faces of photographs as aligned crops."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_SIZE, Pixels
from nonesuch.core.notices import notice
from nonesuch.formats.photographs import Photograph
from nonesuch.perception.alignment import align
from nonesuch.perception.detection import Detector

NO_FACE = "no face found"
BATCH = 64  # photographs in memory at a time
_RIVAL = 0.5  # share of the chosen face's area from which another one may be who the label means

Rule = Literal["largest", "central", "all"]


@dataclass(frozen=True)
class Seen:
    """The faces of one photograph.

    Attributes:
        crops: (112, 112, 3) uint8 RGB of those that were asked for, the first one first; empty where there is none.
        count: how many there are.
        rivals: how many of the others are at least half as large as the first.
        problem: in words, why there is none; "" where there is one.
    """

    crops: list[Pixels]
    count: int = 0
    rivals: int = 0
    problem: str = ""


@dataclass(frozen=True)
class FaceBatch:
    """Some photographs that follow one another, and the faces among them.

    Attributes:
        start: place of the first among all photographs.
        photographs: K of them.
        counts: (K,) how many faces each shows.
        crops: (F, 112, 112, 3) uint8 RGB: one of each photograph that shows any, or all of them.
        owners: (F,) place of each crop's photograph among the K.
        problems: (K,) in words, why there is no face; "" where there is one.
    """

    start: int
    photographs: list[Photograph]
    counts: NDArray[np.int64]
    crops: Pixels
    owners: NDArray[np.int64]
    problems: list[str]

    @property
    def found(self) -> NDArray[np.bool_]:
        """(K,) whether each shows a face."""
        return self.counts > 0

    @property
    def rows(self) -> NDArray[np.int64]:
        """(F,) places of the faces' photographs among all photographs."""
        return self.start + self.owners


def read_faces(
    photographs: Iterable[Photograph],
    detector: Detector | None,
    always_align: bool = False,
    landmarks: NDArray[np.float64] | None = None,
    on_image: Callable[[int], None] = lambda read: None,
    face: Rule = "largest",
    tell: bool = True,
) -> Iterator[FaceBatch]:
    """The faces of photographs, each read once and `BATCH` in memory at a time.

    Args:
        detector, always_align: as in `faces_of`.
        landmarks: (N, 5, 2) known ones of all photographs, which replace the detector.
        on_image: told how many have been read.
        face: which face of several, or "all".
        tell: whether a notice says in the end how many show several.
    """
    remaining, start = iter(photographs), 0
    several = rivalled = 0
    while batch := list(islice(remaining, BATCH)):
        every: list[Seen] = []
        for row, photograph in enumerate(batch, start):
            points = None if landmarks is None else landmarks[row]
            every.append(faces_of(photograph, detector, always_align, points, face))
            on_image(row + 1)
        several += sum(seen.count > 1 for seen in every)
        rivalled += sum(seen.rivals > 0 for seen in every)
        taken = [(owner, crop) for owner, seen in enumerate(every) for crop in seen.crops]
        crops = [crop for _, crop in taken]
        yield FaceBatch(
            start,
            batch,
            np.array([seen.count for seen in every]),
            np.stack(crops) if crops else np.empty((0, CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8),
            np.array([owner for owner, _ in taken], dtype=np.int64),
            [seen.problem for seen in every],
        )
        start += len(batch)
    if several and tell and face != "all":
        notice(
            f"{several:,} of {start:,} photographs show several faces; the {face} one was taken. In {rivalled:,} of "
            "them another is at least half as large, so that the label may mean somebody else"
        )


def faces_of(
    photograph: Photograph,
    detector: Detector | None,
    always_align: bool = False,
    landmarks: NDArray[np.float64] | None = None,
    face: Rule = "largest",
) -> Seen:
    """The faces of a photograph, aligned.

    A 112x112 image counts as aligned unless `always_align`, or where its landmarks are known. No image is resized to
    stand in for a face. Without a detector only 112x112 images have one.

    Args:
        landmarks: (5, 2) known ones as in `align`; then nothing is detected.
        face: which one of several: the largest, the one nearest to the middle, or all, the largest first.
    """
    try:
        image = photograph.read(whole=landmarks is not None)
    except NonesuchError as error:
        return Seen([], problem=str(error))
    if landmarks is not None:
        try:
            return Seen([align(image, landmarks)], 1)
        except NonesuchError as error:
            return Seen([], problem=f"{photograph.name}: {error}")
    if image.shape == (CROP_SIZE, CROP_SIZE, 3) and not always_align:
        return Seen([image], 1)
    height, width = image.shape[:2]
    if detector is None:
        mend = "align it with 'nonesuch embed IN --crops FOLDER'"
        what = f"{width}x{height}, not an aligned {CROP_SIZE}x{CROP_SIZE} crop"
        return Seen([], problem=f"{photograph.name}: {what}; {mend}")
    found = detector.detect(image)
    if not found:
        return Seen([], problem=f"{photograph.name}: {NO_FACE}")
    if face == "central":
        found.sort(key=lambda one: math.dist(one.centre, (width / 2, height / 2)))
    rivals = sum(other.area >= _RIVAL * found[0].area for other in found[1:])
    chosen = found if face == "all" else found[:1]
    return Seen([align(image, one.landmarks) for one in chosen], len(found), rivals)


def aligned_face(
    photograph: Photograph,
    detector: Detector | None,
    always_align: bool = False,
    landmarks: NDArray[np.float64] | None = None,
    face: Rule = "largest",
) -> tuple[Pixels | None, str]:
    """One face of a photograph, (112, 112, 3) uint8 RGB or None, and in words why there is none.

    Arguments as in `faces_of`.
    """
    seen = faces_of(photograph, detector, always_align, landmarks, face)
    return (seen.crops[0] if seen.crops else None), seen.problem
