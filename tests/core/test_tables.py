"""Tables as users write them, and rows that go where they belong."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nonesuch.core import tables
from nonesuch.core.errors import NonesuchError
from nonesuch.core.tables import embeddings, read_columns, read_embeddings, with_nulls


def test_rows_go_where_they_belong_and_nulls_elsewhere() -> None:
    vectors = pa.FixedSizeListArray.from_arrays(pa.array([1.0, 2.0, 3.0, 4.0]), 2)
    table = pa.table({"name": ["a", "b"], "vector": vectors})
    found = with_nulls(table, np.array([False, True, False, True]))
    assert found["name"].to_pylist() == [None, "a", None, "b"]
    assert found["vector"].to_pylist() == [None, [1.0, 2.0], None, [3.0, 4.0]]
    assert found.schema == table.schema


def test_no_rows_at_all() -> None:
    found = with_nulls(pa.table({"age": pa.array([], pa.float32())}), np.array([False, False]))
    assert found["age"].to_pylist() == [None, None]


NUMBERS_LIKE = ["1e3", "1000", "1000.0", "007", "7", "n000001", "NaN", "true", "2020-01-01", "0x10", "1_000", "-0"]


@pytest.mark.parametrize("kind", ["a.csv", "a.CSV", "a.csv.gz", "a.tsv", "a.parquet", "a.PARQUET"])
def test_identities_are_text_as_it_is_written(kind: str, tmp_path: Path) -> None:
    path, names = tmp_path / kind, ["5"] * 30_000 + NUMBERS_LIKE  # whatever is guessed from the first rows
    if kind.lower().endswith(".parquet"):
        pq.write_table(pa.table({"file": names, "identity": names}), path)
    else:
        between = "\t" if "tsv" in kind else ","
        text = "\ufeff" + "\r\n".join(between.join([name, name]) for name in ["file", *names])
        text = text.replace(f"file{between}file", f"file{between}identity")
        path.write_bytes(gzip.compress(text.encode()) if kind.endswith("gz") else text.encode())
    assert read_columns(path, ["file"], ["identity", "absent"]) == {"file": names, "identity": names}


def test_whole_numbers_of_parquet_have_no_decimal_point(tmp_path: Path) -> None:
    for column in ([5, 17, None], pa.array([5.0, 17.0, float("nan")]), pa.array(["5", "17", ""]).dictionary_encode()):
        pq.write_table(pa.table({"identity": column}), tmp_path / "a.parquet")
        assert read_columns(tmp_path / "a.parquet", ["identity"]) == {"identity": ["5", "17", None]}
    pq.write_table(pa.table({"identity": [5.5]}), tmp_path / "a.parquet")
    with pytest.raises(NonesuchError, match="identity must be text, or whole numbers"):
        read_columns(tmp_path / "a.parquet", ["identity"])


def test_a_name_is_no_pattern(tmp_path: Path) -> None:
    for name, label in (("g[1].csv", "right"), ("g1.csv", "wrong"), ("*.csv", "right")):
        (tmp_path / name).write_text(f"file,identity\na,{label}\n")
    for name in ("g[1].csv", "*.csv"):
        assert read_columns(tmp_path / name, ["identity"]) == {"identity": ["right"]}


def test_numbers_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("file; age ;ok\na;1e1;true\nb; 2 ;FALSE\nc;;\n")
    found = read_columns(path, ["file"], numbers=["age", "ok"])
    assert found == {"file": ["a", "b", "c"], "age": [10.0, 2.0, None], "ok": [1.0, 0.0, None]}
    with pytest.raises(NonesuchError, match="file must be numbers"):
        read_columns(path, [], numbers=["file"])


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"file,identity\na\n", "file,identity\né,1\n".encode("latin-1"), b"\x1f\x8b\x08", b"a\0b\n"]
)
def test_files_that_are_no_tables(content: bytes, tmp_path: Path) -> None:
    for name in ("a.csv", "a.csv.gz", "a.parquet"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(NonesuchError, match=r"not a readable table|lacks the column"):
            read_columns(tmp_path / name, ["file"])


LISTS = [pa.list_(pa.float32()), pa.large_list(pa.float32()), pa.list_(pa.int64()), pa.list_(pa.float64(), 2)]


@pytest.mark.parametrize("kind", LISTS, ids=str)
def test_vectors_of_every_kind_of_list(kind: pa.DataType) -> None:
    rows = [[1, 2], [3, 4], [5, 6]]
    whole = pa.chunked_array([pa.array(rows[:1], kind), pa.array(rows[1:], kind)])
    assert embeddings(whole).tolist() == rows
    assert embeddings(whole).dtype == np.float32
    assert embeddings(whole.slice(1)).tolist() == rows[1:]
    assert embeddings(pa.chunked_array([*whole.chunks, pa.array([], kind)])).tolist() == rows
    with pytest.raises(NonesuchError, match="1 rows hold no vector; remove them"):
        embeddings(pa.chunked_array([pa.array([[1, 2], None], kind)]))


@pytest.mark.parametrize("kind", LISTS[:3], ids=str)
@pytest.mark.parametrize("rows", [[[1], [2, 3, 4]], [[1, 2], [3]]])
def test_vectors_of_different_widths_are_not_mixed(kind: pa.DataType, rows: list[list[int]]) -> None:
    with pytest.raises(NonesuchError, match="different widths"):
        embeddings(pa.chunked_array([pa.array(rows, kind)]))


@pytest.mark.parametrize("column", [[1.0, 2.0], ["a", "b"], [["a"], ["b"]]])
def test_columns_that_hold_no_vectors(column: list[object]) -> None:
    with pytest.raises(NonesuchError, match=r"the column of vectors holds .*, not lists of numbers"):
        embeddings(pa.chunked_array([pa.array(column)]))


@pytest.mark.parametrize("kind", LISTS, ids=str)
def test_vectors_are_read_in_parts(kind: pa.DataType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the edges of parts and row groups, with rows that hold none, whole parts of them too."""
    monkeypatch.setattr(tables, "_ROWS", 3)
    rows: list[list[int] | None] = [None, None, None, [1, 2], None, [3, 4], [5, 6], [7, 8], None, None, [9, 10]]
    path = tmp_path / "v.parquet"
    pq.write_table(pa.table({"v": pa.array(rows, kind), "other": list(range(len(rows)))}), path, row_group_size=7)
    there, found = read_embeddings(path, "v")
    assert there.tolist() == [row is not None for row in rows]
    assert found.tolist() == [row for row in rows if row is not None]
    assert found.dtype == np.float32
    with pytest.raises(NonesuchError, match="not a readable table"):
        read_embeddings(path, "absent")


def test_widths_that_change_from_part_to_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_ROWS", 1)
    pq.write_table(pa.table({"v": [[1.0, 2.0], [3.0]]}), tmp_path / "v.parquet")
    with pytest.raises(NonesuchError, match="different widths"):
        read_embeddings(tmp_path / "v.parquet", "v")
