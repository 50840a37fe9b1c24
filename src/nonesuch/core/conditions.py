"""Conditions in SQL over the columns of tables; they can read nothing else."""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError

_ROW = "nonesuch_row"  # a column for the rows' numbers


def text(value: object) -> str:
    """A text or path in SQL; of several, their list."""
    if isinstance(value, list):
        return f"[{', '.join(map(text, value))}]"
    return "'" + str(value).replace("'", "''") + "'"


def rows_that_meet(
    connection: duckdb.DuckDBPyConnection,
    tables: Sequence[str],
    count: int,
    condition: str,
    option: str,
    missing: str = "",
    reads: Sequence[Path] = (),
) -> NDArray[np.int32]:
    """(K,) int32 ascending numbers of the rows that meet a condition.

    Args:
        connection: with the tables registered, or views of files; afterwards it can open no other file any more.
        tables: names in SQL of tables that stand side by side: their rows belong together by their number.
        count: rows of each.
        condition: one expression in SQL, such as "quality > 40 and abs(yaw) < 30".
        option: that named the condition, for the message.
        missing: in words, which columns are not there; ends the message.
        reads: the files of the views.

    Raises:
        NonesuchError: the condition cannot be read, or names columns that are not there.
    """
    beside = " POSITIONAL JOIN ".join(tables)
    numbered = f"(SELECT range::INTEGER AS {_ROW} FROM range({count})) POSITIONAL JOIN {beside}"
    try:
        if reads:
            connection.execute(f"SET allowed_paths = {text(list(reads))}")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        duckdb.SQLExpression(condition)  # one expression and nothing after it, otherwise an error
        found = connection.execute(f"SELECT {_ROW} FROM {numbered} WHERE ({condition})").fetchnumpy()
        return np.asarray(found[_ROW], dtype=np.int32)
    except duckdb.Error as error:
        told = str(error).splitlines()
        candidates = "; ".join(line.strip() for line in told if line.startswith("Candidate"))
        candidates = candidates.replace(f'"{_ROW}", ', "").replace(f', "{_ROW}"', "")
        raise NonesuchError(f"{option} {condition!r}: {' '.join([told[0], candidates]).strip()}{missing}") from error
    except RuntimeError as error:  # how DuckDB reports Ctrl-C
        raise KeyboardInterrupt from error
