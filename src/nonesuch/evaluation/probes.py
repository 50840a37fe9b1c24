"""The images of a test set, aligned, and what an embedder makes of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_SIZE, Pixels
from nonesuch.core.photographs import Photograph
from nonesuch.embedders.embedder import Embedder
from nonesuch.perception.detection import Detector
from nonesuch.perception.faces import aligned_face

_BATCH = 64


@dataclass(frozen=True)
class Probes:
    """Aligned crops of a test set.

    Attributes:
        crops: (N, 112, 112, 3) uint8; black where no face was acquired.
        acquired: (N,) bool.
        problems: in words, of each image that was not.
    """

    crops: Pixels
    acquired: NDArray[np.bool_]
    problems: list[str]


def read_probes(
    photographs: Sequence[Photograph],
    detector: Detector | None,
    always_align: bool = False,
    on_image: Callable[[int], None] = lambda done: None,
) -> Probes:
    """Decode and align the images of a test set; see `aligned_face` for what counts as aligned.

    Raises:
        NonesuchError: not one of them shows a face.
    """
    crops = np.zeros((len(photographs), CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
    acquired, problems = np.zeros(len(photographs), dtype=bool), []
    for row, photograph in enumerate(photographs):
        crop, problem = aligned_face(photograph, detector, always_align)
        if crop is None:
            problems.append(problem)
        else:
            crops[row], acquired[row] = crop, True
        on_image(row + 1)
    if not acquired.any():
        raise NonesuchError(f"none of {len(photographs)} images shows a face; the first: {problems[0]}")
    return Probes(crops, acquired, problems)


def probe_embeddings(
    images: Probes, embedder: Embedder, flip: bool = True, on_image: Callable[[int], None] = lambda done: None
) -> NDArray[np.float32]:
    """(N, D) embeddings of length 1, the published way: raw embeddings of a crop and its mirror image, summed.

    A row of zeros stands for an image without a face: its cosine to anything is 0.

    Args:
        flip: False for the crop alone.

    Raises:
        NonesuchError: the embedder gives NaN, infinity or a zero vector.
    """
    rows = np.flatnonzero(images.acquired)
    found = np.zeros((len(images.crops), embedder.card.embedding_dim), dtype=np.float32)
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        raw = embedder.embed(images.crops[part], _BATCH)
        if flip:
            raw = raw + embedder.embed(np.ascontiguousarray(images.crops[part][:, :, ::-1]), _BATCH)
        length = np.linalg.norm(raw, axis=1, keepdims=True)
        if not np.isfinite(length).all() or (length == 0).any():
            bad = int(part[np.flatnonzero(~(np.isfinite(length) & (length > 0))[:, 0])[0]])
            raise NonesuchError(f"{embedder.name}: its embedding of image {bad} is zero or holds NaN or infinity")
        found[part] = raw / length
        on_image(start + len(part))
    return found
