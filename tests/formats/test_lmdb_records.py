import io
from collections.abc import Callable
from pathlib import Path

import lmdb
import msgpack
import numpy as np
import pytest

from nonesuch.core import images
from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.export_dataset import export_dataset
from nonesuch.formats import lmdb_records
from nonesuch.formats.photograph_lists import exclude
from nonesuch.formats.readers import find


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def write(path: Path, records: list[object], length: object = None, keys: object = None) -> Path:
    """An LMDB of the published layout, written by the lmdb and msgpack libraries alone."""
    with (
        lmdb.open(str(path), subdir=False, map_size=1 << 26) as environment,
        environment.begin(write=True) as transaction,
    ):
        for number, record in enumerate(records):
            transaction.put(str(number).encode(), msgpack.packb(record))
        transaction.put(b"__len__", msgpack.packb(len(records) if length is None else length))
        keys = [str(number) for number in range(len(records))] if keys is None else keys
        transaction.put(b"__keys__", msgpack.packb(keys))
    return path


def _image(level: int) -> bytes:
    return images.encode(np.full((112, 112, 3), level, np.uint8), "png", 1)


def test_published_layout(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    records = [[_image(n), npy(vectors[n]), 10 + n, b"landmarks"] for n in range(3)]
    found = find(write(tmp_path / "set.lmdb", records))
    assert [item.name for item in found] == ["0", "1", "2"]
    assert [int(item.read()[0, 0, 0]) for item in found] == [0, 1, 2]
    assert isinstance(found[1], lmdb_records.VectorPhotograph)
    record = found[1].record()
    assert record.label == "11"
    assert np.array_equal(record.vector, vectors[1])


def _npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(3))
    return buffer.getvalue()


def _claiming(count: int) -> bytes:
    """The header of a .npy file of so many floats, and one of them."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": (count,)})
    return buffer.getvalue() + b"\0" * 4


class Evil:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return exec, ("raise SystemExit('ran')",)


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ([_image(1), npy(np.array([Evil()], dtype=object)), 1], "array of object"),
        ([_image(1), _npz(), 1], "record 0 is not"),
        ([_image(1), _claiming(10**13), 1], r"claims the shape \(10000000000000,\)"),
        ([_image(1), _claiming(-1), 1], "record 0 is not"),
        ([_image(1), npy(np.zeros(3))[:-4], 1], "which its bytes do not fill"),
        ([_image(1), npy(np.array(["a"])), 1], "array of str"),
        ({"image": _image(1)}, "record 0 is not"),
        ([_image(1), b"no npy", 1], "record 0 is not"),
        ([_image(1)], "record 0 is not"),
        (7, "record 0 is not"),
        ([_image(1), 5, 1], "record 0 is not"),
        ([_image(1), npy(np.zeros(3)), None], "neither text nor a whole number"),
        ([_image(1), npy(np.zeros(3)), 1.5], "neither text nor a whole number"),
        ([_image(1), npy(np.zeros(3)), ""], "neither text nor a whole number"),
    ],
)
def test_records_that_are_none(tmp_path: Path, record: object, says: str) -> None:
    path = write(tmp_path / "set.lmdb", [record])
    with pytest.raises(NonesuchError, match=says):
        lmdb_records.read(path, "0")


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.lmdb").write_bytes(b"no database" * 1000)
    with pytest.raises(NonesuchError, match="not a readable LMDB"):
        find(tmp_path / "a.lmdb")
    with pytest.raises(NonesuchError, match="__len__"):
        find(write(tmp_path / "b.lmdb", [], length="many"))
    path = write(tmp_path / "c.lmdb", [[_image(1), npy(np.zeros(3)), 1]], length=2)
    with pytest.raises(NonesuchError, match="__len__ says 2 records, __keys__ lists 1"):
        find(path)
    path = write(tmp_path / "d.lmdb", [[_image(1), 1]], keys=["1"])
    with pytest.raises(NonesuchError, match="record 1 is missing"):
        find(path)


def test_a_truncated_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    record = [images.encode(noise, "png", 1), npy(np.zeros(3)), 1]
    path = write(tmp_path / "set.lmdb", [record] * 20)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(NonesuchError, match="the file is cut off"):
        find(path)


def test_people_are_left_out_by_label_not_by_key(tmp_path: Path) -> None:
    path = write(tmp_path / "set.lmdb", [[_image(n), npy(np.zeros(3)), label] for n, label in enumerate((1, 1, 0))])
    kept = exclude(find(path), {"1"})
    assert [item.identity for item in kept] == ["0"]


@pytest.mark.parametrize("labels", [(3, 0, 3), ("ann", b"bob", "ann")])
def test_the_layout_for_training_recognisers(tmp_path: Path, labels: tuple[int | str | bytes, ...]) -> None:
    path = write(tmp_path / "set.lmdb", [[_image(n), label] for n, label in enumerate(labels)])
    found = find(path)
    assert [item.identity for item in found] == [x.decode() if isinstance(x, bytes) else str(x) for x in labels]
    assert [int(item.read()[0, 0, 0]) for item in found] == [0, 1, 2]
    assert not any(isinstance(item, lmdb_records.VectorPhotograph) for item in found)
    assert all(item.is_packed for item in found)


def test_keys_are_those_that_the_set_lists(tmp_path: Path) -> None:
    path = write(tmp_path / "set.lmdb", [[_image(n), n] for n in range(3)], length=2, keys=[b"2", b"0"])
    assert [item.name for item in find(path)] == ["2", "0"]
    lmdb_records._close(path)
    with lmdb.open(str(path), subdir=False) as environment, environment.begin(write=True) as transaction:
        transaction.delete(b"__keys__")
    assert [item.name for item in find(path)] == ["0", "1"]


def test_a_folder_with_one_set(tmp_path: Path) -> None:
    """LMDB's own layout of a folder is read too: data.mdb with its lock."""
    (tmp_path / "set").mkdir()
    with lmdb.open(str(tmp_path / "set")) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"0", msgpack.packb([_image(0), 5]))
        transaction.put(b"__len__", msgpack.packb(1))
    assert (tmp_path / "set" / "lock.mdb").is_file()
    assert [item.identity for item in find(tmp_path / "set")] == ["5"]
    write(tmp_path / "set" / "other.lmdb", [[_image(0), 5]])
    with pytest.raises(NonesuchError, match=r"holds data\.mdb and other\.lmdb; name the one"):
        find(tmp_path / "set")


