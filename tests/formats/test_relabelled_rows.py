"""A manifest of a dataset of ours, read as columns, against a walk through the tars and a dict of what was planted."""

import pickle
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nonesuch.core import listing
from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.selection import select
from nonesuch.formats import manifest as manifests
from nonesuch.formats import relabelling
from nonesuch.formats.photograph_lists import chosen, classes_of, exclude, excluded_names, joined, listed, signature
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.readers import find
from nonesuch.formats.relabelling import Label
from nonesuch.formats.shard_rows import ShardRows
from nonesuch.formats.shards import image_key
from nonesuch.formats.source import Source
from tests.formats.test_shard_rows import _renumber, _walked
from tests.formats.test_source import _manifest
from tests.made_dataset import make_cleaned, make_dataset

# In another order than the dataset, whose identities are 4 and 9, 7, 2. The first image of 9 goes.
ROWS = [
    ("0000002/00001.png", Label("0000007", "0000002")),
    ("0000004/00000.png", Label("0000004", "0000004")),
    ("0000009/00001.png", Label("0000004", "0000009")),
    ("0000007/00000.png", Label("0000007", "0000007")),
    ("0000004/00001.png", Label("0000002", "0000004")),
    ("0000007/00001.png", Label("0000007", "0000007")),
    ("0000002/00000.png", Label("0000002", "0000002")),
]
POINTS = ((1.5, 2.0), (3.0, 2.0), (2.0, 3.0), (1.0, 4.0), (3.0, 4.0))


@pytest.fixture
def ours(shards: Path) -> Path:
    """A complete dataset of three shards, of 4, 2 and 2 images."""
    manifests.write(shards, _manifest())
    return shards


@pytest.fixture
def cleaned(ours: Path) -> Path:
    path = ours.parent / "cleaned.parquet"
    relabelling.write(path, ours, ROWS, {})
    return path


def _naive(items: Sequence[Photograph], rows: Sequence[tuple[str, Label]]) -> list[Photograph]:
    told = dict(rows)
    return [replace(item, identity=told[item.name].identity) for item in items if item.name in told]


def _as_rows(path: Path) -> ShardRows:
    found = find(path)
    assert isinstance(found, ShardRows)
    return found


def _check_same(found: Sequence[Photograph], items: Sequence[Photograph]) -> None:
    """By every question that is asked of a whole list, and image by image."""
    assert list(found) == list(items)
    assert [found[row] for row in range(-len(items), len(items))] == [*items, *items]
    assert classes_of(found)[0] == classes_of(items)[0]
    assert classes_of(found)[1].tolist() == classes_of(items)[1].tolist()
    tables = [pa.Table.from_batches(listed(one), listing.SCHEMA) for one in (found, items)]
    assert tables[0].equals(tables[1])
    assert signature(found) == signature(items)


def test_the_rows_of_a_manifest(ours: Path, cleaned: Path) -> None:
    found, items = _as_rows(cleaned), _naive(_walked(ours), ROWS)
    assert [item.identity[-1] for item in items] == list("4247727")
    _check_same(found, items)
    assert [item.read_bytes() for item in found] == [item.read_bytes() for item in items]
    assert find(cleaned, "train") == items  # there are no splits
    _check_same(found[1:-1], items[1:-1])
    _check_same(found[::2][1:], items[::2][1:])
    _check_same(found[np.array([6, 0, 3])], [items[row] for row in (6, 0, 3)])
    mask = np.array([True, False] * 3 + [True])
    _check_same(chosen(found, mask), chosen(items, mask))
    _check_same(found[mask][np.array([2, 0])], [items[4], items[0]])
    _check_same(pickle.loads(pickle.dumps(found[1:])), items[1:])
    assert found.first_of_shards() == [items[0], items[3], items[5]]
    for names in ({"0000002"}, {"0000009"}, {"0000009/00001.png", "0000007"}, {"00001.png"}, {"nobody"}):
        assert list(exclude(found, names)) == exclude(items, names)


