"""Parquet files by their very names, whatever pyarrow would make of them."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import nonesuch
from nonesuch.core import parquet

SOURCE = Path(nonesuch.__file__).parent


@pytest.mark.parametrize(
    "name", ["~/a.parquet", "file:a.parquet", "s3:/b/a.parquet", "k=v/a.parquet", "g[1]*?.parquet", "b\udce9.parquet"]
)
def test_a_name_means_the_file_of_that_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"a": [1, 2]})
    parquet.write_table(table, path)
    assert [place for place in tmp_path.rglob("*") if place.is_file()] == [tmp_path / name]
    assert parquet.read_table(path).equals(table)
    assert parquet.read_schema(path).names == ["a"]
    with parquet.writer(path, table.schema) as writer:
        writer.write_table(table)
        writer.write_table(table)
    assert parquet.read_table(path).num_rows == 4


def test_a_file_that_is_read_in_parts_is_never_in_memory_whole(tmp_path: Path) -> None:
    rows = 20_000
    with parquet.writer(tmp_path / "long.parquet", pa.schema([("a", pa.float64())])) as writer:
        for part in range(40):
            writer.write_table(pa.table({"a": np.random.default_rng(part).random(rows)}))
    before, most = pa.total_allocated_bytes(), 0
    with parquet.reader(tmp_path / "long.parquet") as file:
        for _ in file.iter_batches(rows):
            most = max(most, pa.total_allocated_bytes() - before)
    assert most < 8 * rows * 8  # of 40


def test_no_other_file_gives_pyarrow_a_path() -> None:
    given = re.compile(r"\bpq\.(read_table|read_schema|write_table|ParquetWriter|ParquetFile)\((?!file\b)")
    for path in SOURCE.rglob("*.py"):
        if path.name != "parquet.py":
            assert not given.search(path.read_text()), path
