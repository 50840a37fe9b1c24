"""Reading tables (Parquet, CSV), and columns of vectors."""

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from nonesuch.core import parquet
from nonesuch.core.errors import NonesuchError

TEXT = ("file", "identity", "split", "key", "name")  # columns that are never numbers
_DELIMITERS = (",", "\t", ";", "|")
_LONGEST_HEADER = 1 << 20
_ROWS, _BUFFER = 1 << 14, 1 << 20  # of a column of vectors: rows that are held twice, bytes of the file read at once
_WIDTHS = "the vectors have different widths"


def read_columns(
    path: Path, columns: Sequence[str], optional: Sequence[str] = (), numbers: Sequence[str] = ()
) -> dict[str, list[Any]]:
    """Columns of a Parquet file or of a CSV (`.csv`, `.tsv`, also as `.gz`), by name; empty cells are None.

    A CSV is UTF-8, with or without a byte order mark; commas, tabs, semicolons or bars part its columns.

    Args:
        columns, optional: text, which is left as it is written: 007, 1e3 and 1000 are three identities. Whole numbers
            of a Parquet file become text without a decimal point.
        numbers: further optional columns, of numbers.

    Raises:
        NonesuchError: the file cannot be read as a table, lacks one of `columns`, or holds other values than those.
    """
    names = column_names(path)
    if missing := [name for name in columns if name not in names]:
        raise NonesuchError(f"{path}: lacks the column {missing[0]}; it has {', '.join(names)}")
    wanted = [name for name in dict.fromkeys([*columns, *optional, *numbers]) if name in names]
    table = _read(path, wanted, wanted)
    found = {}
    for name in wanted:
        try:
            found[name] = (_numbers if name in numbers else text)(table[name]).to_pylist()
        except pa.ArrowException as error:
            kind = "numbers" if name in numbers else "text, or whole numbers"
            raise NonesuchError(f"{path}: {name} must be {kind} ({str(error).splitlines()[0]})") from error
    return found


def read_for_conditions(path: Path, key: str) -> pa.Table:
    """All columns of a file, those of `TEXT` as text and numbers as numbers; errors as in `read_columns` of `key`."""
    names = column_names(path)
    if key not in names:
        raise NonesuchError(f"{path}: lacks the column {key}; it has {', '.join(names)}")
    return _read(path, names, [name for name in names if name in TEXT])


def column_names(path: Path) -> list[str]:
    """Names of a table's columns; errors as in `read_columns`."""
    try:
        return list(parquet.read_schema(path).names) if _is_parquet(path) else _header(path)[0]
    except (OSError, ValueError, EOFError, csv.Error) as error:
        raise _not_a_table(path, error) from error


def _read(path: Path, names: Sequence[str], as_text: Sequence[str]) -> pa.Table:
    try:
        if _is_parquet(path):
            return parquet.read_table(path, names)
        header, delimiter = _header(path)
        with parquet.opened(path) as file:
            packed = path.suffix.lower() == ".gz"
            return pacsv.read_csv(
                pa.CompressedInputStream(file, "gzip") if packed else file,
                read_options=pacsv.ReadOptions(column_names=header, skip_rows=1),
                parse_options=pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
                convert_options=pacsv.ConvertOptions(
                    include_columns=list(names),
                    column_types={name: pa.string() for name in as_text},
                    strings_can_be_null=True,
                    null_values=[""],
                ),
            )
    except parquet.UNREADABLE as error:
        raise _not_a_table(path, error) from error


def _header(path: Path) -> tuple[list[str], str]:
    """The column names of a CSV, and what stands between them."""
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        line = file.readline(_LONGEST_HEADER)
    delimiter = max(_DELIMITERS, key=line.count)
    names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    if not any(names) or "\0" in line:
        raise ValueError("it has no line of column names")
    return names, delimiter


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def _not_a_table(path: Path, error: Exception) -> NonesuchError:
    return NonesuchError(f"{path}: not a readable table of UTF-8 text or Parquet ({str(error).splitlines()[0]})")


def text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as text, whole numbers without a decimal point, empty text as null.

    Raises:
        pa.ArrowException: it holds other values.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):  # how pandas keeps whole numbers beside empty cells
        column = pc.if_else(pc.is_nan(column), None, column).cast(pa.int64())
    column = column.cast(pa.string())
    return pc.if_else(pc.equal(column, ""), None, column)


def _numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.utf8_trim_whitespace(column)
        if pc.all(pc.is_in(pc.utf8_lower(column), pa.array(["true", "false", None]))).as_py():
            column = column.cast(pa.bool_())
    return column.cast(pa.float64())


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
    widths = pc.unique(pc.list_value_length(column)).to_pylist()
    if len(widths) != 1:
        raise NonesuchError(_WIDTHS)
    found = np.empty((len(column), widths[0]), dtype=np.float32)
    done = 0
    for chunk in column.chunks:  # joined, lists of more than 2^31 numbers would not fit their 32-bit offsets
        found[done : done + len(chunk)] = chunk.flatten().to_numpy(zero_copy_only=False).reshape(len(chunk), widths[0])
        done += len(chunk)
    return found


def read_embeddings(path: Path, name: str) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """A Parquet file's column of vectors, read in parts: no more memory than the vectors take, and of any number.

    Args:
        name: of the column, of lists of any kind.

    Returns:
        (N,) which rows hold a vector; (K, D) these vectors, (0, 0) where there is none.

    Raises:
        NonesuchError: the file is missing or damaged, lacks the column, or as in `embeddings`.
    """
    try:
        with parquet.reader(path, _BUFFER) as file:
            there = np.zeros(file.metadata.num_rows, dtype=bool)
            found, row, kept = np.empty((0, 0), dtype=np.float32), 0, 0
            for batch in parquet.batches(file, _ROWS, [name]):
                batch.validate(full=True)
                column = batch.column(name)
                there[row : row + len(column)] = column.is_valid().to_numpy(zero_copy_only=False)
                row += len(column)
                if column.null_count == len(column):
                    continue
                part = embeddings(pa.chunked_array([column.drop_null()]))
                if not kept:
                    found = np.empty((len(there), part.shape[1]), dtype=np.float32)  # memory only once it is written
                if part.shape[1] != found.shape[1]:
                    raise NonesuchError(_WIDTHS)
                found[kept : kept + len(part)] = part
                kept += len(part)
    except (KeyError, *parquet.UNREADABLE) as error:
        raise _not_a_table(path, error) from error
    return there, found[:kept]


def with_nulls(table: pa.Table, there: NDArray[np.bool_]) -> pa.Table:
    """A row for each of (N,) `there`: those of the table, in order, where it is true, and nulls elsewhere."""
    rows = np.cumsum(there, dtype=np.int64) - 1
    return table.take(pa.array(rows, mask=~there))
