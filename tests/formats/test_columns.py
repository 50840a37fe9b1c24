"""Added columns speak of one tar: where its images change, they are about others."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import nonesuch
from nonesuch.core.errors import NonesuchError
from nonesuch.formats.columns import (
    column_names,
    column_parts,
    columns_file,
    columns_problem,
    have_columns,
    read_columns,
    write_columns,
)
from nonesuch.formats.shards import TAR_HASH, shard_files


@pytest.fixture
def dataset(tiny_generator: Path, tmp_path: Path) -> Path:
    nonesuch.generate_dataset(tmp_path, generator=tiny_generator, identities=2, images=2, summary=False, device="cpu")
    write_columns(tmp_path, "looks", 0, "me", pa.table({"yaw": [1.0, 2.0, 3.0, 4.0]}))
    return tmp_path


def test_sound_columns(dataset: Path) -> None:
    assert columns_problem(dataset, "looks", 0) is None
    assert have_columns(dataset, "looks", 0, "me")
    assert not have_columns(dataset, "looks", 0, "you")
    assert read_columns(dataset, "looks")["yaw"].to_pylist() == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("change", ["tar", "keys"])
def test_columns_about_other_images(dataset: Path, change: str) -> None:
    """The shard was made again with the same names but other pixels, or lists other images."""
    index = shard_files(dataset, 0).index
    table = pq.read_table(index)
    if change == "tar":
        table = table.replace_schema_metadata({**table.schema.metadata, TAR_HASH: b"0" * 64})
    else:
        table = table.set_column(0, table.schema.field(0), table["key"].take([1, 0, 2, 3]))
    pq.write_table(table, index)
    assert columns_problem(dataset, "looks", 0) == "its columns looks are about other images"
    assert not have_columns(dataset, "looks", 0, "me")
    with pytest.raises(NonesuchError, match="about other images; run the command that made them again"):
        read_columns(dataset, "looks")


def test_columns_by_different_models_or_damaged(shards: Path) -> None:
    for shard in range(3):
        values = [float(10 * shard + row) for row in range(4 if shard == 0 else 2)]
        write_columns(shards, "looks", shard, "me", pa.table({"yaw": values}))
    assert read_columns(shards, "looks")["yaw"].to_pylist() == [0, 1, 2, 3, 10, 11, 20, 21]
    write_columns(shards, "looks", 1, "you", pa.table({"yaw": [0.0, 1.0]}))
    with pytest.raises(NonesuchError, match="come from different models"):
        read_columns(shards, "looks")
    path = columns_file(shards, "looks", 1)
    path.write_bytes(path.read_bytes()[:-9])
    assert columns_problem(shards, "looks", 1) == "its columns looks are damaged"
    pq.write_table(pa.table({"key": ["a", "b"], "yaw": [0.0, 1.0]}), path)  # tells neither its maker nor its tar
    assert columns_problem(shards, "looks", 1) == "its columns looks are about other images"
    path.unlink()
    with pytest.raises(NonesuchError, match="shard 000001: lacks the columns looks"):
        read_columns(shards, "looks")


def test_some_columns_shard_by_shard(shards: Path) -> None:
    for shard, rows in enumerate((4, 2, 2)):
        table = pa.table({"yaw": [float(shard)] * rows, "vector": [[1.0, 2.0]] * rows})
        write_columns(shards, "looks", shard, "me", table)
    assert column_names(shards, "looks") == ["yaw", "vector"]
    parts = list(column_parts(shards, "looks", ["yaw"]))
    assert [part.column_names for part in parts] == [["key", "yaw"]] * 3
    assert [part["yaw"].to_pylist() for part in parts] == [[0.0] * 4, [1.0] * 2, [2.0] * 2]
    with pytest.raises(NonesuchError, match="shard 000000: its columns looks are damaged"):
        next(column_parts(shards, "looks", ["beauty"]))
    columns_file(shards, "looks", 0).unlink()
    with pytest.raises(NonesuchError, match="missing or damaged; run the command that made it again"):
        column_names(shards, "looks")