def test_a_file_that_is_replaced_is_opened_again(tmp_path: Path) -> None:
    path = write(tmp_path / "set.lmdb", [[_image(0), npy(np.zeros(3)), 1]])
    found = find(path)[0]
    assert isinstance(found, lmdb_records.VectorPhotograph)
    path.rename(tmp_path / "old.lmdb")
    write(tmp_path / "new.lmdb", [[_image(0), 1]]).rename(path)
    with pytest.raises(NonesuchError, match="has no vector any more"):
        found.record()


def test_what_is_exported_as_others_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many transactions, and a file that grows beyond its first size."""
    monkeypatch.setattr(lmdb_records, "_AT_ONCE", 2)
    monkeypatch.setattr(lmdb_records, "_BLOCK", 1 << 15)
    labels = [7, 40, 7, 1, 40]
    noise = np.random.default_rng(0).integers(0, 256, (5, 60, 60, 3), np.uint8)
    pictures = [images.encode(pixels, "png", 1) for pixels in noise]
    source = write(
        tmp_path / "set.lmdb", [[data, npy(np.zeros(3)), n] for data, n in zip(pictures, labels, strict=True)]
    )
    export_dataset(source, tmp_path / "out", format="lmdb")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["identities.csv", "train.lmdb"]
    path = tmp_path / "out" / "train.lmdb"
    with lmdb.open(str(path), subdir=False, readonly=True, lock=False) as environment, environment.begin() as stored:
        assert msgpack.unpackb(stored.get(b"__len__")) == 5
        assert msgpack.unpackb(stored.get(b"__keys__")) == ["0", "1", "2", "3", "4"]
        assert msgpack.unpackb(stored.get(b"__classnum__")) == 3
        read = [msgpack.unpackb(stored.get(str(number).encode())) for number in range(5)]
        assert environment.stat()["entries"] == 8
    assert read == [[data, label] for data, label in zip(pictures, [1, 2, 1, 0, 2], strict=True)]
    assert (tmp_path / "out" / "identities.csv").read_text().split() == ["label,identity", "0,1", "1,7", "2,40"]
    assert [item.identity for item in find(tmp_path / "out")] == ["1", "2", "1", "0", "2"]
