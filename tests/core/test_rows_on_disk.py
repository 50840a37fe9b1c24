"""Rows that lie on the disk: read back as they were, without a trace in the folder, and one line for a full disk."""

from pathlib import Path

import numpy as np
import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.core.rows_on_disk import RowsOnDisk
from tests.faults import files_of_at_most, read_only


def test_rows_are_read_back_and_leave_no_file(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    kept = RowsOnDisk(tmp_path, 7, np.float32)
    assert kept.mapped().shape == (0, 7)
    for row in rows:
        kept.append(row)
    assert len(kept) == 5
    mapped = kept.mapped()
    del kept  # the rows outlive what wrote them
    assert np.array_equal(mapped, rows)
    assert mapped.dtype == np.float32
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="read-only"):
        mapped[0] = 0


def test_a_row_of_another_width(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not of 3 numbers"):
        RowsOnDisk(tmp_path, 3, np.float32).append(np.zeros(4, dtype=np.float32))


def test_no_space_and_no_right(tmp_path: Path) -> None:
    kept = RowsOnDisk(tmp_path, 1000, np.uint64)
    row = np.zeros(1000, dtype=np.uint64)  # within the file's buffer at first
    with files_of_at_most(9000), pytest.raises(NonesuchError, match="no space left"):
        [kept.append(row) for _ in range(10)]
    with read_only(tmp_path), pytest.raises(NonesuchError, match="cannot be written"):
        RowsOnDisk(tmp_path, 3, np.float32)
