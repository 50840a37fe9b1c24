"""A plan is read shard by shard, each image with its own identity's vector, and refused where it is damaged."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.formats.plan import IDENTITIES, PLAN, Plan


def _change(path: Path, changed: Callable[[pa.Table], pa.Table]) -> None:
    """Write a file again, each row group changed."""
    file = pq.ParquetFile(path)
    groups = [changed(file.read_row_group(group)) for group in range(file.num_row_groups)]
    with pq.ParquetWriter(path, groups[0].schema) as writer:
        for group in groups:
            writer.write_table(group)


def _with(name: str, values: list[object]) -> Callable[[pa.Table], pa.Table]:
    def changed(table: pa.Table) -> pa.Table:
        field = table.schema.field(name)
        return table.set_column(table.column_names.index(name), field, pa.array(values[: len(table)], field.type))

    return changed


def test_images_have_their_identities_vectors(shards: Path) -> None:
    plan = Plan(shards)
    assert (plan.shards, plan.images, plan.identities, plan.shard_images(0), plan.shard_images(1)) == (3, 8, 4, 4, 2)
    rows = plan.read(0)
    assert len(rows) == 4
    assert (rows.identity.tolist(), rows.image.tolist()) == ([4, 4, 9, 9], [0, 1, 0, 1])
    assert (rows.seed.tolist(), rows.sigma.tolist()) == ([40, 41, 90, 91], [0.5] * 4)
    assert rows.vectors[rows.vector_row].tolist() == [[4, 1], [4, 1], [9, 1], [9, 1]]  # though 9 comes first there
    part = rows.part(np.array([3, 1]))
    assert (part.identity.tolist(), part.image.tolist(), part.seed.tolist()) == ([9, 4], [1, 1], [91, 41])
    assert (part.sigma.tolist(), part.vectors[part.vector_row][:, 0].tolist()) == ([0.5, 0.5], [9, 4])
    assert plan.read(1).identity.tolist() == [7, 7]


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        (PLAN, _with("seed", [1, None, 3, 4]), "lacks a value at shard 0"),
        (IDENTITIES, _with("identity", [None, 4]), "lacks a value at shard 0"),
        (IDENTITIES, _with("identity", [5, 4]), "names identities that identities.parquet lacks, at shard 0"),
        (IDENTITIES, _with("identity", [9, 3]), "names identities that identities.parquet lacks, at shard 0"),
        (PLAN, _with("identity", [4, 4, 9, 10]), "names identities that identities.parquet lacks, at shard 0"),
        (IDENTITIES, lambda table: table.slice(0, 0), "names nobody|do not belong together"),
        (IDENTITIES, _with("embedding", [None, [1.0, 2.0]]), "1 rows hold no vector"),
    ],
)
def test_damaged_shards(shards: Path, file: str, change: Callable[[pa.Table], pa.Table], said: str) -> None:
    _change(shards / file, change)
    with pytest.raises(NonesuchError, match=said):
        Plan(shards).read(0)


def test_files_that_are_no_plan(shards: Path) -> None:
    (shards / "other").mkdir()
    with pytest.raises(NonesuchError, match="no readable plan"):
        Plan(shards / "other")
    whole = (shards / PLAN).read_bytes()
    pq.write_table(pq.read_table(shards / PLAN), shards / PLAN)  # one row group, of all images
    with pytest.raises(NonesuchError, match="do not belong together"):
        Plan(shards)
    (shards / PLAN).write_bytes(whole)
    _change(shards / PLAN, lambda table: table.drop_columns(["seed"]))
    with pytest.raises(NonesuchError, match="are not those of a plan"):
        Plan(shards)
    (shards / PLAN).write_bytes(whole[:4] + bytes(40) + whole[44:])
    with pytest.raises(NonesuchError, match="the plan is damaged at shard 0"):
        Plan(shards).read(0)


def test_images_that_were_not_generated(shards: Path) -> None:
    """They are listed without seeds and vectors, which nobody can then ask for."""
    _change(shards / PLAN, _with("seed", [None, 1, 2, 3]))
    assert Plan(shards).tables(0)[0]["seed"].to_pylist() == [None, 1, 2, 3]
    with pytest.raises(NonesuchError, match="lacks a value at shard 0"):
        Plan(shards).read(0)
    assert Plan(shards).has_vectors
    _change(shards / PLAN, _with("seed", [0, 1, 2, 3]))
    _change(shards / IDENTITIES, lambda table: table.drop_columns(["embedding"]))
    plan = Plan(shards)
    assert not plan.has_vectors
    assert sorted(plan.tables(0)[1]["identity"].to_pylist()) == [4, 9]
    with pytest.raises(NonesuchError, match="holds no vectors"):
        plan.read(0)
