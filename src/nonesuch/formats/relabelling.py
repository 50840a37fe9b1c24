"""Manifests of cleaned images: which images of a source stay, and with which identity. No image is moved or copied."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from nonesuch.core import files, listing, parquet
from nonesuch.core.errors import NonesuchError
from nonesuch.formats import image_parquet
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.relabelled_rows import Match, match_rows
from nonesuch.formats.shard_rows import ShardRows

_SCHEMA = pa.schema([("file", pa.string()), ("identity", pa.string()), ("was", pa.string())])
_FACE = "landmarks"  # a column of sets with photographs of several faces: which one was meant
_WITH_FACE = _SCHEMA.append(pa.field(_FACE, pa.list_(pa.float64())))
_SOURCE, _RELATIVE, _LABEL = b"source", b"relative_source", b"label"
FindImages = Callable[[Path, str | None, str | None], Sequence[Photograph]]
_LONGEST = 100  # manifests of manifests


@dataclass(frozen=True)
class Label:
    """The identity of an image, and its identity before.

    Attributes:
        landmarks: as in `Photograph`: of the face that is of the identity, where the image shows several.
    """

    identity: str
    was: str
    landmarks: tuple[tuple[float, float], ...] | None = None


@dataclass(frozen=True)
class Relabelling:
    """A manifest.

    Attributes:
        source: where the images are; any source that `readers.find` takes.
        labels: by the image's name in the source.
        label: which folder of the source named the identities before, see `nonesuch.formats.labels`.
    """

    source: Path
    labels: dict[str, Label]
    label: str | None


def takes(path: Path) -> bool:
    """Files called `.parquet` that hold no images."""
    return path.suffix.lower() == ".parquet" and not image_parquet.takes(path)


def find(path: Path, split: str | None, find_images: FindImages) -> Sequence[Photograph]:
    """The images that a manifest keeps, under its labels; of a dataset of ours as `ShardRows`.

    Args:
        split: where the manifest's source names splits, only the images of this one.
        find_images: finds those of the manifest's source, which may be of any kind.

    Raises:
        NonesuchError: as in `read` and `find_images`; or the images are no longer those that were cleaned.
    """
    chain(path)
    schema = _read_schema(path)
    source = _source(path, schema)
    found = find_images(source, split, _label(schema))
    match: Match | None = None
    if isinstance(found, ShardRows) and _FACE not in schema.names:
        match = match_rows(found, _batches(path))
    if match is None:
        match = _match(read(path), found, split, find_images)
    mend = f"make {path.name} again with 'nonesuch clean'"
    if match.missing:
        raise NonesuchError(f"{path}: {source} lacks {match.missing} of its images, the first is {match.first}; {mend}")
    if match.changed is not None:
        name, was, now = match.changed
        raise NonesuchError(f"{path}: {name} was of {was}, and is of {now} now; {mend}")
    if found and not match.kept:
        raise NonesuchError(f"{path}: keeps none of the images of {source} in the split {split}")
    return match.kept


def _match(manifest: Relabelling, found: Sequence[Photograph], split: str | None, find_images: FindImages) -> Match:
    """What a manifest keeps of images of any kind; of those that it lacks, other splits of the source may hold some."""
    missing = set(manifest.labels) - {item.name for item in found}
    if missing and split is not None:
        missing -= {item.name for item in find_images(manifest.source, None, manifest.label)}
    kept: list[Photograph] = []
    first = min(missing, default="")
    for item in found:
        if (label := manifest.labels.get(item.name)) is None:
            continue
        if label.was != item.identity:
            return Match(kept, len(missing), first, (item.name, label.was, item.identity))
        kept.append(replace(item, identity=label.identity, landmarks=label.landmarks or item.landmarks))
    return Match(kept, len(missing), first)


def write(
    path: Path,
    source: Path,
    rows: Iterable[tuple[str, Label]],
    made_by: Mapping[str, str],
    label: str | None = None,
    with_faces: bool = False,
) -> None:
    """Write a manifest (`file`, `identity`, `was`), some thousand rows at a time.

    Its metadata hold the place of the images, absolute and relative to the manifest, and `made_by`: what found the
    labels, and how.

    Args:
        with_faces: whether it has a column of `landmarks`, as it needs where a face among several is known.

    Raises:
        NonesuchError: the disk is full or the place cannot be written.
    """
    whole = source.resolve()
    try:
        relative = Path(os.path.relpath(whole, path.resolve().parent))
    except ValueError:  # on another drive of Windows
        relative = whole
    where = {
        **({} if label is None else {_LABEL: label.encode()}),
        _SOURCE: os.fsencode(whole),
        _RELATIVE: os.fsencode(relative.as_posix()),
    }
    schema = (_WITH_FACE if with_faces else _SCHEMA).with_metadata(
        where | {key.encode(): value.encode() for key, value in made_by.items()}
    )
    remaining = iter(rows)
    with files.replacing(path) as temporary, parquet.writer(temporary, schema) as table:
        while some := list(islice(remaining, listing.BATCH)):
            columns: list[list[Any]] = [
                [name for name, _ in some],
                [label.identity for _, label in some],
                [label.was for _, label in some],
            ]
            if not with_faces and any(label.landmarks for _, label in some):
                raise ValueError("a face among several is known, which with_faces keeps")
            if with_faces:
                columns.append([_numbers(label.landmarks) for _, label in some])
            table.write_table(pa.table(columns, schema=schema))


def _numbers(landmarks: tuple[tuple[float, float], ...] | None) -> list[float] | None:
    return None if landmarks is None else [number for point in landmarks for number in point]


def read(path: Path) -> Relabelling:
    """Read a manifest and find its source: where it was, otherwise at the same place relative to the manifest.

    Raises:
        NonesuchError: the file is damaged or not such a manifest, or its source is in neither place.
    """
    table = parquet.read_checked(path, "manifest")
    source = _source(path, table.schema)
    _check_whole(path, table)
    rows = zip(*(table[name].to_pylist() for name in _SCHEMA.names), strict=True)
    faces = table[_FACE].to_pylist() if _FACE in table.column_names else [None] * len(table)
    if any(face is not None and (len(face) != 10 or None in face) for face in faces):
        raise NonesuchError(f"{path}: a row's {_FACE} are not five points; clean the images again")
    labels = {
        name: Label(identity, was, face and tuple(zip(face[::2], face[1::2], strict=True)))
        for (name, identity, was), face in zip(rows, faces, strict=True)
    }
    return Relabelling(source, labels, _label(table.schema))


def source_of(path: Path) -> Path:
    """Where the images of a manifest are; errors as in `read`."""
    return _source(path, _read_schema(path))


def chain(path: Path) -> list[Path]:
    """A manifest, the one that is its source where that is a manifest too, and so on, resolved.

    Raises:
        NonesuchError: as in `read`, or they lead back to one of themselves.
    """
    found: list[Path] = []
    while takes(path) and path.is_file():
        if path.resolve() in found or len(found) == _LONGEST:
            raise NonesuchError(f"{found[0]}: names itself as its source, over {len(found)} manifests; clean again")
        found.append(path.resolve())
        path = source_of(path)
    return found


def _read_schema(path: Path) -> pa.Schema:
    try:
        return parquet.read_schema(path)
    except parquet.UNREADABLE as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> NonesuchError:
    told = (str(error).splitlines() or [""])[0]
    return NonesuchError(f"{path}: not a readable manifest ({told})")


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The rows without landmarks, each value checked; raises NonesuchError as `read`."""
    try:
        for batch in parquet.batches(parquet.reader(path), listing.BATCH, _SCHEMA.names):
            batch.validate(full=True)
            _check_whole(path, batch)
            yield batch
    except parquet.UNREADABLE as error:
        raise _unreadable(path, error) from error


