"""insightface's RecordIO from its description alone: none of the code under test is called here."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

MAGIC = 0xCED7230A
WORD = struct.pack("<I", MAGIC)


@dataclass(frozen=True)
class Item:
    """A record: its number, its labels, its image (none for a header of identities), and id2."""

    key: int
    labels: tuple[float, ...]
    image: bytes = b""
    several: bool = False  # whether the labels follow the header though there is one


def content(item: Item) -> bytes:
    """What pack(IRHeader(flag, label, id, id2), image) gives."""
    if len(item.labels) == 1 and not item.several:
        return struct.pack("<IfQQ", 0, item.labels[0], item.key, 0) + item.image
    values = struct.pack(f"<{len(item.labels)}f", *item.labels)
    return struct.pack("<IfQQ", len(item.labels), 0.0, item.key, 0) + values + item.image


def framed(data: bytes) -> bytes:
    """As dmlc's RecordIOWriter::WriteRecord, word by word."""
    out, begin = b"", 0
    for at in range(0, len(data) // 4 * 4, 4):
        if data[at : at + 4] == WORD:
            out += struct.pack("<II", MAGIC, (1 if begin == 0 else 2) << 29 | at - begin) + data[begin:at]
            begin = at + 4
    out += struct.pack("<II", MAGIC, (3 if begin else 0) << 29 | len(data) - begin) + data[begin:]
    return out + b"\0" * (-(len(data) - begin) % 4)


def write(folder: Path, items: Iterable[Item], classes: int = 1) -> Path:
    """train.rec, train.idx and property."""
    folder.mkdir(parents=True, exist_ok=True)
    rec, index = b"", ""
    for item in items:
        index += f"{item.key}\t{len(rec)}\n"
        rec += framed(content(item))
    (folder / "train.rec").write_bytes(rec)
    (folder / "train.idx").write_text(index)
    (folder / "property").write_text(f"{classes},112,112")
    return folder


def with_headers(images: Sequence[tuple[int, bytes]]) -> list[Item]:
    """The records of a published set: images in order of label, then a header for each identity."""
    people = sorted({label for label, _ in images})
    end = len(images) + 1
    items = [Item(0, (end, end + len(people)))]
    items += [Item(number, (label,), image) for number, (label, image) in enumerate(images, start=1)]
    for place, label in enumerate(people):
        numbers = [number for number, (other, _) in enumerate(images, start=1) if other == label]
        items.append(Item(end + place, (numbers[0], numbers[-1] + 1)))
    return items


def read(rec: Path) -> list[tuple[int, bytes]]:
    """Offset and content of each record, one after the other, as dmlc's RecordIOReader::NextRecord."""
    data, at, found = rec.read_bytes(), 0, []
    while at < len(data):
        begin, joined = at, b""
        while True:
            magic, said = struct.unpack_from("<II", data, at)
            assert magic == MAGIC
            part, length = said >> 29, said & (1 << 29) - 1
            joined += data[at + 8 : at + 8 + length]
            at += 8 + (length + 3) // 4 * 4
            if part in (0, 3):
                break
            joined += WORD
        found.append((begin, joined))
    return found


def unpacked(data: bytes) -> tuple[tuple[float, ...], int, bytes]:
    """Labels, id and image of a record's content."""
    flag, label, number, second = struct.unpack_from("<IfQQ", data)
    assert second == 0
    if not flag:
        return (label,), number, data[24:]
    return struct.unpack_from(f"<{flag}f", data, 24), number, data[24 + 4 * flag :]
