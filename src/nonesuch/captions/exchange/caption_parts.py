"""Images and their captions out of tables and JSON lines, some thousand at a time."""

import codecs
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from nonesuch.core import parquet, tables
from nonesuch.core.errors import NonesuchError

PARTS = pa.schema([("file", pa.string()), ("caption", pa.string())])
_ROWS = 8192  # in memory at a time
_LONGEST_LINE = 1 << 20  # bytes; without a limit a file that is no text would be one line


def table_parts(path: Path, file: str, caption: str) -> Iterator[pa.Table]:
    """The rows of a Parquet file as `PARTS`, in order; empty text is null.

    Args:
        file, caption: names of the columns in the file.

    Raises:
        NonesuchError: the file cannot be read, lacks a column, or holds other values than UTF-8 text.
    """
    done = 0
    with _opened(path) as table:
        names = table.schema_arrow.names
        for name in (file, caption):
            _check_column(path, name, names)
        batches = parquet.batches(table, _ROWS, [file, caption])
        while (batch := _next(path, batches)) is not None:
            part = pa.Table.from_batches([batch])
            columns = [_text(path, name, part[name], done) for name in (file, caption)]
            yield pa.table(columns, schema=PARTS)
            done += len(part)


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return parquet.reader(path)
    except FileNotFoundError as error:
        raise NonesuchError(f"{path}: no such file") from error
    except parquet.UNREADABLE as error:
        raise NonesuchError(f"{path}: not readable as Parquet ({_first_line(error)})") from error


def _check_column(path: Path, name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise NonesuchError(f"{path}: lacks the column {name}; it has {', '.join(names)}")
    if names.count(name) > 1:
        raise NonesuchError(f"{path}: has {names.count(name)} columns {name}; keep one")


def _next(path: Path, batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    try:
        return next(batches, None)
    except parquet.UNREADABLE as error:
        raise NonesuchError(f"{path}: damaged ({_first_line(error)}); copy it again") from error


def _text(path: Path, name: str, column: pa.ChunkedArray, done: int) -> pa.ChunkedArray:
    try:
        column.validate(full=True)
        return tables.text(column)
    except parquet.UNREADABLE as error:
        rows = f"rows {done + 1:,} to {done + len(column):,}"
        raise NonesuchError(f"{path}: {rows}: {name} must be text in UTF-8 ({_first_line(error)})") from error


def line_parts(path: Path, file: str, caption: str) -> Iterator[pa.Table]:
    """The objects of a file of JSON lines as `PARTS`, a row for each line; empty text is null.

    Args:
        file, caption: names of the values in the objects.

    Raises:
        NonesuchError: the file cannot be read, or a line is no JSON object in UTF-8 with these values.
    """
    try:
        with path.open("rb") as lines:
            rows: list[dict[str, str | None]] = []
            for number, line in _lines(path, lines):
                content = _object(f"{path}: line {number:,}", line, (file, caption))
                rows.append({"file": content[file] or None, "caption": content[caption] or None})
                if len(rows) == _ROWS:
                    yield pa.Table.from_pylist(rows, PARTS)
                    rows = []
            if rows:
                yield pa.Table.from_pylist(rows, PARTS)
    except FileNotFoundError as error:
        raise NonesuchError(f"{path}: no such file") from error
    except OSError as error:
        raise NonesuchError(f"{path}: not readable ({error.strerror or error})") from error


def _lines(path: Path, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers; a line's number names its image, so none is passed over but at the end."""
    number = blank = 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE and not line.endswith(b"\n"):
            raise NonesuchError(f"{path}: line {number:,}: longer than {_LONGEST_LINE:,} bytes; these are no captions")
        line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        if not line.strip():
            blank = blank or number
        elif blank:
            raise NonesuchError(f"{path}: line {blank:,}: empty; a line's number names its image, so mend or fill it")
        else:
            yield number, line


def _object(where: str, line: bytes, wanted: Sequence[str]) -> dict[str, Any]:
    try:
        content = msgspec.json.decode(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise NonesuchError(f"{where}: not UTF-8 ({error.reason}); save the file as UTF-8") from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise NonesuchError(f"{where}: not JSON ({_first_line(error)})") from error
    if not isinstance(content, dict):
        raise NonesuchError(f"{where}: no JSON object, which begins with a brace")
    for name in wanted:
        if name not in content:
            raise NonesuchError(f"{where}: lacks {name}; it has {', '.join(content) or 'nothing'}")
        if not isinstance(content[name], str | None):
            raise NonesuchError(f"{where}: {name} must be text, not {shorten(str(content[name]), 40)}")
    return content


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
