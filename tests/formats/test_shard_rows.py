"""The images of a dataset of ours as its indices name them, against a walk through its tars."""

import contextlib
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import nonesuch
from nonesuch.core import listing, parquet
from nonesuch.core.errors import NonesuchError
from nonesuch.formats import manifest as manifests
from nonesuch.formats import tar
from nonesuch.formats.photograph_lists import classes_of, exclude, excluded_names, joined, listed, signature
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.plan import PLAN
from nonesuch.formats.readers import find
from nonesuch.formats.shard_rows import ShardRows
from nonesuch.formats.shards import shard_files
from tests.formats.test_source import _manifest


@pytest.fixture
def ours(shards: Path) -> Path:
    """A complete dataset of three shards, of 4, 2 and 2 images."""
    manifests.write(shards, _manifest())
    return shards


def _walked(folder: Path) -> list[Photograph]:
    """What the tars hold, with the folder of each image as its identity."""
    found = [item for path in sorted((folder / "shards").glob("*.tar")) for item in tar.members(path)]
    return [replace(item, identity=item.name.partition("/")[0]) for item in found]


def _rows(folder: Path) -> ShardRows:
    found = find(folder)
    assert isinstance(found, ShardRows)
    return found


def test_the_same_images_as_in_the_tars(ours: Path) -> None:
    found, walked = _rows(ours), _walked(ours)
    assert len(found) == 8
    assert list(found) == walked
    assert [found[row] for row in range(8)] == walked
    assert [item.read_bytes() for item in found] == [item.read_bytes() for item in walked]
    assert found == walked
    assert found != walked[:-1]
    assert found != [*walked[:-1], walked[0]]
    assert found != 8


def test_a_copy_of_a_shard_by_a_shorter_name_does_not_count(ours: Path) -> None:
    walked = _walked(ours)
    (ours / "shards" / "1.tar").write_bytes(shard_files(ours, 1).tar.read_bytes())
    assert list(_rows(ours)) == walked


def test_parts_of_them(ours: Path) -> None:
    found, walked = _rows(ours), _walked(ours)
    chosen = np.array([6, 1, 4])
    assert found[chosen] == [walked[row] for row in chosen]
    assert found[chosen][1:] == [walked[1], walked[4]]
    assert found[chosen][-1] == walked[4]
    assert found[chosen][np.array([True, False, True])] == [walked[6], walked[4]]
    assert found[-2:] == walked[-2:]
    assert found[::3] == walked[::3]
    assert found[-1] == walked[-1]
    with pytest.raises(IndexError):
        found[8]
    assert [item.name for item in found.first_of_shards()] == [walked[row].name for row in (0, 4, 6)]
    assert found[chosen].first_of_shards() == [walked[1], walked[4], walked[6]]


