"""Photographs -> vectors: detection, alignment and embedding, with a bounded memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nonesuch.core import files, images, parquet
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import Pixels
from nonesuch.core.notices import notice
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.lmdb_records import LmdbPhotograph, Record
from nonesuch.formats.photographs import Photograph
from nonesuch.identities.crops import CropFolder
from nonesuch.identities.table import PHOTOGRAPHS, SCHEMA, table_metadata
from nonesuch.measures.similarity import normalised
from nonesuch.perception.detection import Detector
from nonesuch.perception.faces import BATCH, Rule, read_faces

_CHECKED, _SAME_EMBEDDER = 8, 0.9  # records compared with the embedder, and the cosine that they must reach


@dataclass(frozen=True)
class EmbeddedPhotograph:
    """The result for one photograph.

    Attributes:
        photograph: where it is.
        crop: (112, 112, 3) uint8 aligned face, or None.
        vector: (D,) float32 raw embedding of the crop, or None.
        problem: in words, why there is no vector; "" where there is one.
        faces: how many faces it shows; None where nobody looked.
        number: which of these it is, from 1 on.
    """

    photograph: Photograph
    crop: Pixels | None
    vector: NDArray[np.float32] | None
    problem: str
    faces: int | None = None
    number: int = 1


def embed_each(
    photographs: Iterable[Photograph],
    embedder: Embedder,
    detector: Detector | None,
    always_align: bool = False,
    face: Rule = "largest",
) -> Iterator[EmbeddedPhotograph]:
    """Embed a face of each photograph, or all faces one after the other, in order.

    A photograph without a face, or one that cannot be read, comes back with its problem; see `faces_of`.
    """
    for faces in read_faces(photographs, detector, always_align, face=face):
        vectors = embedder.embed(faces.crops)
        for owner, photograph in enumerate(faces.photographs):
            own = np.flatnonzero(faces.owners == owner)
            if not len(own):
                yield EmbeddedPhotograph(photograph, None, None, faces.problems[owner], 0)
            for number, row in enumerate(own, 1):
                one = _embedded(photograph, faces.crops[row], vectors[row], embedder)
                yield replace(one, faces=int(faces.counts[owner]), number=number)


def _embedded(
    photograph: Photograph, crop: Pixels, vector: NDArray[np.float32], embedder: Embedder
) -> EmbeddedPhotograph:
    if np.isfinite(vector).all() and vector.any():
        return EmbeddedPhotograph(photograph, crop, vector, "")
    problem = f"{photograph.name}: {embedder.name}'s embedding is zero or holds NaN or infinity"
    return EmbeddedPhotograph(photograph, None, None, problem)


def embed_closest_to_label(
    photographs: Sequence[Photograph],
    embedder: Embedder,
    detector: Detector,
    always_align: bool = False,
    on_image: Callable[[int], None] = lambda done: None,
) -> Iterator[EmbeddedPhotograph]:
    """Embed of each photograph the face that is most like its identity, as photographs with one face show it.

    All photographs are read twice: first for the mean of each identity's photographs with one face. Where an identity
    has none, the largest faces are taken, and a notice tells of it.

    Args:
        on_image: told how many faces of the first reading are done.
    """
    centres: dict[str, NDArray[np.float64]] = {}
    for number, one in enumerate(embed_each(photographs, embedder, detector, always_align, "all"), 1):
        if one.faces == 1 and one.vector is not None:
            unit = normalised(one.vector[None])[0].astype(np.float64)
            name = one.photograph.identity
            centres[name] = centres.get(name, np.zeros_like(unit)) + unit
        on_image(number)
    several = 0
    unknown: set[str] = set()
    faces = embed_each(photographs, embedder, detector, always_align, "all")
    for _, group in groupby(faces, key=lambda one: id(one.photograph)):
        shown = list(group)
        best, name = shown[0], shown[0].photograph.identity
        if len(shown) > 1:
            several += 1
            if name in centres:
                best = replace(max(shown, key=lambda one: _likeness(one.vector, centres[name])), number=1)
            else:
                unknown.add(name)
        yield best
    if several:
        rest = f"; {len(unknown):,} identities have no such photograph: the largest face was taken" if unknown else ""
        notice(
            f"{several:,} of {len(photographs):,} photographs show several faces; the one most like its identity's "
            f"photographs with one face was taken{rest}"
        )


def _likeness(vector: NDArray[np.float32] | None, centre: NDArray[np.float64]) -> float:
    return -np.inf if vector is None else float(normalised(vector[None])[0] @ centre)


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
) -> tuple[int, list[str]]:
    """Write a table `file`, `identity`, `embedding`, `detected`, `faces`, with the embedder in its metadata.

    Args:
        out: Parquet file.
        crops: folder for the aligned crops, see `CropFolder`; None for none.
        on_image: told how many faces are done.

    Returns:
        How many vectors there are, and the problem of each photograph or face that has none.

    Raises:
        NonesuchError: no photograph gave a vector, or the disk is full; nothing is then written to `out`.
    """
    schema = SCHEMA.with_metadata(table_metadata(embedder.name, embedder.card.sha256, PHOTOGRAPHS))
    problems: list[str] = []
    total = 0
    folder = None if crops is None else CropFolder(crops)
    files.clear_old(out.parent)
    with files.replacing(out) as temporary, parquet.writer(temporary, schema) as table:
        rows: list[EmbeddedPhotograph] = []
        for result in results:
            total += 1
            on_image(total)
            rows.append(result)
            if result.problem:
                problems.append(result.problem)
            if folder is not None and result.crop is not None:
                folder.write(result.photograph, result.crop, result.number)
            if len(rows) == 16 * BATCH:
                table.write_batch(_record_batch(rows, schema))
                rows.clear()
        table.write_batch(_record_batch(rows, schema))
        if len(problems) == total:
            raise NonesuchError(f"none of {total} photographs gave a vector; the first: {problems[0]}")
    if folder is not None:
        folder.close()
    return total - len(problems), problems


def _record_batch(rows: list[EmbeddedPhotograph], schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        pa.array([row.photograph.name for row in rows], pa.string()),
        pa.array([row.photograph.identity for row in rows], pa.string()),
        pa.array([row.vector for row in rows], pa.list_(pa.float32())),
        pa.array([row.vector is not None for row in rows], pa.bool_()),
        pa.array([row.faces for row in rows], pa.int32()),
    ]
    return pa.record_batch(columns, schema=schema)
