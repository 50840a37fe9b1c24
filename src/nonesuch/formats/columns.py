"""Columns that are added to a dataset: a Parquet file per shard beside it, nothing rewritten."""

from pathlib import Path

import pyarrow as pa

from nonesuch.core import files, parquet
from nonesuch.core.errors import NonesuchError
from nonesuch.formats.plan import Plan
from nonesuch.formats.shards import TAR_HASH, read_index, shard_files

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


def read_columns(folder: Path, group: str) -> pa.Table:
    """The columns of all images, in plan order; the first is `key`.

    Raises:
        NonesuchError: a shard lacks them, or they are damaged, about other images than those that are there, or made by
            different models.
    """
    parts, makers = [], set()
    for shard in range(Plan(folder).shards):
        problem = columns_problem(folder, group, shard)
        if problem is not None:
            raise NonesuchError(f"{folder}: shard {shard:06d}: {problem}; run the command that made them again")
        part = parquet.read_table(columns_file(folder, group, shard))
        makers.add(part.schema.metadata[MADE_BY])
        parts.append(part.replace_schema_metadata(None))
    if len(makers) > 1:
        raise NonesuchError(f"{folder}: its columns {group} come from different models; make them again with one")
    return pa.concat_tables(parts)


def _tar_hash(folder: Path, shard: int) -> bytes:
    metadata: dict[bytes, bytes] = read_index(shard_files(folder, shard).index).schema.metadata or {}
    return metadata[TAR_HASH]