def test_of_several_sources(ours: Path, cleaned: Path, tmp_path: Path) -> None:
    rows, all_of_it = _as_rows(cleaned), find(ours)
    assert isinstance(all_of_it, ShardRows)
    parts = [rows.named("0/"), all_of_it.named("1/")]
    items = [
        *(replace(item, identity=f"0/{item.identity}") for item in _naive(_walked(ours), ROWS)),
        *(replace(item, identity=f"1/{item.identity}") for item in _walked(ours)),
    ]
    both = joined(parts)
    assert list(both) == items
    assert signature(both) == signature(items)
    assert classes_of(both)[1].tolist() == classes_of(items)[1].tolist()
    names = tmp_path / "names.txt"
    names.write_text("0/0000002\n0000004/00000.png\n")
    assert list(exclude(both, excluded_names([names], both, False))) == exclude(
        items, {"0/0000002", "0000004/00000.png"}
    )


def test_a_manifest_of_a_manifest(ours: Path, cleaned: Path) -> None:
    first = _naive(_walked(ours), ROWS)
    again = [
        ("0000004/00001.png", Label("0000004", "0000002")),
        ("0000002/00001.png", Label("0000002", "0000007")),
        ("0000009/00001.png", Label("0000004", "0000004")),
    ]
    path = cleaned.with_name("again.parquet")
    relabelling.write(path, cleaned, again, {})
    _check_same(_as_rows(path), _naive(first, again))
    relabelling.write(path, cleaned, [*again[:2], ("0000009/00001.png", Label("0000004", "0000009"))], {})
    with pytest.raises(NonesuchError, match=r"0000009/00001\.png was of 0000009, and is of 0000004 now"):
        find(path)


def test_of_a_name_that_comes_twice_the_last_row_counts(ours: Path, cleaned: Path) -> None:
    for rows in (
        [*ROWS, ("0000009/00001.png", Label("0000009", "0000009"))],
        [
            ("0000009/00001.png", Label("0000009", "0000002")),
            *ROWS,
        ],  # which was another's, by a row that does not count
    ):
        relabelling.write(cleaned, ours, rows, {})
        _check_same(_as_rows(cleaned), _naive(_walked(ours), rows))


def _with_face(rows: Sequence[tuple[str, Label]]) -> list[tuple[str, Label]]:
    """The same of a manifest that is read as a list."""
    return [(rows[0][0], replace(rows[0][1], landmarks=POINTS)), *rows[1:]]


@pytest.mark.parametrize("is_list", [False, True])
def test_images_that_are_no_longer_those(ours: Path, cleaned: Path, is_list: bool) -> None:
    """The same message from both ways."""
    gone = [("0000005/00000.png", Label("0000005", "0000005")), ("0000004/00002.png", Label("0000004", "0000004"))]
    changed = [ROWS[0], (ROWS[1][0], Label("0000004", "0000003")), (ROWS[2][0], Label("0000004", "0000008")), *ROWS[3:]]
    for rows, told in (
        (
            [*ROWS, *gone, gone[0]],
            r"ours lacks 2 of its images, the first is 0000004/00002\.png; make cleaned\.parquet ",
        ),
        (changed, r"0000004/00000\.png was of 0000003, and is of 0000004 now; make cleaned\.parquet again with"),
        ([*changed, *gone], "lacks 2 of its images"),
    ):
        relabelling.write(cleaned, ours, _with_face(rows) if is_list else rows, {}, with_faces=is_list)
        for split in (None, "train"):
            with pytest.raises(NonesuchError, match=told):
                find(cleaned, split)
    relabelling.write(cleaned, ours, [], {})
    with pytest.raises(NonesuchError, match=r"keeps none of the images of .*ours in the split train"):
        find(cleaned, "train")


