"""Vectors of a source's images in FLIP's space, kept beside its shards or in a folder: none is made twice."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nonesuch.core import tables
from nonesuch.core.errors import NonesuchError
from nonesuch.flip.model import FlipModel
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.source import Source
from nonesuch.perception.detection import Detector
from nonesuch.perception.faces import BATCH, read_faces

GROUP = "text_image"


@dataclass(frozen=True)
class ImageVectors:
    """Images that show a face.

    Attributes:
        photographs: N of them.
        vectors: (N, dim) float32 unit vectors.
        faceless: images of the source without a face.
    """

    photographs: list[Photograph]
    vectors: NDArray[np.float32]
    faceless: int


def vectors_of_source(
    source: Source,
    model: FlipModel,
    detector: Detector,
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> ImageVectors:
    """The vectors of a source's images, made where they are not there yet.

    Args:
        source: with a place for columns.
        detector: aligns images that are not aligned crops.
        on_image: told how many images are done, and of how many.

    Raises:
        NonesuchError: no image shows a face, a dataset of ours is incomplete or being written, or the disk is full;
            what was made until then is kept.
    """
    store = source.columns
    missing = [part for part in range(len(store.spans)) if not store.has(GROUP, part, model.card.sha256)]
    if missing:
        with store.locked():
            for part in missing:
                _make(source, part, model, detector, on_image)
    rows = np.zeros(len(source.photographs), dtype=bool)
    vectors = np.empty((len(source.photographs), model.card.dim), dtype=np.float32)
    for part, span in enumerate(store.spans):
        rows[span], vectors[span] = vectors_in(store.read(GROUP, part)["vector"], model.card.dim)
    if not rows.any():
        raise NonesuchError(f"{source.path}: none of {len(rows):,} images shows a face")
    found = vectors if rows.all() else vectors[rows]
    return ImageVectors([source.photographs[row] for row in np.flatnonzero(rows).tolist()], found, int((~rows).sum()))


def _make(
    source: Source, part: int, model: FlipModel, detector: Detector, on_image: Callable[[int, int], None]
) -> None:
    span = source.columns.spans[part]
    tables_made = []
    for faces in read_faces(source.photographs[span], detector):
        raw = model.image_vectors(faces.crops, BATCH).astype(np.float16)
        lists = pa.FixedSizeListArray.from_arrays(pa.array(raw.ravel()), model.card.dim)
        tables_made.append(tables.with_nulls(pa.table({"vector": lists}), faces.found))
        on_image(span.start + faces.start + len(faces.photographs), len(source.photographs))
    source.columns.write(GROUP, part, model.card.sha256, pa.concat_tables(tables_made))


def vectors_in(column: pa.ChunkedArray, dim: int) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Which of N images have a vector, and the (N, dim) vectors, 0 where there is none."""
    there = column.is_valid().to_numpy()
    parts = [chunk.drop_null().flatten().to_numpy() for chunk in column.chunks]
    found = np.zeros((len(column), dim), dtype=np.float32)
    found[there] = np.concatenate(parts).reshape(-1, dim) if parts else 0.0
    return there, found
