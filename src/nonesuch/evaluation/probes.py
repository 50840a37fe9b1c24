"""The images of a test and what embedders make of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import Pixels
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.photographs import Photograph
from nonesuch.perception.detection import Detector
from nonesuch.perception.faces import BATCH, ELSEWHERE, LARGEST, read_faces, tell_several


@dataclass(frozen=True)
class Embedded:
    """A test's images as one embedder sees them.

    Attributes:
        unit: (N, D) float32 embeddings of length 1; zeros where no face was acquired.
        norm: (N,) float32 length of the raw embedding, a measure of quality (MagFace, arXiv 2103.06627); 0 where no
            face was acquired.
    """

    unit: NDArray[np.float32]
    norm: NDArray[np.float32]

    @property
    def acquired(self) -> NDArray[np.bool_]:
        """(N,) whether a face was found."""
        return self.norm > 0

    def without(self, refused: NDArray[np.bool_]) -> "Embedded":
        """The same with (N,) some faces not acquired."""
        kept = (~refused).astype(np.float32)
        return Embedded(self.unit * kept[:, None], self.norm * kept)


def raw_embeddings(embedder: Embedder, crops: Pixels, flip: bool = True) -> NDArray[np.float32]:
    """(N, D) embeddings of crops in the published way: raw embeddings of a crop and its mirror image, summed.

    Args:
        crops: (N, 112, 112, 3) uint8 RGB.
        flip: False for the crop alone.
    """
    raw = embedder.embed(crops, BATCH)
    return raw + embedder.embed(np.ascontiguousarray(crops[:, :, ::-1]), BATCH) if flip else raw


def embed_images(
    photographs: Sequence[Photograph],
    embedders: Sequence[Embedder],
    detector: Detector | None,
    flip: bool = True,
    always_align: bool = False,
    landmarks: NDArray[np.float64] | None = None,
    on_image: Callable[[int], None] = lambda done: None,
    where: Path | str = "images",
) -> tuple[list[Embedded], list[str]]:
    """Read, align and embed the images of a test; each is read once, and few are in memory at a time.

    Args:
        flip: as in `raw_embeddings`.
        detector, always_align: see `aligned_face` for what counts as aligned.
        landmarks: (N, 5, 2) known ones, which replace the detector.
        where: their source, for the note that some show several faces.

    Returns:
        What each embedder makes of the images, and in words why no face was found, for each image without one.

    Raises:
        NonesuchError: not one image shows a face, or an embedding is zero or holds NaN or infinity.
    """
    count = len(photographs)
    found = [
        Embedded(np.zeros((count, item.card.embedding_dim), np.float32), np.zeros(count, np.float32))
        for item in embedders
    ]
    problems: list[str] = []
    counts: list[int | None] = []
    unclear: list[bool] = []
    for faces in read_faces(photographs, detector, always_align, landmarks, on_image):
        counts += faces.counts
        unclear += faces.unclear
        problems += [problem for problem in faces.problems if problem]
        rows = faces.rows
        for embedder, result in zip(embedders, found, strict=True):
            raw = raw_embeddings(embedder, faces.crops, flip)
            norm = np.linalg.norm(raw, axis=1)
            good = np.isfinite(norm) & (norm > 0)
            if not good.all():
                name = photographs[rows[int(np.argmin(good))]].name
                raise NonesuchError(
                    f"{embedder.name}: its embedding of {name} is zero or holds NaN or infinity; "
                    "check the weights and the card's preprocessing"
                )
            result.unit[rows], result.norm[rows] = raw / norm[:, None], norm
    if len(problems) == count:
        raise NonesuchError(f"none of {count} images shows a face; the first: {problems[0]}")
    tell_several(where, counts, unclear, LARGEST, ELSEWHERE)
    return found, problems
