"""Columns that are added to a dataset: a Parquet file per shard beside it, nothing rewritten."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from nonesuch.core import files, parquet
from nonesuch.core.errors import NonesuchError
from nonesuch.formats.plan import Plan
from nonesuch.formats.shards import TAR_HASH, read_index, read_told, shard_files

MADE_BY = b"made_by"  # of the metadata


def columns_file(folder: Path, group: str, shard: int) -> Path:
    """The file of a shard's added columns; `group` names what was added together, such as "perception"."""
    return folder / "columns" / group / f"{shard:06d}.parquet"


def have_columns(folder: Path, group: str, shard: int, made_by: str) -> bool:
    """Whether a shard has these columns, sound, and made by what `made_by` names (a model's hash)."""
    if columns_problem(folder, group, shard) is not None:
        return False
    metadata: dict[bytes, bytes] = parquet.read_schema(columns_file(folder, group, shard)).metadata
    return metadata[MADE_BY].decode() == made_by


def write_columns(folder: Path, group: str, shard: int, made_by: str, columns: pa.Table) -> None:
    """Add columns to a shard, in the order of its images; raises NonesuchError where they cannot be written."""
    keys = read_index(shard_files(folder, shard).index)["key"]
    table = columns.add_column(0, "key", keys)
    table = table.replace_schema_metadata({MADE_BY: made_by, TAR_HASH: _tar_hash(folder, shard)})
    path = columns_file(folder, group, shard)
    files.make_folder(path.parent)
    with files.replacing(path) as temporary:
        parquet.write_table(table, temporary)


def columns_problem(folder: Path, group: str, shard: int) -> str | None:
    """What is wrong with a shard's added columns, in words; None where they are sound."""
    path = columns_file(folder, group, shard)
    if not path.is_file():
        return f"lacks the columns {group}"
    try:
        table = parquet.read_table(path)
    except parquet.UNREADABLE:
        return f"its columns {group} are damaged"
    index = read_index(shard_files(folder, shard).index)
    metadata = table.schema.metadata or {}
    if (
        MADE_BY not in metadata
        or metadata.get(TAR_HASH) != _tar_hash(folder, shard)
        or not table["key"].equals(index["key"])
    ):
        return f"its columns {group} are about other images"
    return None


def glance(folder: Path, group: str, shard: int, images: int) -> tuple[str | None, str]:
    """What is wrong with a shard's added columns by their metadata alone, and what made them.

    Args:
        images: of the shard.
    """
    path = columns_file(folder, group, shard)
    try:
        told = parquet.reader(path)
        metadata = told.schema_arrow.metadata or {}
        maker = metadata.get(MADE_BY, b"").decode()
    except FileNotFoundError:
        return f"lacks the columns {group}", ""
    except parquet.UNREADABLE:
        return f"its columns {group} are damaged", ""
    ours = MADE_BY in metadata and metadata.get(TAR_HASH) == _tar_hash(folder, shard)
    if not ours or told.metadata.num_rows != images or "key" not in told.schema_arrow.names:
        return f"its columns {group} are about other images", maker
    return None, maker


def column_names(folder: Path, group: str) -> list[str]:
    """The names of a group's columns but for `key`, as its first shard has them; raises NonesuchError."""
    path = columns_file(folder, group, 0)
    try:
        return [name for name in parquet.read_schema(path).names if name != "key"]
    except parquet.UNREADABLE as error:
        raise NonesuchError(f"{path}: missing or damaged; run the command that made it again") from error


def column_parts(folder: Path, group: str, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The columns of all images, a table for each shard, in plan order; the first is `key`.

    Args:
        columns: those that are wanted besides `key`; None for all.

    Raises:
        NonesuchError: a shard lacks them, or they are damaged, about other images than those that are there, or made by
            different models.
    """
    plan, makers = Plan(folder), set()
    for shard in range(plan.shards):
        problem, maker = glance(folder, group, shard, plan.shard_images(shard))
        if problem is None:
            try:
                part = parquet.read_table(columns_file(folder, group, shard), columns and ["key", *columns])
                keys = parquet.read_table(shard_files(folder, shard).index, ["key"])["key"]
                problem = None if part["key"].equals(keys) else f"its columns {group} are about other images"
            except (*parquet.UNREADABLE, KeyError):
                problem = f"its columns {group} are damaged"
        if problem is not None:
            raise NonesuchError(f"{folder}: shard {shard:06d}: {problem}; run the command that made them again")
        makers.add(maker)
        if len(makers) > 1:
            raise NonesuchError(f"{folder}: its columns {group} come from different models; make them again with one")
        yield part.replace_schema_metadata(None)


def read_columns(folder: Path, group: str, columns: Sequence[str] | None = None) -> pa.Table:
    """All of `column_parts` in one table, for datasets that fit into memory; arguments and errors likewise."""
    return pa.concat_tables(column_parts(folder, group, columns))


def _tar_hash(folder: Path, shard: int) -> bytes:
    return read_told(shard_files(folder, shard).index).get(TAR_HASH, b"not told")
