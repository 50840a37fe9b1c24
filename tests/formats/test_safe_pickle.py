"""A pickle of a few bytes cannot ask for gigabytes."""

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