def test_what_is_not_written_as_ours_is_read_as_a_list(ours: Path, cleaned: Path) -> None:
    for rows in (
        [*ROWS[1:], (ROWS[0][0], Label("ann", "0000002"))],
        [*ROWS[1:], (ROWS[0][0], Label("000000x", "0000002"))],
        [(name, replace(label, identity=f"{label.identity}0")) for name, label in ROWS],
    ):
        relabelling.write(cleaned, ours, rows, {})
        _check_same(find(cleaned), _naive(_walked(ours), rows))
        assert not isinstance(find(cleaned), ShardRows)
    relabelling.write(cleaned, ours, _with_face(ROWS), {}, with_faces=True)
    assert [item.landmarks for item in find(cleaned)].index(POINTS) == 6
    for name in ("0000002/00001.jpg", "0000002-00001.png", "000000x/00001.png", "0000002/0001.png"):
        relabelling.write(cleaned, ours, [*ROWS[1:], (name, ROWS[0][1])], {})
        with pytest.raises(NonesuchError, match=f"lacks 1 of its images, the first is {name}"):
            find(cleaned)


def test_identities_of_more_digits(ours: Path, cleaned: Path) -> None:
    _renumber(ours, 2, 10_000_002)
    wide, rows = _as_rows(ours), list[tuple[str, Label]]()
    for name, label in ROWS:
        there = name.replace("0000002/", "10000002/")
        rows.append((there, replace(label, was=there.partition("/")[0])))
    relabelling.write(cleaned, ours, rows, {})
    _check_same(find(cleaned), _naive(list(wide), rows))
    other = [replace(item, identity=f"{row:07d}") for row, item in enumerate(wide)]
    _check_same(wide.labelled(np.arange(8, dtype=np.int32)), other)


def test_damaged_manifests(ours: Path, cleaned: Path) -> None:
    table, whole = pq.read_table(cleaned), cleaned.read_bytes()
    for at, name in enumerate(table.column_names):
        pq.write_table(table.set_column(at, name, pa.array([None, *table[name].to_pylist()[1:]])), cleaned)
        with pytest.raises(NonesuchError, match="a row lacks its file or its identity; clean the images again"):
            find(cleaned)
        offsets = pa.py_buffer(np.arange(0, 8 * len(table), 7, dtype=np.int32)[: len(table) + 1])
        no_text = pa.StringArray.from_buffers(len(table), offsets, pa.py_buffer(b"\xff" * 7 * len(table)))
        pq.write_table(table.set_column(at, name, no_text), cleaned)
        with pytest.raises(NonesuchError, match="not a readable manifest"):
            find(cleaned)
    for place in (len(whole) // 4, len(whole) // 3):
        cleaned.write_bytes(whole[:4] + b"\0" * place + whole[4 + place :])
        with pytest.raises(NonesuchError, match=r"cleaned\.parquet: "):
            find(cleaned)


def test_a_condition_is_of_the_table_beside_a_manifest(ours: Path, cleaned: Path) -> None:
    """And not of the columns of its dataset."""
    with pytest.raises(NonesuchError, match="has no columns; add some"):
        select(Source.at(cleaned), "label = 4")
    beside = {"file": [name for name, _ in ROWS], "quality": list(range(len(ROWS)))}
    pq.write_table(pa.table(beside), cleaned.with_name("cleaned.parquet.parquet"))
    kept = select(Source.at(cleaned), "quality < 3").photographs
    assert list(kept) == [item for item in _naive(_walked(ours), ROWS) if item.name in beside["file"][:3]]


def test_no_object_for_each_row(tmp_path: Path) -> None:
    """200,000 images, of which 9 in 10 are kept and one in 100 is another's; in the source's order and shuffled."""
    make_dataset(tmp_path / "faces", 200_000)
    keys = [image_key(row // 50, row % 50) + ".jpg" for row in range(200_000) if row % 10]
    now = ["0000000" if row % 100 == 1 else f"{row // 50:07d}" for row in range(200_000) if row % 10]
    make_cleaned(tmp_path / "cleaned.parquet", tmp_path / "faces", 200_000)
    table = pq.read_table(tmp_path / "cleaned.parquet")
    for order in (np.arange(len(keys)), np.random.default_rng(0).permutation(len(keys))):
        pq.write_table(table.take(order), tmp_path / "cleaned.parquet", row_group_size=50_000)
        tracemalloc.start()
        found = _as_rows(tmp_path / "cleaned.parquet")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        rows = pa.Table.from_batches(listed(found), listing.SCHEMA)
        assert rows["file"].to_pylist() == keys
        assert rows["identity"].to_pylist() == now
        assert peak < 40e6, peak