def test_a_dataset_of_images_that_existed(tmp_path: Path) -> None:
    for name in ("bo/2.png", "bo/1.png", "al/1.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (112, 112), (len(name), 9, 200)).save(tmp_path / "in" / name)
    nonesuch.import_images(tmp_path / "in", tmp_path / "out", codec="png")
    assert _rows(tmp_path / "out") == _walked(tmp_path / "out")


@pytest.mark.parametrize("large", [False, True])
def test_lists_of_columns_are_those_of_photographs(ours: Path, large: bool) -> None:
    """Identities of eight digits are no longer of one width."""
    if large:
        _renumber(ours, 2, 10_000_002)
    rows = _rows(ours)
    alone = list(rows)
    two = [rows.named("0/"), rows[np.array([7, 0])].named("1/")]
    for found in (rows, rows[::2], rows[:0], rows.named("3/"), joined(two)):
        items = list(found)
        assert classes_of(found)[0] == classes_of(items)[0]
        assert classes_of(found)[1].tolist() == classes_of(items)[1].tolist()
        assert pa.Table.from_batches(listed(found), listing.SCHEMA).equals(
            pa.Table.from_batches(listed(items), listing.SCHEMA)
        )
        assert signature(found) == signature(items)
    assert [item.identity for item in joined(two)][-1] == "1/0000004"
    assert joined(two)[8] == two[1][0]
    for names in ({"0000004"}, {"0000007/00001.png", "0000002"}, {"00001.png"}, {"nobody"}, set[str]()):
        kept: Sequence[Photograph] = exclude(rows, names)
        assert list(kept) == exclude(alone, names)
        assert list(exclude(joined(two), names)) == exclude(list(joined(two)), names)


def _renumber(folder: Path, before: int, now: int) -> None:
    """Another number for an identity of the last shard, in the index and in the plan."""
    index = shard_files(folder, 2).index
    table = pq.read_table(index)
    place = table.column_names.index("label")
    pq.write_table(table.set_column(place, table.schema.field("label"), pa.array([now] * len(table))), index)
    groups = pq.ParquetFile(folder / PLAN)
    tables = [groups.read_row_group(group) for group in range(groups.num_row_groups)]
    tables[2] = tables[2].set_column(0, tables[2].schema.field("identity"), pa.array([now] * len(table)))
    with parquet.writer(folder / PLAN, tables[0].schema) as writer:
        for part in tables:
            writer.write_table(part)


def test_excluded_names(ours: Path, tmp_path: Path) -> None:
    rows, names = _rows(ours), tmp_path / "names.txt"
    names.write_text("0000007\n0000004/00001.png\n")
    assert excluded_names([names], rows, allow_unknown=False) == {"0000007", "0000004/00001.png"}
    assert len(exclude(rows, {"0000007", "0000004/00001.png"})) == 5
    names.write_text("0000007\nnobody\n")
    with pytest.raises(NonesuchError, match="1 of 2 names match nothing, the first is 'nobody'"):
        excluded_names([names], rows, allow_unknown=False)
    names.write_text("nobody\n")
    with pytest.raises(NonesuchError, match="leaves out none of 8 images"):
        excluded_names([names], rows, allow_unknown=True)
    names.write_text("00000.png\n00001.png\n")
    with pytest.raises(NonesuchError, match="leaves no photograph"):
        excluded_names([names], rows, allow_unknown=False)


def test_a_damaged_shard_is_one_clear_error(ours: Path) -> None:
    place = shard_files(ours, 1)
    whole = place.tar.read_bytes()
    for content in (whole[:-600], whole + b"x"):
        place.tar.write_bytes(content)
        with pytest.raises(NonesuchError, match=rf"000001\.tar: truncated or changed, {len(content)} bytes in place"):
            find(ours)
    place.tar.write_bytes(whole)
    index = place.index.read_bytes()
    place.index.write_bytes(index[:-9])
    with pytest.raises(NonesuchError, match=r"000001\.parquet: not a readable shard index"):
        find(ours)
    place.index.unlink()
    with pytest.raises(NonesuchError, match=r"000001\.tar: has no index; run the command that made it again"):
        find(ours)
    manifests.write(ours, replace(manifests.read(ours), complete=False))  # a process may be at work at this shard
    assert [item.name[:7] for item in find(ours)] == ["0000004", "0000004", "0000009", "0000009", "0000002", "0000002"]


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("label", 8, "lists other images than the plan"),
        ("image", 5, "lists other images than the plan"),
        ("label", -1, "no tar has images in these places"),
        ("label", None, "lacks a value"),
        ("offset", 513, "no tar has images in these places"),
        ("offset", 1 << 20, "no tar has images in these places"),
        ("size", 1 << 12, "no tar has images in these places"),
        ("size", 1 << 40, "not a readable shard index"),
        (None, 0, "not those of a shard index"),
    ],
)
def test_an_index_that_does_not_fit(ours: Path, column: str | None, value: int | None, problem: str) -> None:
    path = shard_files(ours, 0).index
    table = pq.read_table(path)
    if column is None:
        table = table.drop_columns(["sigma"])
    else:
        values = [value, *table[column].to_pylist()[1:]]
        place = table.column_names.index(column)
        table = table.set_column(place, table.schema.field(column), pa.array(values, table.schema.field(column).type))
    pq.write_table(table, path)
    with pytest.raises(NonesuchError, match=f"000000.parquet: .*{problem}"):
        find(ours)


def test_a_flipped_byte_of_an_index_is_noticed_or_harmless(ours: Path) -> None:
    path, whole = shard_files(ours, 0).index, shard_files(ours, 0).index.read_bytes()
    walked = [(item.name, item.identity, item.offset) for item in _walked(ours)]
    for place in range(4, len(whole), 29):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with contextlib.suppress(NonesuchError):
            # A size may be off by less than a tar's block: the image's hash, which 'nonesuch verify' checks, tells.
            assert [(item.name, item.identity, item.offset) for item in find(ours)] == walked


def test_a_copy_for_another_process(ours: Path) -> None:
    rows = _rows(ours)
    assert pickle.loads(pickle.dumps(rows)) == rows
    assert pickle.loads(pickle.dumps(rows[np.array([3, 1])].named("1/"))) == rows[np.array([3, 1])].named("1/")
