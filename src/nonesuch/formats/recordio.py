"""insightface's RecordIO sets: `train.rec`, `train.idx` and `property`, read and written without mxnet.

A record is a magic number, then three bits that say whether it is whole (0) or the first (1), a middle (2) or the last
(3) part of one, and 29 bits of length, then the content, filled up to four bytes. Where the content itself holds the
magic number at a multiple of four bytes, it is parted there, and the number is left out. The content is a header (flag,
label, id, id2 as `<IfQQ`; a flag above 0 is the number of float32 labels that follow) and an encoded image.

Record 0 may hold two labels, the first and the last but one number of headers of identities: records without image,
each with the range of numbers of the identity's images.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nonesuch.core import images
from nonesuch.core.errors import NonesuchError
from nonesuch.formats.class_names import write_class_names
from nonesuch.formats.packs import one_pack, packs
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.to_write import ToWrite

_MAGIC = struct.pack("<I", 0xCED7230A)
_FRAME = struct.Struct("<4sI")
_HEADER = struct.Struct("<IfQQ")
_LENGTH_BITS = 29
_LONGEST = (1 << _LENGTH_BITS) - 1
_EXACT = 1 << 24  # float32 holds all whole numbers up to here
_PEEK = _FRAME.size + _HEADER.size + 8  # bytes, with the labels of record 0


@dataclass(frozen=True)
class PartedPhotograph(Photograph):
    """An image whose record is parted; `offset` is that of its first part.

    Attributes:
        skip: bytes before the image in the joined content.
    """

    skip: int = 0

    def read_bytes(self) -> bytes:
        """The encoded image; raises NonesuchError where the file cannot be read any more or has changed."""
        try:
            with self.container.open("rb") as file:
                return _content(file, self.container, self.name, self.offset)[self.skip :]
        except OSError as error:
            raise NonesuchError(f"{self.container}: {error.strerror or error}") from error


def takes(path: Path) -> bool:
    """A `.rec`, or a folder that holds one and neither images nor folders beside it."""
    return bool(packs(path, (".rec",)))


def find(path: Path, split: str | None) -> list[Photograph]:
    """All images, in order of their numbers, which name them; there are no splits, so `split` is ignored.

    The identity is the label, of several the first. Without a `.idx` the records are taken as they follow each other.

    Raises:
        NonesuchError: the `.rec` or `.idx` is cut off, damaged, or about another set; a label is no whole number; or a
            folder holds several sets.
    """
    rec = one_pack(path, packs(path, (".rec",)))
    index = rec.with_suffix(".idx")
    found: list[Photograph] = []
    told = None
    try:
        with rec.open("rb", buffering=0) as file:
            size = rec.stat().st_size
            places = _in_index(index, size) if index.is_file() else _in_sequence(file, rec, size)
            for key, offset in places:
                photograph, labels = _record(file, rec, size, key, offset)
                if photograph is not None:
                    found.append(photograph)
                elif key == 0 and len(labels) == 2:
                    told = labels[0] - 1
    except OSError as error:
        raise NonesuchError(f"{rec}: not readable ({error.strerror or error})") from error
    if told is not None and told < _EXACT and told != len(found):
        raise NonesuchError(f"{rec}: record 0 speaks of {told:.0f} images, {len(found)} are listed; copy the set again")
    return found


def _in_index(index: Path, size: int) -> list[tuple[int, int]]:
    """Number and offset of each record."""
    places: dict[int, int] = {}
    try:
        with index.open(encoding="ascii") as lines:
            for line in lines:
                key, offset = map(int, line.split())
                if key in places or not 0 <= key < 1 << 63 or not 0 <= offset < size:
                    raise NonesuchError(
                        f"{index}: record {key} is listed twice, or at {offset} outside the .rec; copy both again"
                    )
                places[key] = offset
    except (OSError, ValueError) as error:
        raise NonesuchError(f"{index}: not a readable list of records ({error}); copy it again") from error
    return sorted(places.items())


def _in_sequence(file: BinaryIO, rec: Path, size: int) -> Iterator[tuple[int, int]]:
    key = offset = 0
    while offset < size:
        yield key, offset
        start, length = list(_parts(file, rec, size, key, offset))[-1]
        offset = start + length + -length % 4
        key += 1


def _record(file: BinaryIO, rec: Path, size: int, key: int, offset: int) -> tuple[Photograph | None, tuple[float, ...]]:
    """The image of a record and its labels; the image is None for a header of identities."""
    parts = list(_parts(file, rec, size, key, offset))
    total = sum(length for _, length in parts) + len(_MAGIC) * (len(parts) - 1)
    images.check_size(total, f"{rec}: record {key}")
    if len(parts) == 1:
        file.seek(parts[0][0])
        start = file.read(min(total, _PEEK))
    else:
        start = _joined(file, parts)
    flag, label, _, _ = _HEADER.unpack(start[: _HEADER.size]) if total >= _HEADER.size else (1, 0.0, 0, 0)
    skip = _HEADER.size + 4 * flag
    if skip > total:
        raise NonesuchError(f"{rec}: record {key} is too short for its header; copy the set again")
    labels = struct.unpack_from(f"<{min(flag, 2)}f", start, _HEADER.size) if flag else (label,)
    if skip == total and flag:
        return None, labels
    if skip == total:
        raise NonesuchError(f"{rec}: record {key} holds no image; copy the set again")
    if not math.isfinite(labels[0]) or labels[0] != int(labels[0]):
        raise NonesuchError(f"{rec}: record {key} has the label {labels[0]:g}, which is no whole number")
    identity = str(int(labels[0]))
    if len(parts) == 1:
        return Photograph(str(key), identity, rec, parts[0][0] + skip, total - skip), labels
    return PartedPhotograph(str(key), identity, rec, offset, total - skip, skip=skip), labels


def _parts(file: BinaryIO, rec: Path, size: int, key: int | str, offset: int) -> Iterator[tuple[int, int]]:
    """Offset and length of the content of each part of a record."""
    first = True
    while True:
        file.seek(offset)
        frame = file.read(_FRAME.size)
        magic, said = _FRAME.unpack(frame) if len(frame) == _FRAME.size else (b"", 0)
        part, length = said >> _LENGTH_BITS, said & _LONGEST
        if magic != _MAGIC or part not in ((0, 1) if first else (2, 3)):
            raise NonesuchError(f"{rec}: record {key} does not begin as one at byte {offset}; copy the set again")
        offset += _FRAME.size
        if offset + length > size:
            raise NonesuchError(f"{rec}: record {key} claims more bytes than the file has; copy the set again")
        yield offset, length
        if part in (0, 3):
            return
        offset += length + -length % 4
        first = False


def _content(file: BinaryIO, rec: Path, key: int | str, offset: int) -> bytes:
    parts = list(_parts(file, rec, rec.stat().st_size, key, offset))
    images.check_size(sum(length for _, length in parts), f"{rec}: record {key}")
    return _joined(file, parts)


def _joined(file: BinaryIO, parts: list[tuple[int, int]]) -> bytes:
    found = []
    for offset, length in parts:
        file.seek(offset)
        found.append(file.read(length))
    return _MAGIC.join(found)


def write(folder: Path, wanted: ToWrite) -> None:
    """Write `train.rec`, `train.idx` and `property`, and the identity of each class beside them.

    Images are records 1 .. N, headers of identities follow, as insightface has them. Where the images of an identity do
    not lie together, or there are more than float32 can count, records are 0 .. N - 1 without headers, which
    insightface reads as well.

    Raises:
        NonesuchError: an image cannot be read or is too large, or there are more classes than float32 can count.
        OSError: the disk is full.
    """
    if len(wanted.people) > _EXACT:
        raise NonesuchError(f"{len(wanted.people):,} identities: RecordIO counts up to {_EXACT:,}; split the set")
    count, people = len(wanted), len(wanted.people)
    # Where each run of one label begins, and the end.
    starts = np.flatnonzero(np.diff(wanted.labels, prepend=-1, append=-1))
    together = len(starts) == people + 1 and count + people < _EXACT
    with (folder / "train.rec").open("wb") as rec, (folder / "train.idx").open("w", encoding="ascii") as index:

        def add(key: int, content: bytes) -> None:
            index.write(f"{key}\t{rec.tell()}\n")
            _write_record(rec, content)

        if together:
            add(0, _ranged(0, count + 1, count + 1 + people))
        for number, image in enumerate(wanted):
            key = number + together
            if number == 0:
                height, width = images.decode(image.data, image.name).shape[:2]
                (folder / "property").write_text(f"{people},{height},{width}\n", encoding="ascii")
            if len(image.data) > _LONGEST - _HEADER.size:
                raise NonesuchError(f"{image.name}: {len(image.data):,} bytes, too many for a record; scale it down")
            add(key, _HEADER.pack(0, image.label, key, 0) + image.data)
        if together:
            for place in np.argsort(wanted.labels[starts[:-1]]).tolist():
                label = int(wanted.labels[starts[place]])
                first, last = int(starts[place]) + 1, int(starts[place + 1]) + 1
                add(count + 1 + label, _ranged(count + 1 + label, first, last))
    write_class_names(folder, wanted)


def _ranged(key: int, first: int, last: int) -> bytes:
    """A header of a range of records, without image."""
    return _HEADER.pack(2, 0.0, key, 0) + struct.pack("<2f", first, last)


def _write_record(rec: BinaryIO, content: bytes) -> None:
    cuts = [-len(_MAGIC)]
    at = content.find(_MAGIC)
    while at >= 0:
        if at % 4 == 0:
            cuts.append(at)
        at = content.find(_MAGIC, at + 1)
    for number, cut in enumerate(cuts):
        end = cuts[number + 1] if number + 1 < len(cuts) else len(content)
        piece = content[cut + len(_MAGIC) : end]
        part = 0 if len(cuts) == 1 else 1 if number == 0 else 3 if number + 1 == len(cuts) else 2
        rec.write(_FRAME.pack(_MAGIC, part << _LENGTH_BITS | len(piece)) + piece + bytes(-len(piece) % 4))
