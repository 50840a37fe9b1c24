"""Manifests of cleaned images: which images of a source stay, and with which identity. No image is moved or copied."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.formats.photographs import Photograph

_SCHEMA = pa.schema([("file", pa.string()), ("identity", pa.string()), ("was", pa.string())])
_SOURCE, _RELATIVE, _LABEL = b"source", b"relative_source", b"label"
FindImages = Callable[[Path, str | None, str | None], list[Photograph]]


@dataclass(frozen=True)
class Label:
    """The identity of an image, and its identity before."""

    identity: str
    was: str


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
    """Files called `.parquet`."""
    return path.suffix.lower() == ".parquet"


def find(path: Path, split: str | None, find_images: FindImages) -> list[Photograph]:
    """The images that a manifest keeps, under its labels.

    Args:
        split: where the manifest's source names splits, only the images of this one.
        find_images: finds those of the manifest's source, which may be of any kind.

    Raises:
        NonesuchError: as in `read` and `find_images`; or the images are no longer those that were cleaned.
    """
    manifest = read(path)
    found = find_images(manifest.source, split, manifest.label)
    missing = set(manifest.labels) - {item.name for item in found}
    if missing and split is not None:
        missing -= {item.name for item in find_images(manifest.source, None, manifest.label)}
    mend = f"make {path.name} again with 'nonesuch clean'"
    if missing:
        raise NonesuchError(
            f"{path}: {manifest.source} lacks {len(missing)} of its images, the first is {min(missing)}; {mend}"
        )
    kept = []
    for item in found:
        if (label := manifest.labels.get(item.name)) is None:
            continue
        if label.was != item.identity:
            raise NonesuchError(f"{path}: {item.name} was of {label.was}, and is of {item.identity} now; {mend}")
        kept.append(replace(item, identity=label.identity))
    if found and not kept:
        raise NonesuchError(f"{path}: keeps none of the images of {manifest.source} in the split {split}")
    return kept


def write(
    path: Path,
    source: Path,
    rows: Sequence[tuple[str, Label]],
    made_by: Mapping[str, str],
    label: str | None = None,
) -> None:
    """Write a manifest (`file`, `identity`, `was`).

    Its metadata hold the place of the images, absolute and relative to the manifest, and `made_by`: what found the
    labels, and how.

    Raises:
        NonesuchError: the disk is full or the place cannot be written.
    """
    where = {
        **({} if label is None else {_LABEL: label.encode()}),
        _SOURCE: os.fsencode(source.resolve()),
        _RELATIVE: os.fsencode(Path(os.path.relpath(source.resolve(), path.resolve().parent)).as_posix()),
    }
    schema = _SCHEMA.with_metadata(where | {key.encode(): value.encode() for key, value in made_by.items()})
    columns = [
        [name for name, _ in rows],
        [label.identity for _, label in rows],
        [label.was for _, label in rows],
    ]
    with files.replacing(path) as temporary:
        pq.write_table(pa.table(columns, schema=schema), temporary)


def read(path: Path) -> Relabelling:
    """Read a manifest and find its source: where it was, otherwise at the same place relative to the manifest.

    Raises:
        NonesuchError: the file is damaged or not such a manifest, or its source is in neither place.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise NonesuchError(f"{path}: not a readable manifest ({str(error).splitlines()[0]})") from error
    metadata: dict[bytes, bytes] = table.schema.metadata or {}
    if _SOURCE not in metadata or _RELATIVE not in metadata or not table.schema.equals(_SCHEMA):
        raise NonesuchError(
            f"{path}: a table, but not a manifest of 'nonesuch clean'; name the folder or tar that holds the images"
        )
    first, relative = Path(os.fsdecode(metadata[_SOURCE])), os.fsdecode(metadata[_RELATIVE])
    source = next((place for place in (first, path.resolve().parent / relative) if place.exists()), None)
    if source is None:
        raise NonesuchError(
            f"{path}: its images are neither at {first} nor, seen from the manifest, at {relative}; put them back, or "
            "clean them again"
        )
    if source.resolve() == path.resolve():
        raise NonesuchError(f"{path}: names itself as its source; clean the images again")
    rows = zip(*(table[name].to_pylist() for name in _SCHEMA.names), strict=True)
    labels = {name: Label(identity, was) for name, identity, was in rows}
    return Relabelling(source, labels, metadata[_LABEL].decode() if _LABEL in metadata else None)
