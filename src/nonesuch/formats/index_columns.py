"""Which images the indices of a dataset's shards name, and where: only these columns are read, and checked at once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from nonesuch.core import parquet
from nonesuch.core.errors import NonesuchError
from nonesuch.formats.plan import PLAN
from nonesuch.formats.shards import COLLECTED_SCHEMA, INDEX_SCHEMA, TAR_BYTES, ShardFiles, shard_files

SCHEMA = pa.schema([("label", pa.int64()), ("image", pa.int32()), ("offset", pa.int64()), ("size", pa.int32())])
_BLOCK = 512  # a tar's members begin at multiples of it
_MEND = "see 'nonesuch verify'"


def read_indices(folder: Path, numbers: Sequence[int]) -> tuple[list[NDArray[Any]], NDArray[np.int64]]:
    """The columns of `SCHEMA` of some shards; and (S + 1,) where each one's rows begin, and where the last one's end.

    Raises:
        NonesuchError: an index is missing or damaged, or does not fit its tar or the plan.
    """
    plan, shards = _plan(folder), [shard_files(folder, number) for number in numbers]
    starts = np.cumsum([0, *map(images_of, shards)], dtype=np.int64)
    columns = [np.empty(starts[-1], dtype=field.type.to_pandas_dtype()) for field in SCHEMA]
    for number, shard, start, stop in zip(numbers, shards, starts[:-1], starts[1:], strict=True):
        part = _of_shard(shard, plan, number)
        if len(part) != stop - start:
            raise NonesuchError(f"{shard.index}: has changed while it was read; run the same command again")
        for column, values in zip(columns, part.columns, strict=True):
            column[start:stop] = values.to_numpy()
    return columns, starts


def images_of(shard: ShardFiles) -> int:
    """How many images an index names; raises NonesuchError where it is missing or damaged."""
    return int(_opened(shard).metadata.num_rows)


def _plan(folder: Path) -> pq.ParquetFile | None:
    """The plan, which an import has only when it is complete."""
    if not (folder / PLAN).is_file():
        return None
    try:
        return parquet.reader(folder / PLAN)
    except parquet.UNREADABLE as error:
        raise NonesuchError(f"{folder}: no readable plan ({error})") from error


def _opened(shard: ShardFiles) -> pq.ParquetFile:
    try:
        return parquet.reader(shard.index)
    except FileNotFoundError as error:
        raise NonesuchError(f"{shard.tar}: has no index; run the command that made it again") from error
    except parquet.UNREADABLE as error:
        raise _unreadable(shard, error) from error


def _unreadable(shard: ShardFiles, error: Exception) -> NonesuchError:
    told = (str(error).splitlines() or [""])[0]
    return NonesuchError(f"{shard.index}: not a readable shard index ({told}); {_MEND}")


def _of_shard(shard: ShardFiles, plan: pq.ParquetFile | None, number: int) -> pa.Table:
    index = _opened(shard)
    try:
        known = any(index.schema_arrow.equals(schema) for schema in (INDEX_SCHEMA, COLLECTED_SCHEMA))
        if not known:
            raise NonesuchError(f"{shard.index}: its columns are not those of a shard index")
        told = (index.schema_arrow.metadata or {}).get(TAR_BYTES, b"").decode()
        table = index.read(columns=SCHEMA.names).replace_schema_metadata(None)
        if any(column.null_count for column in table.columns):
            raise NonesuchError(f"{shard.index}: lacks a value; {_MEND}")
        table = table.cast(SCHEMA)
    except parquet.UNREADABLE as error:
        raise _unreadable(shard, error) from error
    size = shard.tar.stat().st_size
    if told != str(size):
        raise NonesuchError(f"{shard.tar}: truncated or changed, {size} bytes in place of {told}; copy it again")
    if not _lies_in(table, size):
        raise NonesuchError(f"{shard.index}: damaged, no tar has images in these places; {_MEND}")
    if plan is not None and not _is_planned(table, plan, number):
        raise NonesuchError(f"{shard.index}: lists other images than the plan; {_MEND}")
    return table


def _lies_in(table: pa.Table, size: int) -> bool:
    """Whether images lie one after the other in a tar of this size, and have numbers."""
    label, image, start, length = (table[name].to_numpy() for name in SCHEMA.names)
    ends = np.append(start[1:], size)
    numbered = min(column.min(initial=0) for column in (label, image, start, length)) >= 0
    return numbered and not (start % _BLOCK).any() and bool((start + length <= ends).all())


def _is_planned(table: pa.Table, plan: pq.ParquetFile, number: int) -> bool:
    if number >= plan.num_row_groups:
        return False
    try:
        planned = plan.read_row_group(number, columns=["identity", "image"])
    except parquet.UNREADABLE:
        return False
    return bool(planned.replace_schema_metadata(None).rename_columns(["label", "image"]).equals(table.select([0, 1])))
