"""What the stages ask of a whole list of photographs: classes, names, hashes; by columns where the images are ours."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nonesuch.core import listing
from nonesuch.core.errors import NonesuchError
from nonesuch.formats.photographs import Photograph, check_known, names_of, read_names
from nonesuch.formats.shard_rows import ShardRows


class Joined(Sequence[Photograph]):
    """Photographs of several sources, one after the other.

    Attributes:
        parts: lists of photographs, or rows of datasets of ours.
    """

    def __init__(self, parts: Sequence[Sequence[Photograph]]) -> None:
        self.parts = list(parts)
        self._starts = np.cumsum([0, *map(len, parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @overload
    def __getitem__(self, at: int) -> Photograph: ...
    @overload
    def __getitem__(self, at: slice) -> list[Photograph]: ...
    def __getitem__(self, at: int | slice) -> Photograph | list[Photograph]:
        """One photograph, or a list of some."""
        rows = range(len(self))[at]
        return self._one(rows) if isinstance(rows, int) else [self._one(row) for row in rows]

    def __iter__(self) -> Iterator[Photograph]:
        for part in self.parts:
            yield from part

    def _one(self, row: int) -> Photograph:
        part = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self.parts[part][row - int(self._starts[part])]


def joined(parts: Sequence[Sequence[Photograph]]) -> Sequence[Photograph]:
    """One list of several; that of a single source stays what it is."""
    return parts[0] if len(parts) == 1 else Joined(parts)


def classes_of(photographs: Sequence[Photograph]) -> tuple[list[str], NDArray[np.int32]]:
    """Names of the identities, sorted, and (N,) which of them each photograph shows."""
    if isinstance(photographs, ShardRows):
        return photographs.classes()
    if isinstance(photographs, Joined):
        parts = [classes_of(part) for part in photographs.parts]
        names = sorted({name for own, _ in parts for name in own})
        place = {name: row for row, name in enumerate(names)}
        renumbered = [np.array([place[name] for name in own], dtype=np.int32)[rows] for own, rows in parts]
        return names, np.concatenate(renumbered)
    names = sorted({item.identity for item in photographs})
    place = {name: row for row, name in enumerate(names)}
    return names, np.array([place[item.identity] for item in photographs], dtype=np.int32)


def listed(photographs: Sequence[Photograph]) -> Iterator[pa.RecordBatch]:
    """Batches of `nonesuch.core.listing.SCHEMA`: a photograph's name, its identity, and its size in bytes."""
    if isinstance(photographs, ShardRows):
        yield from photographs.listed()
        return
    if isinstance(photographs, Joined):
        for part in photographs.parts:
            yield from listed(part)
        return
    items = iter(photographs)
    while some := list(islice(items, listing.BATCH)):
        sizes = [item.container.stat().st_size if item.size < 0 else item.size for item in some]
        # A name that is not UTF-8 has surrogates, which Arrow refuses.
        names, people = (
            [word.encode(errors="backslashreplace").decode() for word in words]
            for words in ([item.name for item in some], [item.identity for item in some])
        )
        columns: list[Any] = [pa.array(names, pa.string()), pa.array(people, pa.string()), pa.array(sizes, pa.int64())]
        yield pa.record_batch(columns, schema=listing.SCHEMA)


def signature(photographs: Sequence[Photograph]) -> str:
    """A hash of names, labels, sizes in bytes and known faces: tells one set of photographs from another unread."""
    plain = listing.signature(listed(photographs))
    if isinstance(photographs, ShardRows):
        return plain
    known = [(item.name, item.landmarks) for item in photographs if item.landmarks is not None]
    return hashlib.sha256(f"{plain}{known}".encode()).hexdigest() if known else plain


def exclude(photographs: Sequence[Photograph], names: set[str]) -> Sequence[Photograph]:
    """The photographs of whose names none is among `names`, which are those of `read_names`."""
    return _without(photographs, names)[0] if names else photographs


def excluded_names(lists: Iterable[Path], photographs: Sequence[Photograph], allow_unknown: bool) -> set[str]:
    """The names in the lists of --exclude, for `exclude`.

    Raises:
        NonesuchError: a list cannot be read or, unless `allow_unknown`, names what is not there, or together they leave
            out none of the photographs, or all.
    """
    paths = list(lists)
    names = {name for path in paths for name in read_names(path)}
    kept, found = _without(photographs, names) if names else (photographs, set())
    if paths and len(kept) == len(photographs):
        raise NonesuchError(f"--exclude {paths[0]}: leaves out none of {len(kept)} images; check its names")
    check_known("--exclude", names, found, allow_unknown)
    if not len(kept):
        raise NonesuchError("--exclude leaves no photograph to train on")
    return names


def _without(photographs: Sequence[Photograph], names: set[str]) -> tuple[Sequence[Photograph], set[str]]:
    """The photographs that no name speaks of, and the names that speak of one."""
    if isinstance(photographs, ShardRows):
        named, found = photographs.naming(names)
        return photographs[~named], found
    if isinstance(photographs, Joined):
        parts = [_without(part, names) for part in photographs.parts]
        return Joined([kept for kept, _ in parts]), {name for _, found in parts for name in found}
    kept, found = [], set[str]()
    for item in photographs:
        here = names.intersection(names_of(item))
        found |= here
        if not here:
            kept.append(item)
    return kept, found
