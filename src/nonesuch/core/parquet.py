"""Parquet files by their very names: pyarrow itself would take a path for a URI, a pattern, or a home folder."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nonesuch.core.errors import NonesuchError

# What pyarrow raises for damaged files; names and metadata that are not UTF-8 are a ValueError.
UNREADABLE = (OSError, pa.ArrowException, ValueError)


def opened(path: Path, mode: str = "rb") -> pa.NativeFile:
    """A file for pyarrow to read ("rb") or write ("wb"); raises OSError."""
    return pa.OSFile(os.fsencode(path), mode)


def reader(path: Path, buffer: int = 0) -> pq.ParquetFile:
    """A file to read part by part; raises OSError or pa.ArrowException.

    Read ahead, pyarrow would keep each part that was read until the file is closed: in the end all of it.

    Args:
        buffer: bytes of a column that are read at once; 0 for all that a row group has of it.
    """
    return pq.ParquetFile(opened(path), pre_buffer=False, buffer_size=buffer)


def batches(table: pq.ParquetFile, rows: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """A file's columns, at most so many rows at a time; errors as in `reader`.

    A batch never spans two row groups: pyarrow cannot join lists of structs or of dictionaries.
    """
    for group in range(table.num_row_groups):
        yield from table.iter_batches(rows, row_groups=[group], columns=list(columns))


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """All of a file, or some of its columns; raises OSError or pa.ArrowException."""
    with opened(path) as file:
        return pq.read_table(file, columns=None if columns is None else list(columns))


def read_checked(path: Path, what: str, columns: Sequence[str] | None = None) -> pa.Table:
    """All of a file, or those of some columns that it has, with every value checked.

    Args:
        what: should be there, for the message.

    Raises:
        NonesuchError: the file is missing or damaged.
    """
    try:
        there = None if columns is None else [name for name in read_schema(path).names if name in columns]
        table = read_table(path, there)
        table.validate(full=True)
        assert all(isinstance(name, str) for name in table.column_names)  # decodes them
    except UNREADABLE as error:
        told = (str(error).splitlines() or [""])[0]
        raise NonesuchError(f"{path}: not a readable {what} ({told})") from error
    return table


def read_schema(path: Path) -> pa.Schema:
    """A file's columns and metadata; errors as in `read_table`."""
    with opened(path) as file:
        return pq.read_schema(file)


def write_table(table: pa.Table, path: Path) -> None:
    """Write a file; raises OSError."""
    with opened(path, "wb") as file:
        pq.write_table(table, file)


@contextmanager
def writer(path: Path, schema: pa.Schema, **options: Any) -> Iterator[pq.ParquetWriter]:
    """A writer of one file, part by part, with options of `pyarrow.parquet.ParquetWriter`; raises OSError."""
    with opened(path, "wb") as file, pq.ParquetWriter(file, schema, **options) as parts:
        yield parts
