"""Photographs -> vectors: detection, alignment and embedding, with a bounded memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nonesuch.core import files, images, parquet
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import Pixels
from nonesuch.core.notices import notice
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.lmdb_records import VectorPhotograph, VectorRecord
from nonesuch.formats.photographs import Photograph
from nonesuch.identities.closest import Labels
from nonesuch.identities.crops import CropFolder
from nonesuch.identities.table import OF_PHOTOGRAPHS, PHOTOGRAPHS, table_metadata
from nonesuch.measures.similarity import normalised
from nonesuch.perception.detection import Detector
from nonesuch.perception.faces import ALL, BATCH, CLOSEST, FaceBatch, aligned_face, read_faces

NO_VECTOR = "embedding is zero or holds NaN or infinity"
_SAME_FMR = 1e-3  # at whose threshold a face matches its label
_CHECKED, _SAME_EMBEDDER = 8, 0.9  # records compared with the embedder, and the cosine that they must reach


@dataclass(frozen=True)
class EmbeddedPhotograph:
    """The result for one photograph, or for one of its faces where all are taken.

    Attributes:
        photograph: where it is; it knows its face if another was found in it.
        crop: (112, 112, 3) uint8 aligned face, or None; `read_crop` reads it again where it was not kept.
        vector: (D,) float32 raw embedding of the crop, or None.
        problem: in words, why there is no vector; "" where there is one.
        faces: how many faces the detector found; None where it did not look.
        face: which of them by size this is, 1 for the largest; None where there is none, or nothing was detected.
        unclear: whether another face may as well be the one that is meant.
    """

    photograph: Photograph
    crop: Pixels | None
    vector: NDArray[np.float32] | None
    problem: str
    faces: int | None = None
    face: int | None = None
    unclear: bool = False

    def read_crop(self) -> Pixels | None:
        """The crop, None where there is no vector; raises NonesuchError where its file cannot be read any more."""
        if self.crop is not None or self.vector is None:
            return self.crop
        crop, problem = aligned_face(self.photograph, None)
        if crop is None:
            raise NonesuchError(f"{problem} (it was read before)")
        return crop


@dataclass
class Tally:
    """Counts the faces of photographs as their results pass.

    Attributes:
        faces: of each photograph; None where nothing was detected.
        unclear: of each, whether another face may as well be the one that is meant.
    """

    faces: list[int | None] = field(default_factory=list)
    unclear: list[bool] = field(default_factory=list)

    def of(self, results: Iterable[EmbeddedPhotograph]) -> Iterator[EmbeddedPhotograph]:
        """The same results."""
        last = None
        for result in results:
            item = result.photograph
            if (place := (item.container, item.offset, item.name)) != last:
                self.faces.append(result.faces)
                self.unclear.append(result.unclear)
            last = place
            yield result

    @property
    def several(self) -> int:
        """How many photographs show several faces."""
        return sum(count is not None and count > 1 for count in self.faces)


def embed_each(
    photographs: Iterable[Photograph],
    embedder: Embedder,
    detector: Detector | None,
    always_align: bool = False,
    face: str = CLOSEST,
    on_image: Callable[[int], None] = lambda read: None,
) -> Iterator[EmbeddedPhotograph]:
    """Embed one face of each photograph, in order, or each face.

    A photograph without a face, or one that cannot be read, comes back with its problem; see `take_faces`. "closest"
    keeps all vectors in memory from the first photograph with several faces on, and no crop.

    Args:
        face: a rule of `nonesuch.perception.faces.FACE`; see `Labels` for "closest-to-label".
        on_image: told how many have been read.
    """
    rule = ALL if face == CLOSEST else face
    batches = read_faces(photographs, detector, always_align, on_image=on_image, face=rule)
    found = (faces for batch in batches for faces in _embedded(batch, embedder))
    if face == CLOSEST:
        yield from _closest(found, embedder)
    else:
        for faces in found:
            yield from faces


def _embedded(batch: FaceBatch, embedder: Embedder) -> Iterator[list[EmbeddedPhotograph]]:
    """The faces of each photograph of a batch, or the one problem of it."""
    vectors = iter(embedder.embed(batch.crops) if len(batch.crops) else ())
    for photograph, taken in zip(batch.photographs, batch.taken, strict=True):
        faces = []
        for one in taken.faces:
            vector, problem = next(vectors), ""
            if not (good := bool(np.isfinite(vector).all() and vector.any())):
                problem = f"{photograph.name}: {embedder.name}'s {NO_VECTOR}"
            known = photograph
            if one.landmarks is not None:
                known = replace(photograph, landmarks=tuple((float(x), float(y)) for x, y in one.landmarks))
            crop, kept = (one.crop, vector) if good else (None, None)
            faces.append(EmbeddedPhotograph(known, crop, kept, problem, taken.count, one.number, one.rivalled))
        yield faces or [EmbeddedPhotograph(photograph, None, None, taken.problem, taken.count)]


def _closest(found: Iterable[list[EmbeddedPhotograph]], embedder: Embedder) -> Iterator[EmbeddedPhotograph]:
    """Of each photograph the face that is closest to its label."""
    labels = Labels(embedder.card.known_threshold(_SAME_FMR))
    held: list[list[EmbeddedPhotograph]] = []  # from the first that has to wait for the label's other photographs
    for faces in found:
        good = [face for face in faces if face.vector is not None] or faces[:1]
        if good[0].vector is not None:
            labels.add(good[0].photograph.identity, _vectors(good))
        if len(good) == 1 and not held:
            yield good[0]
        else:
            held.append([replace(face, crop=None) for face in good])
    for faces in held:
        place, unclear = 0, None
        if len(faces) > 1:
            place, unclear = labels.closest(faces[0].photograph.identity, _vectors(faces))
        chosen = faces[place]
        yield chosen if unclear is None else replace(chosen, unclear=unclear)
    if labels.alone:
        notice(
            f"{labels.alone} identities have no photograph of one face: the face that their photographs have in common "
            "is taken, of a single photograph the largest"
        )


def _vectors(faces: Sequence[EmbeddedPhotograph]) -> NDArray[np.float32]:
    return np.stack([face.vector for face in faces if face.vector is not None])


def stored_embeddings(photographs: Iterable[VectorPhotograph], embedder: Embedder) -> Iterator[EmbeddedPhotograph]:
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


def _check_width(photograph: VectorPhotograph, record: VectorRecord, embedder: Embedder) -> None:
    where = f"{photograph.container}:{photograph.name}"
    if len(record.vector) != embedder.card.embedding_dim:
        raise NonesuchError(
            f"{where}: vectors of width {len(record.vector)}, {embedder.name} gives {embedder.card.embedding_dim}; "
            "name the embedder that made them with --embedder"
        )


def _check_stored(photograph: VectorPhotograph, record: VectorRecord, embedder: Embedder) -> None:
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
    face: str = CLOSEST,
) -> list[str]:
    """Write a table of `OF_PHOTOGRAPHS`, a row per result, with the embedder in its metadata.

    Args:
        out: Parquet file.
        crops: folder for the aligned crops, see `CropFolder`; None for none.
        on_image: told how many are done.
        face: the rule by which the faces were taken; crops of "all" have a face's number in their name, where a
            photograph shows several.

    Returns:
        The problem of each photograph that has none.

    Raises:
        NonesuchError: no photograph gave a vector, or the disk is full; nothing is then written to `out`.
    """
    schema = OF_PHOTOGRAPHS.with_metadata(table_metadata(embedder.name, embedder.card.sha256, PHOTOGRAPHS))
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
            if folder is not None and (crop := result.read_crop()) is not None:
                numbered = face == ALL and (result.faces or 0) > 1
                folder.write(result.photograph, crop, result.face if numbered else None)
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
        pa.array([row.faces for row in rows], pa.int32()),
        pa.array([row.face for row in rows], pa.int32()),
        pa.array([row.unclear for row in rows], pa.bool_()),
    ]
    return pa.record_batch(columns, schema=schema)
