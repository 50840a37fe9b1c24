"""Conditions in SQL over the columns of tables; they can read nothing else."""

from typing import Any

import duckdb

from nonesuch.core.errors import NonesuchError


def rows_that_meet(
    connection: duckdb.DuckDBPyConnection, key: str, joined: str, condition: str, option: str, missing: str = ""
) -> list[Any]:
    """The key of each row that meets a condition.

    Args:
        connection: with the tables registered; afterwards it can open no file any more.
        key: column to return.
        joined: tables to select from, in SQL.
        condition: one expression in SQL, such as "quality > 40 and abs(yaw) < 30".
        option: that named the condition, for the message.
        missing: in words, which columns are not there; ends the message.

    Raises:
        NonesuchError: the condition cannot be read, or names columns that are not there.
    """
    try:
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        duckdb.SQLExpression(condition)  # one expression and nothing after it, otherwise an error
        return [row[0] for row in connection.execute(f"SELECT {key} FROM {joined} WHERE ({condition})").fetchall()]
    except duckdb.Error as error:
        told = str(error).splitlines()
        candidates = "; ".join(line.strip() for line in told if line.startswith("Candidate"))
        raise NonesuchError(f"{option} {condition!r}: {' '.join([told[0], candidates]).strip()}{missing}") from error
    except RuntimeError as error:  # how DuckDB reports Ctrl-C
        raise KeyboardInterrupt from error
