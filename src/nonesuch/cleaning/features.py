"""What cleaning needs from each image, read once: the embedding of its face, and hashes of the picture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.photographs import Photograph
from nonesuch.measures.duplicates import crop_hashes
from nonesuch.perception.detection import Detector
from nonesuch.perception.faces import BATCH, NO_FACE, Rule, read_faces


@dataclass(frozen=True)
class Features:
    """The images of a dataset as cleaning sees them.

    Attributes:
        rows: (N,) int64 which of the photographs these are: those with a face that gave an embedding.
        vectors: (N, D) float32 raw embeddings.
        hashes: (N, 19) uint64 of `crop_hashes`, of the aligned face.
        problems: of the other photographs, by row: the kind ("unreadable", "no face", "no features"), and why.
    """

    rows: NDArray[np.int64]
    vectors: NDArray[np.float32]
    hashes: NDArray[np.uint64]
    problems: dict[int, tuple[str, str]]


def features(
    photographs: Sequence[Photograph],
    embedder: Embedder,
    detector: Detector,
    always_align: bool = False,
    face: Rule = "largest",
    on_image: Callable[[int], None] = lambda done: None,
) -> Features:
    """Read, align, hash and embed; an image for which that fails is listed as a problem and stops nothing.

    Args:
        always_align, face: see `faces_of` for what counts as aligned, and which of several faces is taken.
        on_image: told how many are done.

    Raises:
        NonesuchError: no image gives an embedding.
    """
    rows: list[int] = []
    vectors: list[NDArray[np.float32]] = []
    hashes: list[NDArray[np.uint64]] = []
    problems: dict[int, tuple[str, str]] = {}
    for faces in read_faces(photographs, detector, always_align, on_image=on_image, face=face):
        for row, problem in enumerate(faces.problems, faces.start):
            if problem:
                problems[row] = ("no face" if problem.endswith(NO_FACE) else "unreadable", problem)
        if not len(faces.crops):
            continue
        found = embedder.embed(faces.crops, BATCH)
        for row, crop, vector in zip(faces.rows.tolist(), faces.crops, found, strict=True):
            if np.isfinite(vector).all() and vector.any():
                rows.append(row)
                vectors.append(vector)
                hashes.append(crop_hashes(crop))
            else:
                name = photographs[row].name
                problems[row] = ("no features", f"{name}: {embedder.name}'s embedding is zero or holds NaN or infinity")
    if not rows:
        why = min(problems.items())[1][1]
        raise NonesuchError(f"none of {len(photographs)} images can be compared; the first: {why}")
    return Features(np.array(rows, dtype=np.int64), np.stack(vectors), np.stack(hashes), problems)
