"""A pickle of a few bytes cannot ask for gigabytes."""

import lzma
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.formats import safe_pickle

HUGE = 2**24


@pytest.mark.parametrize("write", [b"r" + struct.pack("<I", HUGE), b"p%d\n" % HUGE], ids=["LONG_BINPUT", "PUT"])
def test_a_memo_longer_than_the_file_is_refused(tmp_path: Path, write: bytes) -> None:
    (tmp_path / "set.pkl").write_bytes(b"\x80\x02N" + write + b".")
    with pytest.raises(NonesuchError, match="asks for a memo longer than itself"):
        safe_pickle.load(tmp_path / "set.pkl")


def test_usual_memos_are_read(tmp_path: Path) -> None:
    shared = [b"x"]
    for protocol in (0, 2, 4):
        (tmp_path / "set.pkl").write_bytes(pickle.dumps([shared, shared, list(range(300))], protocol))
        assert safe_pickle.load(tmp_path / "set.pkl")[2] == list(range(300))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["u1", ">i2", "<f4", "?", "S3"])
def test_arrays_are_numpys(tmp_path: Path, dtype: str, order: str) -> None:
    array = np.asarray(np.arange(6).reshape(2, 3).astype(dtype), order=order)
    for protocol in (0, 2, 5):
        (tmp_path / "set.pkl").write_bytes(pickle.dumps([array], protocol))
        found = safe_pickle.plain(safe_pickle.load(tmp_path / "set.pkl")[0])
        assert found.dtype == array.dtype
        assert np.array_equal(found, array)


def test_scalars_are_numbers(tmp_path: Path) -> None:
    values = [np.float32(0.5), np.int64(-3), np.bool_(True)]
    (tmp_path / "set.pkl").write_bytes(pickle.dumps(values, 2))
    assert safe_pickle.load(tmp_path / "set.pkl") == [0.5, -3, True]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (b"I5\n", "in a form that numpy does not write"),
        (b"(I1\n(I2\ntt", "in a form that numpy does not write"),
        (b"(I1\n(I-1\nt%sI00\nS'ab'\nt", "in a form that numpy does not write"),
        (b"(I1\n(F2.0\nt%sI00\nS'ab'\nt", "in a form that numpy does not write"),
        (b"(I1\n(I2\ntS'u1'\nI00\nS'ab'\nt", "in a form that numpy does not write"),
        (b"(I1\n(I2\nt%sI00\nVab\nt", "in a form that numpy does not write"),
        (b"(I1\n(I3\nt%sI00\nS'ab'\nt", "bytes do not fill its shape"),
        (b"(I1\n(I1\nt%sI00\nS'ab'\nt", "bytes do not fill its shape"),
    ],
)
def test_arrays_that_numpy_would_not_write(tmp_path: Path, state: bytes, said: str) -> None:
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    dtype = b"cnumpy\ndtype\n(S'u1'\ntR"
    (tmp_path / "set.pkl").write_bytes(made + (state % dtype if b"%s" in state else state) + b"b.")
    with pytest.raises(NonesuchError, match=said):
        safe_pickle.load(tmp_path / "set.pkl")


def test_a_packed_set_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "set.xz"
    path.write_bytes(lzma.compress(pickle.dumps([b"x" * 1000])))
    monkeypatch.setattr(safe_pickle, "_LARGEST", 1100)
    assert safe_pickle.load(path) == [b"x" * 1000]
    monkeypatch.setattr(safe_pickle, "_LARGEST", 1000)
    with pytest.raises(NonesuchError, match="unpacks to more than"):
        safe_pickle.load(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NonesuchError, match="No such file"):
        safe_pickle.load(tmp_path / "absent.pkl")
    (tmp_path / "set.xz").write_bytes(b"no xz")
    with pytest.raises(NonesuchError, match=r"damaged .*; copy it again"):
        safe_pickle.load(tmp_path / "set.xz")
