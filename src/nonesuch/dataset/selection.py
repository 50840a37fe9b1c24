"""Choosing images by their columns."""

import tempfile
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from nonesuch.core import tables
from nonesuch.core.conditions import rows_that_meet, text
from nonesuch.core.errors import NonesuchError
from nonesuch.formats import dataset as datasets
from nonesuch.formats.columns import columns_file, glance
from nonesuch.formats.photographs import plain_name
from nonesuch.formats.shard_rows import ShardRows
from nonesuch.formats.shards import shard_files
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
    missing, kept = "", source.photographs
    if source.is_dataset and isinstance(source.photographs, ShardRows):
        meets, missing = _of_dataset(source.photographs, condition)
        rows = source.photographs.rows
        kept = source.photographs[meets if rows is None else meets[rows]]
    else:
        names = _of_table(source.path, condition)
        kept = [item for item in source.photographs if plain_name(item.name) in names]
    if not kept:
        raise NonesuchError(
            f"--where {condition!r}: none of the {len(source.photographs)} images of {source.path} meets it{missing}"
        )
    return replace(source, photographs=kept)


def chosen_keys(dataset: Path, condition: str) -> NDArray[np.bytes_]:
    """(K,) the keys, ascending, of a dataset's images whose columns meet a condition; it and errors as in `select`."""
    photographs = datasets.find(dataset, None)
    chosen = select(Source(dataset, photographs), condition).photographs
    assert isinstance(chosen, ShardRows)
    keys = [
        pc.utf8_slice_codeunits(batch.column("file"), 0, -len(chosen.suffix)).to_numpy(zero_copy_only=False).astype("S")
        for batch in chosen.listed()
    ]
    return np.sort(np.concatenate(keys))


def _of_dataset(photographs: ShardRows, condition: str) -> tuple[NDArray[np.bool_], str]:
    """Which images of a dataset meet a condition; and the groups of columns that are not whole, in words.

    DuckDB reads the files themselves, and of these the columns that the condition names.
    """
    folder, shards = photographs.columns.folder, photographs.columns.shards.tolist()
    counts = np.diff(photographs.columns.starts).tolist()
    if not shards:
        raise NonesuchError(f"{folder}: holds no images yet; run the command that makes it")
    groups, missing = _groups(folder, shards, counts)
    # Through a link with a plain name: DuckDB would take [, ? and * of the folder's own name for a pattern.
    with tempfile.TemporaryDirectory() as place, duckdb.connect() as connection:
        link = Path(place) / "dataset"
        link.symlink_to(folder.resolve())
        reads = [shard_files(link, shard).index for shard in shards]
        connection.execute(f"CREATE VIEW images AS SELECT * FROM read_parquet({text(list(reads))})")
        for group in groups:
            parts = [columns_file(link, group, shard) for shard in shards]
            connection.execute(
                f"CREATE VIEW {_quoted(group)} AS SELECT * EXCLUDE (key) FROM read_parquet({text(list(parts))})"
            )
            reads += parts
        count = sum(counts)
        names = ["images", *map(_quoted, groups)]
        rows = rows_that_meet(connection, names, count, condition, "--where", missing, reads)
    meets = np.zeros(count, dtype=bool)
    meets[rows] = True
    return meets, missing


def _groups(folder: Path, shards: list[int], counts: list[int]) -> tuple[list[str], str]:
    """The groups of columns that all shards have, and in words those that are not whole."""
    whole, missing = [], ""
    for group in sorted(path.name for path in (folder / "columns").glob("*") if path.is_dir()):
        told = [glance(folder, group, shard, count) for shard, count in zip(shards, counts, strict=True)]
        if problem := next((problem for problem, _ in told if problem), None):
            missing += f"; not there: {group} ({problem})"
        elif len({maker for _, maker in told}) > 1:
            missing += f"; not there: {group} (its shards were made in different runs; make them again)"
        else:
            whole.append(group)
    return whole, missing


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _of_table(source: Path, condition: str) -> set[str]:
    """Names of the images of a folder or tar whose rows of the table beside it meet a condition."""
    path = table_beside(source)
    if path is None:
        source = source.resolve()
        raise NonesuchError(
            f"{source}: has no columns; add some with 'nonesuch perceive', for a folder or tar as "
            f"--out {source.with_name(source.name.removesuffix('.tar') + '.parquet')}"
        )
    table = tables.read_for_conditions(path, "file")
    with duckdb.connect() as connection:
        connection.register("columns", table)
        rows = rows_that_meet(connection, ["columns"], len(table), condition, "--where")
    return {plain_name(name) for name in table["file"].take(rows).to_pylist() if name is not None}
