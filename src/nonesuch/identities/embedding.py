"""Photographs -> vectors: detection, alignment and embedding, with a bounded memory."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nonesuch.core import files, images, parquet
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import Pixels
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.lmdb_records import LmdbPhotograph, Record
from nonesuch.formats.photographs import Photograph
from nonesuch.identities.crops import CropFolder
from nonesuch.identities.table import PHOTOGRAPHS, SCHEMA, table_metadata
from nonesuch.measures.similarity import normalised
from nonesuch.perception.detection import Detector
from nonesuch.perception.faces import BATCH, read_faces

_CHECKED, _SAME_EMBEDDER = 8, 0.9  # records compared with the embedder, and the cosine that they must reach


@dataclass(frozen=True)
class EmbeddedPhotograph:
    """The result for one photograph.

    Attributes:
        photograph: where it is.
        crop: (112, 112, 3) uint8 aligned face, or None.
        vector: (D,) float32 raw embedding of the crop, or None.
        problem: in words, why there is no vector; "" where there is one.
    """

    photograph: Photograph
    crop: Pixels | None
    vector: NDArray[np.float32] | None
    problem: str


def embed_each(
    photographs: Iterable[Photograph], embedder: Embedder, detector: Detector | None, always_align: bool = False
) -> Iterator[EmbeddedPhotograph]:
    """Embed the largest face of each photograph, in order.

    A photograph without a face, or one that cannot be read, comes back with its problem; see `aligned_face`.
    """
    for faces in read_faces(photographs, detector, always_align):
        results = zip(faces.crops, embedder.embed(faces.crops), strict=True)
        for photograph, found, problem in zip(faces.photographs, faces.found, faces.problems, strict=True):
            crop, vector = next(results) if found else (None, None)
            if vector is not None and not (np.isfinite(vector).all() and vector.any()):
                problem = f"{photograph.name}: {embedder.name}'s embedding is zero or holds NaN or infinity"
                crop = vector = None
            yield EmbeddedPhotograph(photograph, crop, vector, problem)


def stored_embeddings(photographs: Iterable[LmdbPhotograph], embedder: Embedder) -> Iterator[EmbeddedPhotograph]:
    """The vectors that an LMDB set itself holds, with its labels.

    Raises:
        NonesuchError: a record cannot be read, or the first vectors are not those that this embedder gives.
    """
    for number, photograph in enumerate(photographs):
        record = photograph.record()
        _check_width(photograph, record, embedder)
        if number < _CHECKED:
            _check_stored(photograph, record, embedder)
        problem = "" if np.isfinite(record.vector).all() else f"{photograph.name}: its vector holds NaN or infinity"
        yield EmbeddedPhotograph(photograph, None, None if problem else record.vector, problem)


def _check_width(photograph: LmdbPhotograph, record: Record, embedder: Embedder) -> None:
    where = f"{photograph.container}:{photograph.name}"
    if len(record.vector) != embedder.card.embedding_dim:
        raise NonesuchError(
            f"{where}: vectors of width {len(record.vector)}, {embedder.name} gives {embedder.card.embedding_dim}; "
            "name the embedder that made them with --embedder"
        )


def _check_stored(photograph: LmdbPhotograph, record: Record, embedder: Embedder) -> None:
    where = f"{photograph.container}:{photograph.name}"
    pixels = images.decode(record.image, where)
    ours, theirs = normalised(np.stack([embedder.embed(pixels[None])[0], record.vector]))
    if float(ours @ theirs) < _SAME_EMBEDDER:
        raise NonesuchError(
            f"{where}: its vector is not what {embedder.name} makes of its image (cosine {float(ours @ theirs):.2f}); "
            "name the embedder that made them with --embedder"
        )


def write_embeddings(
    results: Iterable[EmbeddedPhotograph],
    embedder: Embedder,
    out: Path,
    crops: Path | None,
    on_image: Callable[[int], None] = lambda done: None,
) -> list[str]:
    """Write a table `file`, `identity`, `embedding`, `detected`, with the embedder in its metadata.

    Args:
        out: Parquet file.
        crops: folder for the aligned crops, see `CropFolder`; None for none.
        on_image: told how many are done.

    Returns:
        The problem of each photograph that has none.

    Raises:
        NonesuchError: no photograph gave a vector, or the disk is full; nothing is then written to `out`.
    """
    schema = SCHEMA.with_metadata(table_metadata(embedder.name, embedder.card.sha256, PHOTOGRAPHS))
    problems: list[str] = []
    total = 0
    folder = None if crops is None else CropFolder(crops)
    with files.replacing(out) as temporary, parquet.writer(temporary, schema) as table:
        rows: list[EmbeddedPhotograph] = []
        for result in results:
            total += 1
            on_image(total)
            rows.append(result)
            if result.problem:
                problems.append(result.problem)
            if folder is not None and result.crop is not None:
                folder.write(result.photograph, result.crop)
            if len(rows) == 16 * BATCH:
                table.write_batch(_record_batch(rows, schema))
                rows.clear()
        table.write_batch(_record_batch(rows, schema))
        if len(problems) == total:
            raise NonesuchError(f"none of {total} photographs gave a vector; the first: {problems[0]}")
    if folder is not None:
        folder.close()
    return problems


def _record_batch(rows: list[EmbeddedPhotograph], schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        pa.array([row.photograph.name for row in rows], pa.string()),
        pa.array([row.photograph.identity for row in rows], pa.string()),
        pa.array([row.vector for row in rows], pa.list_(pa.float32())),
        pa.array([row.vector is not None for row in rows], pa.bool_()),
    ]
    return pa.record_batch(columns, schema=schema)
