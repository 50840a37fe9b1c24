"""The images of a dataset of ours as columns: of 15 million a process keeps what it asks for, not an object each."""

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nonesuch.core import listing
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.shard_columns import ShardColumns
from nonesuch.formats.shards import IMAGE_DIGITS, LABEL_DIGITS, image_key

Rows = NDArray[np.int32]


class ShardRows(Sequence[Photograph]):
    """Photographs of a dataset of ours, each made when it is asked for.

    A slice, an array of rows, or a mask gives fewer of them, from the same columns. It equals any sequence of the same
    photographs.

    Args:
        columns: of the dataset.
        suffix: of the images' names, such as ".jpg".
        rows: (N,) int32 rows of the columns; None for all.
        before: what the identities' names begin with.
        labels: (N,) int32 numbers of the identities, as a manifest of cleaning gives them; None for the columns' own.
            Images keep their names.

    Attributes:
        columns, suffix, rows: the same.
    """

    def __init__(
        self,
        columns: ShardColumns,
        suffix: str,
        rows: Rows | None = None,
        before: str = "",
        labels: NDArray[np.int32] | None = None,
    ) -> None:
        self.columns, self.suffix, self.rows, self._before, self._labels = columns, suffix, rows, before, labels

    def __reduce__(self) -> tuple[Any, ...]:
        return ShardRows, (self.columns, self.suffix, self.rows, self._before, self._labels)

    def __len__(self) -> int:
        return len(self.columns.label) if self.rows is None else len(self.rows)

    @overload
    def __getitem__(self, at: int) -> Photograph: ...
    @overload
    def __getitem__(self, at: "slice | NDArray[np.integer] | NDArray[np.bool_]") -> "ShardRows": ...
    def __getitem__(self, at: Any) -> "Photograph | ShardRows":
        """One photograph, or a sequence of some."""
        if isinstance(at, slice):
            chosen: Rows = np.arange(len(self), dtype=np.int32)[at] if self.rows is None else self.rows[at]
            return self._with(chosen, at)
        if isinstance(at, np.ndarray) and at.ndim:
            places = np.flatnonzero(at) if at.dtype == bool else at
            return self._with(places.astype(np.int32) if self.rows is None else self.rows[places], places)
        row = range(len(self))[at]  # as a list: from the end, or an IndexError
        return next(self._made(slice(row, row + 1)))

    def __iter__(self) -> Iterator[Photograph]:
        for span in self._spans():
            yield from self._made(span)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def named(self, before: str) -> "ShardRows":
        """The same with identities whose names begin so."""
        return ShardRows(self.columns, self.suffix, self.rows, before, self._labels)

    def labelled(self, labels: NDArray[np.int32]) -> "ShardRows":
        """The same under other identities, (N,) their numbers."""
        return ShardRows(self.columns, self.suffix, self.rows, self._before, labels)

    def people(self, span: slice = slice(None)) -> NDArray[np.integer]:
        """(N,) numbers of the identities, or those of a span."""
        return self.of(self.columns.label, span) if self._labels is None else self._labels[span]

    def of(self, column: NDArray[Any], span: slice = slice(None)) -> NDArray[Any]:
        """(N,) what a column of `columns` holds for these photographs, or for a span of them."""
        return column[span] if self.rows is None else column[self.rows[span]]

    def classes(self) -> tuple[list[str], NDArray[np.int32]]:
        """Names of the identities, sorted, and (N,) which of them each photograph shows."""
        # Images of an identity lie together, so that one of each such run stands for all of them.
        every = self.people()
        first = np.flatnonzero(np.append(len(every) > 0, every[1:] != every[:-1]))
        labels, codes = np.unique(every[first], return_inverse=True)
        names = [self._identity(label) for label in labels.tolist()]
        order = sorted(range(len(names)), key=names.__getitem__)
        place = np.empty(len(names), dtype=np.int32)
        place[order] = np.arange(len(names), dtype=np.int32)
        return [names[row] for row in order], np.repeat(place[codes], np.diff(first, append=len(every)))

    def listed(self) -> Iterator[pa.RecordBatch]:
        """Batches of `nonesuch.core.listing.SCHEMA`, a row for each photograph."""
        for span in self._spans():
            names, people, _ = self._texts(span)
            sizes = pa.array(self.of(self.columns.size, span).astype(np.int64))
            yield pa.record_batch([names, people, sizes], schema=listing.SCHEMA)

    def naming(self, names: set[str]) -> tuple[NDArray[np.bool_], set[str]]:
        """(N,) whether `names` hold a photograph's identity, path or file name; and those of `names` that do."""
        sought, found = pa.array(sorted(names), pa.string()), set[str]()
        masks = [np.zeros(0, dtype=bool)]
        for span in self._spans():
            mask = np.zeros(span.stop - span.start, dtype=bool)
            for texts in self._texts(span):
                here = pc.is_in(texts, sought)
                found |= set(pc.unique(texts.filter(here)).to_pylist())
                mask |= here.to_numpy(zero_copy_only=False)
            masks.append(mask)
        return np.concatenate(masks), found

    def first_of_shards(self) -> "ShardRows":
        """The first photograph of each shard that any of these lies in."""
        if self.rows is None:
            return self[self.columns.starts[:-1][np.diff(self.columns.starts) > 0]]
        return self[np.unique(self._shard_of(self.rows), return_index=True)[1]]

    def _shard_of(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """Which entries of `columns.shards` hold rows of the columns."""
        return np.searchsorted(self.columns.starts, rows, side="right") - 1

    def _spans(self) -> Iterator[slice]:
        for start in range(0, len(self), listing.BATCH):
            yield slice(start, min(start + listing.BATCH, len(self)))

    def _with(self, rows: Rows, at: Any) -> "ShardRows":
        labels = None if self._labels is None else self._labels[at]
        return ShardRows(self.columns, self.suffix, rows, self._before, labels)

    def _identity(self, label: int) -> str:
        return f"{self._before}{image_key(label, 0).partition('/')[0]}"

    def _made(self, span: slice) -> Iterator[Photograph]:
        known, tars = self.columns, self.columns.tars
        rows = np.arange(span.start, span.stop) if self.rows is None else self.rows[span]
        labels, numbers, offsets, sizes = (
            column[rows].tolist() for column in (known.label, known.image, known.offset, known.size)
        )
        people, shards = self.people(span).tolist(), self._shard_of(rows).tolist()
        for label, image, offset, size, person, shard in zip(
            labels, numbers, offsets, sizes, people, shards, strict=True
        ):
            name = image_key(label, image) + self.suffix
            yield Photograph(name, self._identity(person), tars[shard], offset, size)

    def _texts(self, span: slice) -> tuple[pa.Array, pa.Array, pa.Array]:
        """Names, identities, and names without folder, of a span."""
        labels, numbers = self.of(self.columns.label, span), self.of(self.columns.image, span)
        people, suffix = self.people(span), self.suffix
        if max(labels.max(), people.max()) < 10**LABEL_DIGITS and numbers.max() < 10**IMAGE_DIGITS:
            folders = _digits_of_few(labels)
            persons = folders if self._labels is None else _digits_of_few(people)
            fixed = [
                np.tile(np.frombuffer(text.encode(), np.uint8), (len(labels), 1))
                for text in (self._before, "/", suffix)
            ]
            last = np.concatenate([listing.digits(numbers, IMAGE_DIGITS), fixed[2]], axis=1)
            names = np.concatenate([folders, fixed[1], last], axis=1)
            return listing.texts(names), listing.texts(np.concatenate([fixed[0], persons], axis=1)), listing.texts(last)
        keys = [
            image_key(label, image) + suffix for label, image in zip(labels.tolist(), numbers.tolist(), strict=True)
        ]
        identities = [self._identity(person) for person in people.tolist()]
        columns = (keys, identities, [key.partition("/")[2] for key in keys])
        names, persons, last = (pa.array(column, pa.string()) for column in columns)
        return names, persons, last


def _digits_of_few(labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """(N, `LABEL_DIGITS`) digits of labels, most of which come several times."""
    known, place = np.unique(labels, return_inverse=True)
    return listing.digits(known, LABEL_DIGITS)[place]