def _check_whole(path: Path, rows: pa.Table | pa.RecordBatch) -> None:
    if any(rows.column(name).null_count for name in _SCHEMA.names):
        raise NonesuchError(f"{path}: a row lacks its file or its identity; clean the images again")


def _label(schema: pa.Schema) -> str | None:
    metadata: dict[bytes, bytes] = schema.metadata
    return metadata[_LABEL].decode() if _LABEL in metadata else None


def _source(path: Path, schema: pa.Schema) -> Path:
    """Where the images of a manifest of this schema are."""
    metadata: dict[bytes, bytes] = schema.metadata or {}
    if (
        _SOURCE not in metadata
        or _RELATIVE not in metadata
        or not (schema.equals(_SCHEMA) or schema.equals(_WITH_FACE))
    ):
        raise NonesuchError(
            f"{path}: a table, but not a manifest of 'nonesuch clean'; name the folder or tar that holds the images"
        )
    if b"\0" in metadata[_SOURCE] + metadata[_RELATIVE]:
        raise NonesuchError(f"{path}: the place of its images is none; clean the images again")
    first, relative = Path(os.fsdecode(metadata[_SOURCE])), os.fsdecode(metadata[_RELATIVE])
    source = next((place for place in (first, path.resolve().parent / relative) if place.exists()), None)
    if source is None:
        raise NonesuchError(
            f"{path}: its images are neither at {first} nor, seen from the manifest, at {relative}; put them back, or "
            "clean them again"
        )
    return source
