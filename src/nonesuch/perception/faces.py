"""The faces of photographs as aligned crops: how many there are, and which are taken."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.arguments import Choice
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_SIZE, Pixels
from nonesuch.core.notices import notice
from nonesuch.formats.photographs import Photograph
from nonesuch.perception.alignment import align
from nonesuch.perception.detection import Detector, Face

NO_FACE = "no face found"
BATCH = 64  # photographs in memory at a time
LARGEST, CENTRAL, CLOSEST, ALL = "largest", "central", "closest-to-label", "all"
ONE_FACE = Choice((LARGEST, CENTRAL, CLOSEST))
FACE = Choice((*ONE_FACE.words, ALL))
ELSEWHERE = "'nonesuch embed' makes crops of other faces with --crops FOLDER --face RULE"
_RIVAL = 0.5  # share of a face's area from which another face may as well be the one that is meant
_TAKEN = {
    LARGEST: "the largest is taken",
    CENTRAL: "the one nearest to the middle is taken",
    CLOSEST: "the one closest to the other photographs of its label is taken",
    ALL: "each is taken, under the label of its photograph",
}


@dataclass(frozen=True)
class TakenFace:
    """A face that was taken from a photograph.

    Attributes:
        crop: (112, 112, 3) uint8 RGB.
        number: its place among the photograph's faces by size, 1 for the largest; None where nothing was detected.
        landmarks: (5, 2) x and y in pixels of the photograph as it is read; None where nothing was detected.
        rivalled: whether another face of the photograph is at least half as large.
    """

    crop: Pixels
    number: int | None = None
    landmarks: NDArray[np.float64] | None = None
    rivalled: bool = False


@dataclass(frozen=True)
class Taken:
    """What was taken from a photograph.

    Attributes:
        faces: those that the rule takes, by their number.
        count: how many the detector found; None where it did not look.
        problem: in words, why no face was taken; "" where one was.
    """

    faces: tuple[TakenFace, ...]
    count: int | None = None
    problem: str = ""


@dataclass(frozen=True)
class FaceBatch:
    """Some photographs that follow one another, and the faces among them.

    Attributes:
        start: place of the first among all photographs.
        photographs: K of them.
        taken: from each of them.
    """

    start: int
    photographs: list[Photograph]
    taken: list[Taken]

    @property
    def found(self) -> NDArray[np.bool_]:
        """(K,) whether each shows a face."""
        return np.array([bool(one.faces) for one in self.taken])

    @cached_property
    def crops(self) -> Pixels:
        """(F, 112, 112, 3) uint8 RGB of the faces; of a photograph's by their number."""
        crops = [face.crop for one in self.taken for face in one.faces]
        return np.stack(crops) if crops else np.empty((0, CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)

    @property
    def rows(self) -> NDArray[np.int64]:
        """(F,) places of the faces' photographs among all."""
        return self.start + np.repeat(np.arange(len(self.taken)), [len(one.faces) for one in self.taken])

    @property
    def problems(self) -> list[str]:
        """(K,) in words, why there is no face; "" where there is one."""
        return [one.problem for one in self.taken]

    @property
    def counts(self) -> list[int | None]:
        """(K,) how many faces the detector found; None where it did not look."""
        return [one.count for one in self.taken]

    @property
    def unclear(self) -> list[bool]:
        """(K,) whether the face that was taken has another beside it that is at least half as large."""
        return [any(face.rivalled for face in one.faces) for one in self.taken]


def read_faces(
    photographs: Iterable[Photograph],
    detector: Detector | None,
    always_align: bool = False,
    landmarks: NDArray[np.float64] | None = None,
    on_image: Callable[[int], None] = lambda read: None,
    face: str = LARGEST,
) -> Iterator[FaceBatch]:
    """The faces of each photograph that a rule takes, each photograph read once and `BATCH` in memory at a time.

    Args:
        detector, always_align, face: as in `take_faces`.
        landmarks: (N, 5, 2) known ones of all photographs, which replace the detector.
        on_image: told how many have been read.
    """
    remaining, start = iter(photographs), 0
    while batch := list(islice(remaining, BATCH)):
        taken = []
        for row, photograph in enumerate(batch, start):
            points = None if landmarks is None else landmarks[row]
            taken.append(take_faces(photograph, detector, always_align, points, face))
            on_image(row + 1)
        yield FaceBatch(start, batch, taken)
        start += len(batch)


def take_faces(
    photograph: Photograph,
    detector: Detector | None,
    always_align: bool = False,
    landmarks: NDArray[np.float64] | None = None,
    face: str = LARGEST,
) -> Taken:
    """The faces of a photograph that a rule takes.

    A 112x112 image counts as aligned unless `always_align`, or where its landmarks are known. No image is resized to
    stand in for a face. Without a detector only 112x112 images have one. A photograph that knows its face
    (`Photograph.landmarks`) shows that one.

    Args:
        landmarks: (5, 2) known ones as in `align`, in pixels of the whole photograph; then nothing is detected.
        face: "largest"; "central", whose middle is nearest to the photograph's; "all".
    """
    try:
        image = photograph.read(whole=landmarks is not None)
    except NonesuchError as error:
        return Taken((), None, str(error))
    try:
        if landmarks is not None:
            return Taken((TakenFace(align(image, landmarks)),))
        if photograph.landmarks is not None:
            points = np.array(photograph.landmarks)
            return Taken((TakenFace(align(image, points), None, points),))
        if image.shape == (CROP_SIZE, CROP_SIZE, 3) and not always_align:
            return Taken((TakenFace(image),))
        if detector is None:
            height, width = image.shape[:2]
            mend = "align it with 'nonesuch embed IN --crops FOLDER'"
            raise NonesuchError(f"{width}x{height}, not an aligned {CROP_SIZE}x{CROP_SIZE} crop; {mend}")
        if not (faces := detector.detect(image)):
            return Taken((), 0, f"{photograph.name}: {NO_FACE}")
        places = _chosen(faces, image, face)
        crops = [align(image, faces[place].landmarks) for place in places]
    except NonesuchError as error:
        return Taken((), None, f"{photograph.name}: {error}")
    taken = [
        TakenFace(crop, place + 1, faces[place].landmarks, _rivalled(faces, place))
        for place, crop in zip(places, crops, strict=True)
    ]
    return Taken(tuple(taken), len(faces))


def aligned_face(
    photograph: Photograph,
    detector: Detector | None,
    always_align: bool = False,
    landmarks: NDArray[np.float64] | None = None,
) -> tuple[Pixels | None, str]:
    """The largest face of a photograph, or the one that it knows; arguments as in `take_faces`.

    Returns:
        (112, 112, 3) uint8 RGB or None, and in words why there is none ("" where there is one).
    """
    taken = take_faces(photograph, detector, always_align, landmarks)
    return (taken.faces[0].crop if taken.faces else None), taken.problem


def tell_several(
    where: Path | str, counts: Sequence[int | None], unclear: Sequence[bool | None], face: str, otherwise: str
) -> None:
    """Say how many photographs show several faces, and which were taken; nothing where none does.

    Args:
        where: the source of the photographs.
        counts: faces found in each; None where nothing was detected.
        unclear: of each, whether another face may as well be the one that is meant.
        face: the rule.
        otherwise: how to choose others.
    """
    several = sum(count is not None and count > 1 for count in counts)
    if not several:
        return
    doubts = sum(map(bool, unclear))
    why = "none or several faces match the label" if face == CLOSEST else "another face is at least half as large"
    told = "" if face == ALL else f"; {doubts} of them are unclear: {why}"
    notice(f"{where}: {several} of {len(counts)} photographs show several faces; {_TAKEN[face]}{told}; {otherwise}")


def _chosen(faces: Sequence[Face], image: Pixels, rule: str) -> list[int]:
    """Places of the faces that a rule takes; `faces` are sorted by size."""
    if rule == ALL:
        return list(range(len(faces)))
    if rule == LARGEST:
        return [0]
    if rule != CENTRAL:
        raise ValueError(f"{rule}: needs more than one photograph")
    middle = np.array(image.shape[1::-1]) / 2
    boxes = np.array([face.box for face in faces])
    return [int(np.argmin(np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - middle, axis=1)))]


def _rivalled(faces: Sequence[Face], place: int) -> bool:
    return any(other.area >= _RIVAL * faces[place].area for row, other in enumerate(faces) if row != place)
