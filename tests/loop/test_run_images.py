"""The images of a run as they were and as they are, against a table of Python's own."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from torch import tensor

from nonesuch.core import listing
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import Notice
from nonesuch.loop.run_folder import IMAGES, STATE
from nonesuch.loop.run_images import PlacedSamples, images_of_run, stand_ins

Row = tuple[str, str, int]


def _list(rows: list[Row], at_once: int = 2) -> Callable[[], Iterator[pa.RecordBatch]]:
    table = pa.table(dict(zip(listing.SCHEMA.names, zip(*rows, strict=True), strict=True)), schema=listing.SCHEMA)
    return lambda: iter(table.to_batches(at_once))


ROWS = [(f"{number % 3}/{number}.png", f"{number % 3}", 10 * number) for number in range(9)]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of `ROWS` that has a saved state."""
    images_of_run(tmp_path, _list(ROWS)).write(tmp_path)
    (tmp_path / STATE).touch()
    return tmp_path


def test_the_list_is_kept_in_batches(run: Path) -> None:
    table = pq.read_table(run / IMAGES)
    assert table.schema.equals(listing.SCHEMA)
    assert [tuple(row.values()) for row in table.to_pylist()] == ROWS


def test_the_same_images(run: Path) -> None:
    found = images_of_run(run, _list(ROWS, at_once=4))
    assert (len(found), found.left, found.identities) == (9, None, set())
    assert found.rows.tolist() == list(range(9))
    assert found.signature == listing.signature(_list(ROWS)())


def test_a_run_of_an_earlier_release(run: Path) -> None:
    """Its list was written in one piece, and its hash is in the run's settings."""
    table = pq.read_table(run / IMAGES)
    pq.write_table(table, run / IMAGES)
    lines = "".join(f"{name}\0{who}\0{size}\n" for name, who, size in ROWS)
    found = images_of_run(run, _list(ROWS))
    assert found.left is None
    assert found.signature == hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize("now", [[8, 0, 3, 4], [1, 4, 7], [5, 4, 3, 2, 1, 0, 8, 7, 6]])
def test_images_that_are_left_out_or_in_another_order(run: Path, now: list[int]) -> None:
    with pytest.warns(Notice, match=f"{9 - len(now)} of its 9 images are left out now"):
        found = images_of_run(run, _list([ROWS[row] for row in now]))
    assert found.rows.tolist() == [now.index(row) if row in now else -1 for row in range(9)]
    assert found.identities == {"0", "1", "2"}
    assert len(found) == 9
    assert found.signature == listing.signature(_list(ROWS)())


def test_images_that_are_new_or_have_changed(run: Path) -> None:
    for row in (("1/1.png", "1", 11), ("1/1.png", "2", 10), ("0/99.png", "0", 1)):
        with pytest.raises(NonesuchError, match=f"holds a run with other images: {row[0]} is new or has changed"):
            images_of_run(run, _list([*ROWS[4:], row]))


def test_a_damaged_list(run: Path) -> None:
    path = run / IMAGES
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(NonesuchError, match=r"not a readable list of a run's images.*; put it back"):
        images_of_run(run, _list(ROWS))
    table = pq.read_table(pa.BufferReader(whole))
    pq.write_table(table.set_column(2, listing.SCHEMA.field(2), pa.array([None] * 9, pa.int64())), path)
    with pytest.raises(NonesuchError, match=r"a value is missing.*; put it back"):
        images_of_run(run, _list(ROWS))


def test_the_next_one_stands_in_and_all_others_stay() -> None:
    assert stand_ins(np.array([0, 1, 2])).tolist() == [0, 1, 2]
    assert stand_ins(np.array([-1, 0, -1, -1, 1, -1])).tolist() == [0, 0, 1, 1, 1, 0]


def test_seeds_belong_to_the_places() -> None:
    class Echo:
        def __len__(self) -> int:
            return 2

        def load(self, indices: np.ndarray, seeds: list[int]) -> dict:
            return {"rows": tensor(indices), "seeds": tensor(seeds)}

    placed = PlacedSamples(Echo(), stand_ins(np.array([0, -1, 1])))
    assert len(placed) == 3
    loaded = placed.load(np.array([2, 1, 0]), [7, 8, 9])
    assert loaded["rows"].tolist() == [1, 1, 0]
    assert loaded["seeds"].tolist() == [7, 8, 9]
