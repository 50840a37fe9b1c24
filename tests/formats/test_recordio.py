"""RecordIO as insightface has it, against a writer and a reader made from its description (`recordio_by_hand`)."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nonesuch.core import images
from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.export_dataset import export_dataset
from nonesuch.formats import recordio
from nonesuch.formats.readers import find
from tests.formats.recordio_by_hand import WORD, Item, content, framed, read, unpacked, with_headers, write

pytestmark = pytest.mark.filterwarnings("ignore::nonesuch.core.notices.Notice")


def _image(level: int) -> bytes:
    return images.encode(np.full((8, 8, 3), level, np.uint8), "png", 1)


SET = [(0, _image(1)), (0, _image(2)), (4, _image(3)), (11, _image(4)), (11, _image(5)), (11, _image(6))]


@pytest.mark.parametrize("named", ["", "train.rec"])
@pytest.mark.parametrize("with_index", [True, False])
def test_a_published_set(tmp_path: Path, named: str, with_index: bool) -> None:
    """Headers of identities are no images; without an index the records are followed one by one."""
    folder = write(tmp_path / "faces", with_headers(SET))
    if not with_index:
        (folder / "train.idx").unlink()
    found = find(folder / named)
    assert [item.name for item in found] == ["1", "2", "3", "4", "5", "6"]
    assert [item.identity for item in found] == ["0", "0", "4", "11", "11", "11"]
    assert [item.read_bytes() for item in found] == [data for _, data in SET]
    assert [int(item.read()[0, 0, 0]) for item in found] == [1, 2, 3, 4, 5, 6]
    assert find(folder / named, split="train") == found


def test_a_set_without_headers_and_with_several_labels(tmp_path: Path) -> None:
    items = [Item(5, (3, 61.5), _image(1)), Item(2, (8,), _image(2), several=True), Item(0, (3,), _image(3))]
    found = find(write(tmp_path / "faces", items))
    assert [(item.name, item.identity) for item in found] == [("0", "3"), ("2", "8"), ("5", "3")]
    assert [int(item.read()[0, 0, 0]) for item in found] == [3, 2, 1]


# Content with the magic number: at the start, twice, unaligned, at the end, and in the header's id.
_MAGIC_IMAGES = [
    WORD + b"abc",
    b"abcd" + WORD + WORD + b"e",
    b"ab" + WORD + b"cd",
    b"abcdefgh" + WORD,
    WORD[:3],
    b"abcd" + WORD[:2] + WORD + b"x" * 9 + WORD + b"yz",
]


@pytest.mark.parametrize("with_index", [True, False])
def test_records_that_are_parted_where_they_hold_the_magic_number(tmp_path: Path, with_index: bool) -> None:
    items = [Item(number, (number,), data) for number, data in enumerate(_MAGIC_IMAGES)]
    items.append(Item(0xCED7230A if with_index else len(items), (6,), b"image" + WORD * 3))
    folder = write(tmp_path / "faces", items)
    if not with_index:
        (folder / "train.idx").unlink()
    found = find(folder)
    assert sum(isinstance(item, recordio.PartedPhotograph) for item in found) == 3 + with_index
    assert [item.read_bytes() for item in found] == [item.image for item in items]
    assert [item.identity for item in found] == [str(number) for number in range(7)]
    assert [item.size for item in found] == [len(item.image) for item in items]


def test_what_is_exported_as_others_read_it(tmp_path: Path) -> None:
    people = tmp_path / "people"
    for number, (name, data) in enumerate((("b", 1), ("a", 2), ("a", 3), ("c", 4), ("c", 5))):
        (people / name).mkdir(parents=True, exist_ok=True)
        (people / name / f"{number}.png").write_bytes(_image(data))
    export_dataset(people, tmp_path / "out", format="recordio")
    records = read(tmp_path / "out" / "train.rec")
    index = [line.split("\t") for line in (tmp_path / "out" / "train.idx").read_text().splitlines()]
    assert index == [[str(number), str(begin)] for number, (begin, _) in enumerate(records)]
    told = [unpacked(data) for _, data in records]
    assert told[0] == ((6, 9), 0, b"")
    assert told[1:6] == [((label,), n, _image(level)) for n, label, level in zip(
        range(1, 6), (0, 0, 1, 2, 2), (2, 3, 1, 4, 5), strict=True)]  # fmt: skip
    assert told[6:] == [((1, 3), 6, b""), ((3, 4), 7, b""), ((4, 6), 8, b"")]
    assert (tmp_path / "out" / "property").read_text() == "3,8,8\n"
    assert (tmp_path / "out" / "identities.csv").read_text().split() == ["label,identity", "0,a", "1,b", "2,c"]


def test_content_that_holds_the_magic_number_is_written_as_others_write_it(tmp_path: Path) -> None:
    items = [Item(number, (number,), data) for number, data in enumerate([_image(9), *_MAGIC_IMAGES])]
    folder = write(tmp_path / "faces", items)
    export_dataset(folder, tmp_path / "out", format="recordio")
    images_only = read(tmp_path / "out" / "train.rec")[1:8]
    assert [unpacked(data)[2] for _, data in images_only] == [item.image for item in items]
    raw = (tmp_path / "out" / "train.rec").read_bytes()
    begin = images_only[0][0]
    for number, item in enumerate(items, start=1):
        expected = framed(content(Item(number, item.labels, item.image)))
        assert raw[begin : begin + len(expected)] == expected
        begin += len(expected)


def test_order_stays_where_identities_do_not_lie_together(tmp_path: Path) -> None:
    items = [Item(number, (label,), _image(number)) for number, label in enumerate((1, 0, 1, 2))]
    export_dataset(write(tmp_path / "faces", items), tmp_path / "out", format="recordio")
    told = [unpacked(data) for _, data in read(tmp_path / "out" / "train.rec")]
    assert told == [((label,), number, _image(number)) for number, label in enumerate((1, 0, 1, 2))]
    assert [item.identity for item in find(tmp_path / "out")] == ["1", "0", "1", "2"]


def test_more_than_float32_can_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "faces", with_headers(SET))
    monkeypatch.setattr(recordio, "_EXACT", 8)
    export_dataset(folder, tmp_path / "out", format="recordio")
    assert len(read(tmp_path / "out" / "train.rec")) == 6, "headers could not say where images are"
    assert [item.identity for item in find(tmp_path / "out")] == ["0", "0", "1", "2", "2", "2"]
    monkeypatch.setattr(recordio, "_EXACT", 2)
    with pytest.raises(NonesuchError, match="3 identities: RecordIO counts up to 2; split the set"):
        export_dataset(folder, tmp_path / "none", format="recordio")
    assert not (tmp_path / "none").exists()


def _rec(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / "train.rec").write_bytes(change((folder / "train.rec").read_bytes()))

    return damage


def _idx(change: Callable[[str], str]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / "train.idx").write_text(change((folder / "train.idx").read_text()))

    return damage


def _without_index(damage: Callable[[Path], None]) -> Callable[[Path], None]:
    def both(folder: Path) -> None:
        (folder / "train.idx").unlink()
        damage(folder)

    return both


def _begin(number: int) -> int:
    return sum(len(framed(content(item))) for item in with_headers(SET)[:number])


FAULTS = [
    (_rec(lambda rec: rec[: _begin(4)]), "outside the .rec"),
    (_rec(lambda rec: rec[: _begin(9) - 10]), "record 9 claims more bytes|record 8 claims more bytes|outside"),
    (_rec(lambda rec: rec[: _begin(3) + 30]), "outside the .rec"),
    (_without_index(_rec(lambda rec: rec[: _begin(3) + 30])), "record 3 claims more bytes than the file has"),
    (_without_index(_rec(lambda rec: rec[: _begin(3)])), "record 0 speaks of 6 images, 2 are listed"),
    (_without_index(_rec(lambda rec: rec + b"\x0a\x23")), "record 10 does not begin as one"),
    (_rec(lambda rec: rec[: _begin(2)] + b"\0" + rec[_begin(2) + 1 :]), "record 2 does not begin as one at byte"),
    (
        _rec(lambda rec: rec[: _begin(2) + 4] + struct.pack("<I", (1 << 29) - 1) + rec[_begin(2) + 8 :]),
        "record 2 claims more bytes than the file has",
    ),
    (
        _rec(lambda rec: rec[: _begin(2) + 4] + struct.pack("<I", 3 << 29 | 9) + rec[_begin(2) + 8 :]),
        "record 2 does",
    ),
    (
        _rec(lambda rec: rec[: _begin(2) + 4] + struct.pack("<I", 1 << 29 | 9) + rec[_begin(2) + 8 :]),
        "record 2 does",
    ),
    (_rec(lambda rec: rec[: _begin(2) + 4] + struct.pack("<I", 8) + rec[_begin(2) + 8 :]), "too short for its header"),
    (_rec(lambda rec: rec[: _begin(2) + 4] + struct.pack("<I", 24) + rec[_begin(2) + 8 :]), "record 2 holds no image"),
    (_rec(lambda rec: rec[: _begin(2) + 8] + b"\xff" * 4 + rec[_begin(2) + 12 :]), "too short for its header"),
    (_rec(lambda rec: rec[: _begin(2) + 12] + struct.pack("<f", 1.5) + rec[_begin(2) + 16 :]), "the label 1.5, which"),
    (_rec(lambda rec: rec[: _begin(2) + 12] + b"\xff" * 4 + rec[_begin(2) + 16 :]), "the label nan, which"),
    (_idx(lambda text: text.replace(f"2\t{_begin(2)}\n", "2\t99999999\n")), "record 2 is listed twice, or at 99999999"),
    (_idx(lambda text: text.replace(f"2\t{_begin(2)}\n", "2\t-8\n")), "outside the .rec"),
    (_idx(lambda text: text.replace("3\t", "2\t", 1)), "record 2 is listed twice"),
    (_idx(lambda text: text.replace("3\t", "", 1)), "not a readable list of records"),
    (_idx(lambda text: "\x80\n"), "not a readable list of records"),
    (_idx(lambda text: "".join(text.splitlines(True)[:4])), "record 0 speaks of 6 images, 3 are listed"),
    (_idx(lambda text: ""), "holds no images"),
    (_rec(lambda rec: b""), "outside the .rec"),
    (lambda folder: (folder / "val.rec").write_bytes(b""), "holds train.rec and val.rec; name the one"),
]


@pytest.mark.parametrize(("damage", "says"), FAULTS)
def test_damage_is_told_in_one_line(tmp_path: Path, damage: Callable[[Path], None], says: str) -> None:
    folder = write(tmp_path / "faces", with_headers(SET))
    damage(folder)
    with pytest.raises(NonesuchError, match=says) as error:
        find(folder)
    assert "\n" not in str(error.value)


def test_a_file_that_is_cut_off_after_it_was_listed(tmp_path: Path) -> None:
    folder = write(tmp_path / "faces", [Item(1, (1,), _image(1)), Item(2, (2,), b"abcd" + WORD + b"efgh" * 9)])
    found = find(folder)
    (folder / "train.rec").write_bytes((folder / "train.rec").read_bytes()[:40])
    for item in found:
        with pytest.raises(NonesuchError, match=r"cut off|does not begin"):
            item.read_bytes()
