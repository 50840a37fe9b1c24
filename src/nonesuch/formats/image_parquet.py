"""Parquet as Hugging Face's datasets have it: a column of images, each with `bytes` and `path`, and one of labels."""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from nonesuch.core import parquet
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice
from nonesuch.core.tables import text
from nonesuch.formats.packs import packs
from nonesuch.formats.photographs import Photograph, readable
from nonesuch.formats.to_write import ToWrite

_HUGGING_FACE = b"huggingface"  # of the metadata
_LABELS = ("identity", "label")
_GROUP = 100  # images that are read at once, as datasets writes them
_SHARD = 50_000  # images
_LARGEST_GROUP, _SLOW_GROUP = 1 << 30, 64 << 20  # bytes
_READING = Lock()  # two threads read crops
_ClassNames = dict[str | None, str | None]
_SHARD_NAME = re.compile(r"(\w+)-\d{5}-of-\d{5}(-\w+)?\.parquet")


@dataclass(frozen=True)
class ParquetPhotograph(Photograph):
    """An image in a row group of a file.

    Attributes:
        column: that holds it.
        group, row: of the file, of the group.
    """

    column: str = "image"
    group: int = 0
    row: int = 0

    @property
    def is_packed(self) -> bool:
        """Whether its file holds other images, too."""
        return True

    def read_bytes(self) -> bytes:
        """The encoded image; raises NonesuchError where the file is damaged or the row holds no image."""
        try:
            told = self.container.stat()
            images = _images(self.container, (told.st_mtime_ns, told.st_size), self.column, self.group)
            data = images[self.row].as_py()
        except (*parquet.UNREADABLE, IndexError) as error:
            raise NonesuchError(f"{self.container}: {self.name} cannot be read ({_first_line(error)})") from error
        if data is None:
            raise NonesuchError(f"{self.container}: row {self.row} of group {self.group} has no image; remove it")
        return bytes(data)


def takes(path: Path) -> bool:
    """A `.parquet` with a column of images, or a folder of them with neither images nor folders beside them."""
    return any(_is_of_images(file) for file in packs(path, (".parquet",)))


def find(path: Path, split: str | None) -> list[Photograph]:
    """All images, file by file in name order, row by row.

    The identity is what a column `identity` says, otherwise `label`: text, or a number, which is given its name where
    the metadata have one. An image without is left out. The name is the image's path where no two are the same,
    otherwise its number.

    Args:
        split: of a folder with files named SPLIT-00000-of-00001.parquet, only this one.

    Raises:
        NonesuchError: a file is damaged, holds no images or has groups of more than a GiB, an image has no bytes, a
            label has no name, or the folder lacks the split.
    """
    files = packs(path, (".parquet",))
    splits = [match[1] if (match := _SHARD_NAME.fullmatch(file.name)) else None for file in files]
    if path.is_dir() and split is not None and any(splits):
        files = [file for file, name in zip(files, splits, strict=True) if name == split]
        if not files:
            there = ", ".join(sorted({str(name) for name in splits}))
            raise NonesuchError(f"{path}: has no split {split}, but {there}; name one of its files")
    found: list[ParquetPhotograph] = []
    unlabelled = 0
    for file in files:
        try:
            unlabelled += _find_in(file, found)
        except parquet.UNREADABLE as error:
            raise NonesuchError(f"{file}: damaged ({_first_line(error)}); copy it again") from error
    if unlabelled:
        notice(f"{path}: {unlabelled} images have no label and are left out")
    times = Counter(item.name for item in found)
    if "" in times or len(times) < len(found):
        return [replace(item, name=str(number)) for number, item in enumerate(found)]
    return list(found)


def _find_in(file: Path, found: list[ParquetPhotograph]) -> int:
    """Add the images of a file; returns how many have no label."""
    table = parquet.reader(file)
    column = _image_column(table.schema_arrow)
    if column is None:
        raise NonesuchError(f"{file}: has no column of images, unlike the others beside it; move it elsewhere")
    label = next((name for name in _LABELS if name in table.schema_arrow.names), None)
    names = None if label is None else _class_names(file, table.schema_arrow, label)
    unlabelled = 0
    for group in range(table.num_row_groups):
        _check_group(file, table, group, column)
        columns = [f"{column}.path"] if label is None else [f"{column}.path", label]
        rows = table.read_row_group(group, columns=columns)
        paths = [place for part in rows[column].chunks for place in part.field("path").to_pylist()]
        people = [""] * len(rows) if label is None else _identities(file, rows[label], names)
        for row, (place, identity) in enumerate(zip(paths, people, strict=True)):
            if identity is None:
                unlabelled += 1
            else:
                name = readable(place or "")
                found.append(ParquetPhotograph(name, identity, file, column=column, group=group, row=row))
    return unlabelled


