"""Checking one shard of a dataset. Worker processes import this file, so it does without torch."""

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nonesuch.core import files, images
from nonesuch.core.errors import NonesuchError
from nonesuch.formats.columns import columns_problem
from nonesuch.formats.plan import Plan
from nonesuch.formats.shards import image_key, read_index, shard_files

OTHER_HASH = "its hash is not the manifest's"
_BLOCK = tarfile.BLOCKSIZE
_WINDOW = 16 << 20  # bytes of a tar that are held at once; more only for one image that has more
_NAME, _SIZE, _CHECKSUM, _KIND, _MAGIC, _PREFIX = (  # places in the header of a member
    slice(0, 100),
    slice(124, 136),
    slice(148, 156),
    156,
    slice(257, 265),
    slice(345, 500),
)


@dataclass(frozen=True)
class Findings:
    """What is wrong with a shard, in words: its `problem`, None where it is sound, or then those of its `columns`."""

    problem: str | None
    columns: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return self.problem is None and not self.columns


@dataclass(frozen=True)
class ShardCheck:
    """How the shards of a dataset are checked.

    Attributes:
        folder: of the dataset.
        suffix: of the images, such as ".jpg".
        groups: of columns that belong to the dataset as its images do.
    """

    folder: Path
    suffix: str
    groups: tuple[str, ...]

    def findings(self, plan: Plan, number: int, expected_hash: str | None) -> Findings:
        """Check a shard against its plan and index; `expected_hash` is its tar's, None where it is not known."""
        try:
            problem = self._problem(plan.tables(number)[0], number, expected_hash)
        except NonesuchError as error:
            problem = str(error)
        except OSError as error:
            problem = f"cannot be read ({error.strerror or error})"
        if problem is not None:
            return Findings(problem)
        found = (columns_problem(self.folder, group, number) for group in self.groups)
        return Findings(None, tuple(problem for problem in found if problem is not None))

    def _problem(self, planned: pa.Table, number: int, expected_hash: str | None) -> str | None:
        shard = shard_files(self.folder, number)
        if missing := [path.name for path in astuple(shard) if not path.is_file()]:
            return f"{' and '.join(missing)} missing"
        index = read_index(shard.index)
        for name, column in {"label": "identity", "image": "image", "seed": "seed", "sigma": "sigma"}.items():
            if not index[name].equals(planned[column]):
                return f"its index differs from the plan in column {name!r}"
        if is_as_indexed(shard.tar, index, self.suffix, expected_hash):
            return None
        if problem := damaged_image(shard.tar, index, self.suffix):
            return problem
        return OTHER_HASH if expected_hash is not None and files.sha256(shard.tar) != expected_hash else None


