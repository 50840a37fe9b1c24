"""What cleaning needs from each image, read once: the embedding of its face, and hashes of the picture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.rows_on_disk import RowsOnDisk
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.photographs import Photograph
from nonesuch.identities.embedding import NO_VECTOR, Tally, embed_each
from nonesuch.measures.duplicates import CROP_HASHES, crop_hashes
from nonesuch.measures.similarity import normalised
from nonesuch.perception.detection import Detector
from nonesuch.perception.faces import CLOSEST, NO_FACE


@dataclass(frozen=True)
class Features:
    """The images of a dataset as cleaning sees them.

    Attributes:
        rows: (N,) int64 which of the photographs these are: those with a face that gave an embedding.
        vectors: (N, D) float32 embeddings of length 1.
        hashes: (N, 19) uint64 of `crop_hashes`, of the aligned face.
        problems: of the other photographs, by row: the kind ("unreadable", "no face", "no features"), and why.
        landmarks: of the face that was taken from a photograph of several, by row; as in `Photograph`.
        faces, unclear: of each photograph, as in `Tally`.
    """

    rows: NDArray[np.int64]
    vectors: NDArray[np.float32]
    hashes: NDArray[np.uint64]
    problems: dict[int, tuple[str, str]]
    landmarks: dict[int, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    faces: list[int | None] = field(default_factory=list)
    unclear: list[bool] = field(default_factory=list)


def features(
    photographs: Sequence[Photograph],
    embedder: Embedder,
    detector: Detector,
    always_align: bool = False,
    on_image: Callable[[int], None] = lambda done: None,
    face: str = CLOSEST,
    folder: Path | None = None,
) -> Features:
    """Read, align, hash and embed; an image for which that fails is listed as a problem and stops nothing.

    Args:
        always_align: see `aligned_face` for what counts as aligned.
        on_image: told how many are done.
        face: which face of several, see `embed_each`; one for each photograph.
        folder: of the disk on which vectors and hashes lie, 0.9 KB an image, as long as they are used; None for the
            system's folder of temporary files.

    Raises:
        NonesuchError: no image gives an embedding, or the disk is full.
    """
    rows: list[int] = []
    vectors = RowsOnDisk(folder, embedder.card.embedding_dim, np.float32)
    hashes = RowsOnDisk(folder, CROP_HASHES, np.uint64)
    problems: dict[int, tuple[str, str]] = {}
    landmarks: dict[int, tuple[tuple[float, float], ...]] = {}
    tally = Tally()
    found = tally.of(embed_each(photographs, embedder, detector, always_align, face, on_image))
    for row, result in enumerate(found):
        if result.vector is None or (crop := result.read_crop()) is None:
            problems[row] = _kind(result.problem), result.problem
            continue
        rows.append(row)
        vectors.append(normalised(result.vector[None])[0])
        hashes.append(crop_hashes(crop))
        known = result.photograph.landmarks
        if known is not None and result.faces != 1:
            landmarks[row] = known
    if not rows:
        why = min(problems.items())[1][1]
        raise NonesuchError(f"none of {len(photographs)} images can be compared; the first: {why}")
    return Features(
        np.array(rows, dtype=np.int64),
        vectors.mapped(),
        hashes.mapped(),
        problems,
        landmarks,
        tally.faces,
        tally.unclear,
    )


def _kind(problem: str) -> str:
    if problem.endswith(NO_VECTOR):
        return "no features"
    return "no face" if problem.endswith(NO_FACE) else "unreadable"
