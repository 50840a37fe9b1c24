"""Which face of a photograph is its label's: the one closest to the label's other photographs."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nonesuch.measures.similarity import normalised

_COMPARED = 64  # photographs of a label that are compared with one another: bounds the time for many of a crowd


class Labels:
    """What the faces of each label look like, from photographs that show one face.

    Args:
        same: the cosine from which two vectors are one person's; None where it is not known.
    """

    def __init__(self, same: float | None) -> None:
        self._same = same
        self._sums: dict[str, NDArray[np.float32]] = {}
        self._among: dict[str, list[NDArray[np.float32]]] = defaultdict(list)
        self._alone: set[str] = set()

    @property
    def alone(self) -> int:
        """How many labels were asked about that have no photograph of one face."""
        return len(self._alone)

    def add(self, identity: str, vectors: NDArray[np.float32]) -> None:
        """Add a photograph's faces: (F, D)."""
        unit = normalised(vectors)
        if len(unit) == 1:
            self._sums[identity] = self._sums.get(identity, np.zeros_like(unit[0])) + unit[0]
        elif len(self._among[identity]) < _COMPARED:
            self._among[identity].append(unit)

    def closest(self, identity: str, vectors: NDArray[np.float32]) -> tuple[int, bool | None]:
        """The face that is closest to the mean of its label's single faces.

        A label without a photograph of one face is the face that its photographs have in common: the one whose cosines
        with the closest face of each other photograph are the highest in sum. Of one photograph it is the largest face.

        Args:
            vectors: (F, D) of a photograph's faces, the largest first.

        Returns:
            Its row, and whether it is unclear: not exactly one face reaches `same`. None where nothing tells.
        """
        if identity not in self._sums:
            self._alone.add(identity)
            if len(self._among[identity]) < 2:
                return 0, None
            self._sums[identity] = _in_common(self._among[identity])
        cosines = normalised(vectors) @ normalised(self._sums[identity][None])[0]
        matches = None if self._same is None else int((cosines >= self._same).sum())
        return int(np.argmax(cosines)), None if matches is None else matches != 1


def _in_common(photographs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The (D,) face that photographs of (F, D) unit vectors have in common."""
    faces = np.concatenate(photographs)
    sums = np.zeros(len(faces), dtype=np.float32)
    for others in photographs:
        sums += (faces @ others.T).max(1)  # a face's own photograph adds 1 to each
    return faces[int(np.argmax(sums))]