def _identities(file: Path, column: pa.ChunkedArray, names: _ClassNames | None) -> list[str | None]:
    try:
        found = text(column).to_pylist()
    except pa.ArrowException as error:
        raise NonesuchError(f"{file}: its labels are neither text nor whole numbers ({_first_line(error)})") from error
    if names is None:
        return [identity and readable(identity) for identity in found]
    if wrong := next((label for label in found if label not in names), None):
        raise NonesuchError(f"{file}: label {wrong} is none of those that its metadata name; write the file again")
    return [names[label] for label in found]


def _class_names(file: Path, schema: pa.Schema, label: str) -> _ClassNames | None:
    """The names of a column's classes in the metadata, by number as text; None where there are none."""
    if not pa.types.is_integer(schema.field(label).type) or _HUGGING_FACE not in (schema.metadata or {}):
        return None
    try:
        told = msgspec.json.decode(schema.metadata[_HUGGING_FACE])
        names = told["info"]["features"][label].get("names")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len({*names}) < len(names):
        raise NonesuchError(f"{file}: the names of its labels are not a list of different texts; write the file again")
    return {str(number): name for number, name in enumerate(names)} | {"-1": None, None: None}  # -1: not known


def _check_group(file: Path, table: pq.ParquetFile, group: int, column: str) -> None:
    """Raises NonesuchError where a row group is too large to be read whole, or is known to lack an image."""
    for number in range(table.metadata.num_columns):
        chunk = table.metadata.row_group(group).column(number)
        if chunk.path_in_schema != f"{column}.bytes":
            continue
        if chunk.total_uncompressed_size > _LARGEST_GROUP:
            raise NonesuchError(f"{file}: row groups of more than a GiB; write it with row_group_size={_GROUP}")
        if chunk.total_uncompressed_size > _SLOW_GROUP and group == 0:
            notice(f"{file}: row groups of more than 64 MiB are slow to read in random order; 100 images each are fast")
        if chunk.statistics is not None and chunk.statistics.null_count:
            raise NonesuchError(
                f"{file}: {chunk.statistics.null_count} of its images have no bytes, and paths are not followed; embed "
                "the images, or remove these rows"
            )


def _is_of_images(file: Path) -> bool:
    try:
        return _image_column(parquet.read_schema(file)) is not None
    except parquet.UNREADABLE:
        return False


def _image_column(schema: pa.Schema) -> str | None:
    """The first column of images, or the one called `image`."""
    found = [field.name for field in schema if _is_image(field.type)]
    return "image" if "image" in found else next(iter(found), None)


def _is_image(kind: pa.DataType) -> bool:
    if not pa.types.is_struct(kind):
        return False
    parts = {part.name: part.type for part in kind}
    data, path = parts.get("bytes", pa.null()), parts.get("path")
    return (pa.types.is_binary(data) or pa.types.is_large_binary(data)) and path in (
        *(pa.string(), pa.large_string()),
        pa.null(),  # where none of the images has a path
    )


@lru_cache(maxsize=4)
def _opened(file: Path, version: tuple[int, int]) -> pq.ParquetFile:
    return parquet.reader(file)


@lru_cache(maxsize=2)
def _images(file: Path, version: tuple[int, int], column: str, group: int) -> pa.ChunkedArray:
    """The encoded images of a row group. Reading one alone would take as long.

    Args:
        version: time and size of the file, which may be another one by now.
    """
    with _READING:
        rows = _opened(file, version).read_row_group(group, columns=[f"{column}.bytes"])
    return pa.chunked_array([part.field("bytes") for part in rows[column].chunks])


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def write(folder: Path, wanted: ToWrite) -> None:
    """Write `train-00000-of-N.parquet` and so on: image, class with its identity in the metadata, SHA-256.

    Raises:
        NonesuchError: an image cannot be read.
        OSError: the disk is full.
    """
    features: dict[str, Any] = {
        "image": {"_type": "Image"},
        "label": {"names": wanted.people, "_type": "ClassLabel"},
        "sha256": {"dtype": "string", "_type": "Value"},
    }
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema(
        [("image", image), ("label", pa.int64()), ("sha256", pa.string())],
        {_HUGGING_FACE: msgspec.json.encode({"info": {"features": features}})},
    )
    shards = -(-len(wanted) // _SHARD)
    images = iter(wanted)
    for shard in range(shards):
        name = f"train-{shard:05d}-of-{shards:05d}.parquet"
        last = min(len(wanted), (shard + 1) * _SHARD)
        with parquet.writer(folder / name, schema, use_dictionary=False, write_statistics=["label"]) as file:
            for start in range(shard * _SHARD, last, _GROUP):
                rows = [next(images) for _ in range(start, min(start + _GROUP, last))]
                columns = [
                    pa.array([{"bytes": row.data, "path": row.name} for row in rows], image),
                    pa.array([row.label for row in rows], pa.int64()),
                    pa.array([hashlib.sha256(row.data).hexdigest() for row in rows], pa.string()),
                ]
                file.write_table(pa.table(columns, schema=schema))