def is_as_indexed(tar: Path, index: pa.Table, suffix: str, expected_hash: str | None) -> bool:
    """Whether a tar has the stated hash, and is what `ShardWriter` writes of the images of an index.

    It is read once. Where this is False, `damaged_image` says what is wrong; nothing is if another program wrote the
    same members in its own way.
    """
    labels, offsets, sizes = (index[name].to_numpy() for name in ("label", "offset", "size"))
    keys = list(map(image_key, labels.tolist(), index["image"].to_pylist()))
    there = tar.stat().st_size
    if not len(index) or index["key"].to_pylist() != keys or max(offsets.max(), sizes.max()) > there:
        return False
    label_places = offsets + -(-sizes // _BLOCK) * _BLOCK + _BLOCK
    ends = label_places + _BLOCK
    starts = np.concatenate([[0], ends[:-1]])
    if (offsets != starts + _BLOCK).any() or ends[-1] > there:
        return False
    texts = labels.astype("S20")
    names = np.array([key + suffix for key in keys], dtype="S100"), np.array([f"{key}.cls" for key in keys], "S100")
    hashes = index["sha256"].to_pylist()
    digest = hashlib.sha256()
    with tar.open("rb") as handle:
        for rows in _windows(starts, ends):
            start = starts[rows.start]
            data = handle.read(ends[rows.stop - 1] - start)
            digest.update(data)
            if len(data) < ends[rows.stop - 1] - start:
                return False
            blocks = np.frombuffer(data, dtype=np.uint8).reshape(-1, _BLOCK)
            places, label_blocks = offsets[rows] - start, (label_places[rows] - start) // _BLOCK
            if not (
                _are_headers(blocks[places // _BLOCK - 1], names[0][rows], sizes[rows])
                and _are_headers(blocks[label_blocks - 1], names[1][rows], np.char.str_len(texts[rows]))
                and np.array_equal(blocks[label_blocks, : texts.itemsize], _bytes_of(texts[rows]))
                and _are_sound(memoryview(data), places.tolist(), sizes[rows].tolist(), hashes[rows])
            ):
                return False
        while data := handle.read(_WINDOW):
            digest.update(data)
            if data.count(0) != len(data):
                return False
    return expected_hash is None or digest.hexdigest() == expected_hash


def _windows(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Iterator[slice]:
    """Rows whose members are together at most `_WINDOW` bytes, or one row."""
    first = 0
    while first < len(starts):
        stop = max(int(np.searchsorted(ends, starts[first] + _WINDOW, side="right")), first + 1)
        yield slice(first, stop)
        first = stop


def _are_headers(found: NDArray[np.uint8], names: NDArray[np.bytes_], sizes: NDArray[np.int64]) -> bool:
    """Whether (N, 512) blocks are the headers of plain files of these names and sizes, with the right checksums."""
    sums = found.sum(1, dtype=np.int64) - found[:, _CHECKSUM].sum(1, dtype=np.int64) + 8 * ord(" ")
    return (
        np.array_equal(found[:, _NAME], _bytes_of(names))
        and np.array_equal(found[:, _SIZE], _octal(sizes, 11, b"\0"))
        and np.array_equal(found[:, _CHECKSUM], _octal(sums, 6, b"\0 "))
        and bool((found[:, _KIND] == ord("0")).all())
        and bool((found[:, _MAGIC] == np.frombuffer(b"ustar\x0000", dtype=np.uint8)).all())
        and not found[:, _PREFIX].any()
    )


def _octal(numbers: NDArray[np.int64], digits: int, end: bytes) -> NDArray[np.uint8]:
    """(N, digits + len(end)) characters: each number in base 8, then `end`."""
    shifts = 3 * np.arange(digits - 1, -1, -1)
    written = ((numbers[:, None] >> shifts) & 7).astype(np.uint8) + np.uint8(ord("0"))
    return np.hstack([written, np.tile(np.frombuffer(end, dtype=np.uint8), (len(numbers), 1))])


def _bytes_of(texts: NDArray[np.bytes_]) -> NDArray[np.uint8]:
    return texts.view(np.uint8).reshape(len(texts), texts.itemsize)


def _are_sound(data: memoryview, places: list[int], sizes: list[int], hashes: list[bytes]) -> bool:
    return all(
        hashlib.sha256(image := data[place : place + size]).digest() == expected and images.decodes(image)
        for place, size, expected in zip(places, sizes, hashes, strict=True)
    )


def damaged_image(tar: Path, index: pa.Table, suffix: str) -> str | None:
    """The first member that differs from the index, in words."""
    with tar.open("rb") as handle:
        try:
            with tarfile.open(fileobj=handle, mode="r:") as archive:
                members = [(member.name, member.offset_data, member.size) for member in archive]
        except tarfile.TarError as error:
            return f"damaged tar ({error})"
        if len(members) != 2 * len(index):
            return f"holds {len(members)} files, the index lists {len(index)} images with a label each"
        for position, row in enumerate(index.to_pylist()):
            key = image_key(row["label"], row["image"])
            image, label = members[2 * position], members[2 * position + 1]
            if row["key"] != key or image != (key + suffix, row["offset"], row["size"]) or label[0] != f"{key}.cls":
                return f"{key}: not where the index says"
            handle.seek(image[1])
            data = handle.read(image[2])
            if hashlib.sha256(data).digest() != row["sha256"]:
                return f"{key}: its bytes do not match their hash"
            images.decode(data, key)
            handle.seek(label[1])
            if handle.read(label[2]) != str(row["label"]).encode():
                return f"{key}: its label file does not say {row['label']}"
    return None
