"""The place for what was seen in images: beside the shards of a dataset of ours, otherwise in a folder of its own."""

import contextlib
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from nonesuch.core import files, parquet
from nonesuch.core.errors import NonesuchError
from nonesuch.formats import manifest as manifests
from nonesuch.formats.columns import columns_file, have_columns, write_columns
from nonesuch.formats.photograph_lists import signature
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.plan import Plan
from nonesuch.formats.shard_rows import ShardRows

_PART = 4096  # images of a part, where there are no shards
_MADE_BY, _IMAGES = b"made_by", b"images"


class ColumnStore:
    """Groups of columns of a source's images, part by part.

    Attributes:
        spans: which images each part holds.

    Args:
        photographs: all photographs of a source, in the order of `find`.
        dataset: the dataset of ours that they are in; None where they are in none.
        apart: a folder for the columns, used where there is no dataset, or one that cannot be written.

    Raises:
        NonesuchError: a dataset of ours is not complete, or its files are not in the order of its plan.
    """

    def __init__(self, photographs: Sequence[Photograph], dataset: Path | None, apart: Path | None) -> None:
        self._photographs = photographs
        self._dataset = dataset
        self._apart = apart if dataset is None or not files.can_write(dataset) else None
        self._kept_apart: set[tuple[str, int]] = set()  # groups and parts whose columns are not in the dataset
        if dataset is None:
            count = len(photographs)
            self.spans = [slice(start, min(start + _PART, count)) for start in range(0, count, _PART)]
            return
        if not manifests.read(dataset).complete:
            raise NonesuchError(f"{dataset}: not complete; run the command that made it again")
        # `find` has compared each index with its tar and the plan, so that only a shard can be missing.
        columns = photographs.columns if isinstance(photographs, ShardRows) and photographs.rows is None else None
        there = [] if columns is None else columns.shards.tolist()
        for shard in range(Plan(dataset).shards):
            if there[shard : shard + 1] != [shard]:
                raise NonesuchError(f"{dataset}: shard {shard:06d} does not match its index; see 'nonesuch verify'")
        starts = [] if columns is None else columns.starts.tolist()
        self.spans = [slice(*ends) for ends in itertools.pairwise(starts)]

    def has(self, group: str, part: int, made_by: str) -> bool:
        """Whether a part has these columns, made by what `made_by` names (a model's hash) from the same images."""
        if self._dataset is not None and have_columns(self._dataset, group, part, made_by):
            return True
        if self._apart is None:
            return False
        try:
            metadata = parquet.read_schema(self._place_apart(self._apart, group, part)).metadata or {}
        except parquet.UNREADABLE:
            return False
        found = (metadata.get(_MADE_BY), metadata.get(_IMAGES)) == (made_by.encode(), self._signature(part))
        if found:
            self._kept_apart.add((group, part))
        return found

    def read(self, group: str, part: int) -> pa.Table:
        """The columns of a part that `has` or `write` was asked about last, without keys or metadata.

        Raises:
            NonesuchError: the file cannot be read.
        """
        path = self._place(group, part)
        try:
            table = parquet.read_table(path).replace_schema_metadata(None)
        except parquet.UNREADABLE as error:
            raise NonesuchError(f"{path}: damaged; remove it and run the same command again") from error
        return table.drop_columns(["key"]) if "key" in table.column_names else table

    def write(self, group: str, part: int, made_by: str, columns: pa.Table) -> Path:
        """Keep the columns of a part, a row per image; returns the folder of the group.

        Raises:
            NonesuchError: they cannot be written.
        """
        if self._apart is None:
            assert self._dataset is not None
            write_columns(self._dataset, group, part, made_by, columns)
            return columns_file(self._dataset, group, part).parent
        self._kept_apart.add((group, part))
        path = self._place_apart(self._apart, group, part)
        files.make_folder(path.parent)
        with files.replacing(path) as temporary:
            told = {_MADE_BY: made_by.encode(), _IMAGES: self._signature(part)}
            parquet.write_table(columns.replace_schema_metadata(told), temporary)
        return path.parent

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from writing to a dataset of ours; raises NonesuchError where one does."""
        if self._dataset is None or self._apart is not None:
            yield
            return
        with manifests.locked(self._dataset):
            yield

    def _place(self, group: str, part: int) -> Path:
        if self._dataset is not None and (group, part) not in self._kept_apart:
            return columns_file(self._dataset, group, part)
        assert self._apart is not None
        return self._place_apart(self._apart, group, part)

    @staticmethod
    def _place_apart(folder: Path, group: str, part: int) -> Path:
        return folder / group / f"{part:06d}.parquet"

    def _signature(self, part: int) -> bytes:
        images = self._photographs[self.spans[part]]
        containers = {item.container for item in images}
        written = sorted((str(path), path.stat().st_mtime_ns) for path in containers)
        return hashlib.sha256(f"{signature(images)} {written}".encode()).hexdigest().encode()
