import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nonesuch import NonesuchError
from nonesuch.identities import table
from nonesuch.identities.sampling import KeptApart


def test_round_trip_and_means(tmp_path: Path) -> None:
    vectors = np.arange(12, dtype=np.float32).reshape(3, 4)
    sample = KeptApart(vectors, np.array([0, 2**64 - 1, 5], dtype=np.uint64), 9, 0.25)
    table.write_sampled(tmp_path / "v.parquet", sample, "e", "hash", {"sampling": "sphere"})
    found = table.read(tmp_path / "v.parquet")
    assert np.array_equal(found.vectors, vectors)
    assert (found.embedder, found.embedder_sha256, found.origin) == ("e", "hash", "sampled")
    names, means = table.per_identity(table.VectorTable(["b", "a", "b"], vectors, "e", "", "sampled"))
    assert names == ["b", "a"]
    assert means.tolist() == [[4, 5, 6, 7], [4, 5, 6, 7]]


def _write(path: Path, metadata: dict[str, str], **columns: pa.Array) -> Path:
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)
    return path


def test_tables_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"
    names, says = pa.array(["a", "b"]), {"embedder": "e"}
    good = pa.array([[1.0], [2.0]], pa.list_(pa.float32()))
    ragged = pa.array([[1.0], [2.0, 3.0]], pa.list_(pa.float32()))
    none = pa.array([None, None], pa.list_(pa.float32()))
    for metadata, columns, reason in [
        ({}, {"identity": names, "embedding": good}, "does not name its embedder"),
        (says, {"embedding": good}, "lacks the column identity"),
        (says, {"identity": names, "embedding": ragged}, "different widths"),
        (says, {"identity": names, "embedding": none}, "holds no vectors"),
        (says, {"identity": pa.array(["a", None]), "embedding": good}, "1 vectors have no identity"),
        (says, {"identity": names, "embedding": pa.array([[1.0], [np.nan]], good.type)}, "1 vectors hold NaN"),
        (says, {"identity": pa.array(["a", ""]), "embedding": good}, "1 vectors have no identity"),
        (says, {"identity": pa.array([0.5, 1.5]), "embedding": good}, "0.5"),
    ]:
        with pytest.raises(NonesuchError, match=reason):
            table.read(_write(path, metadata, **columns))
    path.write_bytes(b"PAR1")
    with pytest.raises(NonesuchError, match="not a readable Parquet"):
        table.read(path)
    with pytest.raises(NonesuchError, match="no such table"):
        table.read(tmp_path / "absent.parquet")


def test_identities_are_text(tmp_path: Path) -> None:
    good = pa.array([[1.0], [2.0]], pa.list_(pa.float32()))
    for numbers in ([5, 17], [5.0, 17.0]):
        path = _write(tmp_path / "v.parquet", {"embedder": "e"}, identity=pa.array(numbers), embedding=good)
        assert table.read(path).identities == ["5", "17"]


def test_a_table_of_unknown_origin_may_show_anyone(tmp_path: Path) -> None:
    columns = {"identity": pa.array(["a"]), "embedding": pa.array([[1.0, 2.0]], pa.list_(pa.float32()))}
    assert table.read(_write(tmp_path / "v.parquet", {"embedder": "e"}, **columns)).origin == "photographs"


def test_samples_are_written_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_ROWS", 4)
    rng = np.random.default_rng(0)
    sample = KeptApart(rng.standard_normal((11, 3)).astype(np.float32), np.arange(11, dtype=np.uint64), 20, 0.5)
    table.write_sampled(tmp_path / "v.parquet", sample, "e", "hash", {})
    assert pq.ParquetFile(tmp_path / "v.parquet").num_row_groups == 3
    found, _ = table.read_sampled(tmp_path / "v.parquet")
    assert np.array_equal(found.vectors, sample.vectors)
    assert np.array_equal(found.seeds, sample.seeds)
    assert table.read(tmp_path / "v.parquet").identities == [str(row) for row in range(11)]


def test_the_mean_of_one_vector_is_that_vector() -> None:
    vectors = np.array([[-0.0, 1.0], [0.1, -2.0]], dtype=np.float32)
    names, means = table.per_identity(table.VectorTable(["b", "a"], vectors, "e", "", "sampled"))
    assert names == ["b", "a"]
    assert means.tobytes() == vectors.tobytes()


_PEAK = """
import sys
from pathlib import Path
from nonesuch.identities import table

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024

table.read(Path(sys.argv[1]))
before = peak()
found = table.read(Path(sys.argv[2]))
table.per_identity(found)
print(peak() - before, found.vectors.nbytes / 2**20)
"""


def test_a_table_takes_hardly_more_memory_than_its_vectors(tmp_path: Path) -> None:
    width, group = 192, 1 << 15
    vectors = np.random.default_rng(0).standard_normal(group * width, dtype=np.float32)
    lists = pa.ListArray.from_arrays(np.arange(0, (group + 1) * width, width, np.int32), vectors)
    for name, groups in (("small", 1), ("large", 4)):
        schema = pa.schema({"identity": pa.string(), "embedding": pa.list_(pa.float32())}, {"embedder": "e"})
        with pq.ParquetWriter(tmp_path / name, schema, use_dictionary=False, compression="none") as parts:
            for number in range(groups):
                people = pa.array([f"{number} {row // 4}" for row in range(group)])
                parts.write_table(pa.table([people, lists], schema=schema))
    command = [sys.executable, "-c", _PEAK, str(tmp_path / "small"), str(tmp_path / "large")]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    peak, size = map(float, told.split())
    assert size == 96.0
    assert peak < 1.75 * size  # a fourth of it are the identities' means; joined and copied, it took 2.7 times the size
