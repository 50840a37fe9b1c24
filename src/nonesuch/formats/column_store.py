"""The place for what was seen in images: beside the shards of a dataset of ours, otherwise in a folder of its own."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.core.tables import UNREADABLE
from nonesuch.formats import manifest as manifests
from nonesuch.formats.columns import columns_file, have_columns, write_columns
from nonesuch.formats.photographs import Photograph, signature
from nonesuch.formats.plan import Plan
from nonesuch.formats.shards import key_of, read_index, shard_files

_PART = 4096  # images of a part, where there are no shards
_MADE_BY, _IMAGES = b"made_by", b"images"


class ColumnStore:
    """Groups of columns of a source's images, part by part.

    Attributes:
        spans: which images each part holds.

    Args:
        photographs: all photographs of a source, in the order of `find`.
        folder: the dataset that they are in, or a folder for the columns.
        in_dataset: whether it is a dataset of ours.

    Raises:
        NonesuchError: a dataset of ours is not complete, or its files are not in the order of its plan.
    """

    def __init__(self, photographs: Sequence[Photograph], folder: Path, in_dataset: bool) -> None:
        self._photographs = photographs
        self._folder, self._in_dataset = folder, in_dataset
        if not in_dataset:
            count = len(photographs)
            self.spans = [slice(start, min(start + _PART, count)) for start in range(0, count, _PART)]
            return
        if not manifests.read(folder).complete:
            raise NonesuchError(f"{folder}: not complete; run the command that made it again")
        keys = [key_of(photograph.name) for photograph in photographs]
        self.spans, start = [], 0
        for shard in range(Plan(folder).shards):
            expected = read_index(shard_files(folder, shard).index)["key"].to_pylist()
            self.spans.append(slice(start, start + len(expected)))
            if keys[self.spans[-1]] != expected:
                raise NonesuchError(f"{folder}: shard {shard:06d} does not match its index; see 'nonesuch verify'")
            start += len(expected)

    def has(self, group: str, part: int, made_by: str) -> bool:
        """Whether a part has these columns, made by what `made_by` names (a model's hash) from the same images."""
        if self._in_dataset:
            return have_columns(self._folder, group, part, made_by)
        try:
            metadata = pq.read_schema(self._place(group, part)).metadata or {}
        except UNREADABLE:
            return False
        return (metadata.get(_MADE_BY), metadata.get(_IMAGES)) == (made_by.encode(), self._signature(part))

    def read(self, group: str, part: int) -> pa.Table:
        """The columns of a part, without keys or metadata.

        Raises:
            NonesuchError: the file cannot be read.
        """
        path = self._place(group, part)
        try:
            table = pq.read_table(path).replace_schema_metadata(None)
        except UNREADABLE as error:
            raise NonesuchError(f"{path}: damaged; remove it and run the same command again") from error
        return table.drop_columns(["key"]) if "key" in table.column_names else table

    def write(self, group: str, part: int, made_by: str, columns: pa.Table) -> None:
        """Keep the columns of a part, a row per image; raises NonesuchError where they cannot be written."""
        if self._in_dataset:
            write_columns(self._folder, group, part, made_by, columns)
            return
        path = self._place(group, part)
        files.make_folder(path.parent)
        with files.replacing(path) as temporary:
            told = {_MADE_BY: made_by.encode(), _IMAGES: self._signature(part)}
            pq.write_table(columns.replace_schema_metadata(told), temporary)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from writing to a dataset of ours; raises NonesuchError where one does."""
        with manifests.locked(self._folder) if self._in_dataset else contextlib.nullcontext():
            yield

    def _place(self, group: str, part: int) -> Path:
        if self._in_dataset:
            return columns_file(self._folder, group, part)
        return self._folder / group / f"{part:06d}.parquet"

    def _signature(self, part: int) -> bytes:
        images = self._photographs[self.spans[part]]
        written = sorted({(str(item.container), item.container.stat().st_mtime_ns) for item in images})
        return hashlib.sha256(f"{signature(images)} {written}".encode()).hexdigest().encode()
