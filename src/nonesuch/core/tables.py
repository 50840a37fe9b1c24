"""Reading tables (Parquet, CSV) through DuckDB, and columns of vectors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError

# What pyarrow raises for damaged files; names and metadata that are not UTF-8 are a ValueError.
UNREADABLE = (OSError, pa.ArrowException, ValueError)


def read_parquet(path: Path, what: str) -> pa.Table:
    """A Parquet table whose every value has been checked.

    Args:
        what: should be there, for the message.

    Raises:
        NonesuchError: the file is missing or damaged.
    """
    try:
        table = pq.read_table(path)
        table.validate(full=True)
        assert all(isinstance(name, str) for name in table.column_names)  # decodes them
    except UNREADABLE as error:
        told = (str(error).splitlines() or [""])[0]
        raise NonesuchError(f"{path}: not a readable {what} ({told})") from error
    return table


def read_columns(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> dict[str, list[Any]]:
    """Columns of a `.parquet`, `.csv` or `.csv.gz` table, by name.

    Raises:
        NonesuchError: the file cannot be read as a table, or lacks one of `columns`.
    """
    try:
        with duckdb.connect() as connection:
            table = _open(connection, path)
            missing = [name for name in columns if name not in table.columns]
            if missing:
                raise NonesuchError(f"{path}: lacks the column {missing[0]}; it has {', '.join(table.columns)}")
            wanted = [*columns, *(name for name in optional if name in table.columns)]
            rows = table.project(", ".join(f'"{name}"' for name in wanted)).fetchall()
    except duckdb.Error as error:
        raise NonesuchError(f"{path}: not a readable table ({str(error).splitlines()[0]})") from error
    return {name: [row[i] for row in rows] for i, name in enumerate(wanted)}


def load_into(connection: duckdb.DuckDBPyConnection, path: Path, name: str, key: str) -> None:
    """Load a file into a table of this name on a connection; errors as in `read_columns`, where `key` is needed."""
    try:
        table = _open(connection, path)
        if key not in table.columns:
            raise NonesuchError(f"{path}: lacks the column {key}; it has {', '.join(table.columns)}")
        table.create(name)
    except duckdb.Error as error:
        raise NonesuchError(f"{path}: not a readable table ({str(error).splitlines()[0]})") from error


def column_names(path: Path) -> list[str]:
    """Names of a table's columns; errors as in `read_columns`."""
    try:
        with duckdb.connect() as connection:
            return list(_open(connection, path).columns)
    except duckdb.Error as error:
        raise NonesuchError(f"{path}: not a readable table ({str(error).splitlines()[0]})") from error


def embeddings(column: pa.ChunkedArray) -> NDArray[np.float32]:
    """A list column of equal lengths, without nulls -> (N, D) float32.

    Raises:
        NonesuchError: the column holds something else, the lists differ in length, or one is missing.
    """
    kind = column.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not is_list or not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
        raise NonesuchError(f"the column of vectors holds {kind}, not lists of numbers")
    if column.null_count:
        raise NonesuchError(f"{column.null_count} rows hold no vector; remove them")
    values = column.combine_chunks()
    values = values if isinstance(values, pa.Array) else values.chunk(0)
    flat = values.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    if len(column) == 0 or len(flat) % len(column):
        raise NonesuchError("the vectors have different widths")
    if pa.types.is_list(values.type) and len(set(np.diff(values.offsets.to_numpy()))) > 1:
        raise NonesuchError("the vectors have different widths")
    return flat.reshape(len(column), -1)


def with_nulls(table: pa.Table, there: NDArray[np.bool_]) -> pa.Table:
    """A row for each of (N,) `there`: those of the table, in order, where it is true, and nulls elsewhere."""
    rows = np.cumsum(there, dtype=np.int64) - 1
    return table.take(pa.array(rows, mask=~there))


def _open(connection: duckdb.DuckDBPyConnection, path: Path) -> duckdb.DuckDBPyRelation:
    read = connection.read_parquet if path.suffix == ".parquet" else connection.read_csv
    return read(str(path))
