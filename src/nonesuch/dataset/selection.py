"""Choosing images by their columns."""

from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nonesuch.core import parquet, tables
from nonesuch.core.conditions import rows_that_meet
from nonesuch.core.errors import NonesuchError
from nonesuch.formats.columns import MADE_BY, columns_file, columns_problem
from nonesuch.formats.photographs import plain_name
from nonesuch.formats.plan import Plan
from nonesuch.formats.shards import key_of, read_index, shard_files
from nonesuch.formats.source import Source
from nonesuch.formats.tar import table_beside


def select(source: Source, condition: str) -> Source:
    """A source with only those of its photographs whose columns meet a condition.

    Args:
        source: a dataset of ours, with the columns of its index (`key`, `label`, `image`, `sigma`, ...) and of all
            groups that were added; or a folder or tar with a table of the same name beside it.
        condition: a condition in SQL over the columns, such as "quality > 40 and abs(yaw) < 30". It can read nothing
            else. Columns that two groups share are named with their group, such as perception.yaw.

    Raises:
        NonesuchError: the source has no columns, the condition cannot be read, or no photograph meets it.
    """
    ours = source.is_dataset
    found, missing = _meeting(source.path, ours, condition)
    name_of = key_of if ours else plain_name
    names = {name if ours else plain_name(name) for name in found if name is not None}
    kept = [item for item in source.photographs if name_of(item.name) in names]
    if not kept:
        raise NonesuchError(
            f"--where {condition!r}: none of the {len(source.photographs)} images of {source.path} meets it{missing}"
        )
    return replace(source, photographs=kept)


def chosen_keys(dataset: Path, condition: str) -> NDArray[np.bytes_]:
    """(K,) the keys, ascending, of a dataset's images whose columns meet a condition; it and errors as in `select`."""
    found, missing = _meeting(dataset, True, condition)
    if not found:
        raise NonesuchError(f"--where {condition!r}: none of the images of {dataset} meets it{missing}")
    return np.sort(np.array([key.encode() for key in found if key is not None]))


def _meeting(path: Path, ours: bool, condition: str) -> tuple[list[str | None], str]:
    """Keys or files of the images that meet a condition; and the groups of columns that are not whole, in words."""
    with duckdb.connect() as connection:
        joined, key, missing = (_of_dataset if ours else _of_table)(connection, path)
        return rows_that_meet(connection, key, joined, condition, "--where", missing), missing


def _of_dataset(connection: duckdb.DuckDBPyConnection, folder: Path) -> tuple[str, str, str]:
    """What to select from, the key, and the groups of columns that are not whole."""
    shards = [number for number in range(Plan(folder).shards) if shard_files(folder, number).index.is_file()]
    if not shards:
        raise NonesuchError(f"{folder}: holds no images yet; run the command that makes it")
    index = pa.concat_tables([read_index(shard_files(folder, shard).index) for shard in shards])
    connection.register("images", index.replace_schema_metadata(None))
    joined, missing = "images", ""
    for group in sorted(path.name for path in (folder / "columns").glob("*") if path.is_dir()):
        problems = [columns_problem(folder, group, shard) for shard in shards]
        if problem := next((problem for problem in problems if problem), None):
            missing += f"; not there: {group} ({problem})"
            continue
        parts = [parquet.read_table(columns_file(folder, group, shard)) for shard in shards]
        if len({part.schema.metadata[MADE_BY] for part in parts}) > 1:
            missing += f"; not there: {group} (its shards were made in different runs; make them again)"
            continue
        connection.register(group, pa.concat_tables([part.replace_schema_metadata(None) for part in parts]))
        joined += f' JOIN "{group}" USING (key)'
    return joined, "images.key", missing


def _of_table(connection: duckdb.DuckDBPyConnection, source: Path) -> tuple[str, str, str]:
    path = table_beside(source)
    if path is None:
        source = source.resolve()
        raise NonesuchError(
            f"{source}: has no columns; add some with 'nonesuch perceive', for a folder or tar as "
            f"--out {source.with_name(source.name.removesuffix('.tar') + '.parquet')}"
        )
    connection.register("columns", tables.read_for_conditions(path, "file"))
    return "columns", "file", ""
