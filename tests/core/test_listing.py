"""Lists of images and their hash, against the same written out line by line."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest

from nonesuch.core import listing


def _batch(rows: list[tuple[str, str, int]]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return pa.record_batch(
        [pa.array(column, kind) for column, kind in zip(columns, listing.SCHEMA.types, strict=True)],
        schema=listing.SCHEMA,
    )


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [
            ("4/00000.jpg", "0004", 9),
            ("4/00001.jpg", "0004", 10_203),
            ("5/00000.jpg", "0005", 0),
        ],
        [("a.png", "é", 5), ("longer.png", "", 100), ("ü/b.png", "x", 1)],
        [("a", "b", 10**12), ("c", "d", 7)],
        [("a", "b", 10**12 - 1), ("c", "d", 1_000_000)],
    ],
)
def test_the_hash_is_that_of_the_lines(rows: list[tuple[str, str, int]]) -> None:
    expected = hashlib.sha256("".join(f"{name}\0{who}\0{size}\n" for name, who, size in rows).encode()).hexdigest()
    assert listing.signature([_batch(rows)]) == expected
    assert listing.signature([_batch([row]) for row in rows]) == expected
    assert listing.signature([_batch(rows).slice(0, 1), _batch(rows).slice(1)]) == expected


def test_digits_and_texts() -> None:
    values = np.array([0, 7, 12_345, 99_999, 6_012_345])
    assert listing.texts(listing.digits(values, 7)).to_pylist() == [f"{value:07d}" for value in values]
    assert listing.texts(listing.digits(values[:4], 5)).to_pylist() == [f"{value:05d}" for value in values[:4]]
