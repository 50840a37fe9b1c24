"""The rows of a manifest of cleaning, matched to the images of a dataset of ours without an object for each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nonesuch.core import listing
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.shard_rows import ShardRows
from nonesuch.formats.shards import IMAGE_DIGITS, LABEL_DIGITS, image_key

_IMAGES = 10**IMAGE_DIGITS  # a key is an identity's number times this, and the image's


@dataclass(frozen=True)
class Match:
    """What a manifest and its source have in common.

    Attributes:
        kept: the images of the source that the manifest names, in the source's order, under the manifest's identities.
        missing: how many images of the manifest the source lacks.
        first: the name of one of these, the first in alphabetical order; "" where there is none.
        changed: the first image whose identity was another one: its name, the identity by the manifest, and the one by
            the source; None where there is none.
    """

    kept: Sequence[Photograph]
    missing: int = 0
    first: str = ""
    changed: tuple[str, str, str] | None = None


def match_rows(found: ShardRows, batches: Iterable[pa.RecordBatch]) -> Match | None:
    """What a manifest keeps of a dataset of ours.

    It takes some tens of bytes for each image of the source.

    Args:
        found: N images of the source.
        batches: columns `file`, `identity`, `was` of the manifest, in any order. Of a name that comes twice the last
            row counts.

    Returns:
        None where names or identities are not written as in a dataset of ours, so that only a list can tell.
    """
    if (known := _Keys.of(found)) is None:
        return None
    now, was = np.full(len(found), -1, dtype=np.int32), np.zeros(len(found), dtype=np.int32)
    missing = [np.zeros(0, dtype=np.int64)]
    for batch in batches:
        if not len(batch):
            continue
        if (told := _read(batch, found.suffix)) is None:
            return None
        keys, identities, before = told
        rows = known.rows(keys)
        there = rows >= 0
        missing.append(keys[~there])
        now[rows[there]], was[rows[there]] = identities[there], before[there]
    kept, lacking = np.flatnonzero(now >= 0), np.unique(np.concatenate(missing))
    matched = found[kept].labelled(now[kept])
    first = image_key(*divmod(int(lacking[0]), _IMAGES)) + found.suffix if len(lacking) else ""
    return Match(matched, len(lacking), first, _changed(found, kept, was))


def _changed(found: ShardRows, kept: NDArray[np.int64], was: NDArray[np.int32]) -> tuple[str, str, str] | None:
    others = np.flatnonzero(found.people()[kept] != was[kept])
    if not len(others):
        return None
    row = int(kept[others[0]])
    image = found[row]
    return image.name, f"{was[row]:0{LABEL_DIGITS}d}", image.identity


@dataclass(frozen=True)
class _Keys:
    """Images of a dataset by their numbers.

    Attributes:
        keys: (N,) ascending, each of another image.
        order: (N,) which image each is of; None where the images are in this order.
    """

    keys: NDArray[np.int64]
    order: NDArray[np.int32] | None

    @staticmethod
    def of(found: ShardRows) -> "_Keys | None":
        """None where there are none, two are of one name, or a number has more digits than usual."""
        labels, images = found.of(found.columns.label), found.of(found.columns.image)
        if not len(found) or images.max() >= _IMAGES or labels.max() >= 10**LABEL_DIGITS:
            return None
        keys = labels * _IMAGES
        keys += images
        if _ascends(keys):
            return _Keys(keys, None)
        order = np.argsort(keys).astype(np.int32)
        keys = keys[order]
        return _Keys(keys, order) if _ascends(keys) else None

    def rows(self, wanted: NDArray[np.int64]) -> NDArray[np.integer]:
        """(M,) which image each of M keys is of; -1 for none."""
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[places] == wanted, places if self.order is None else self.order[places], -1)


def _ascends(keys: NDArray[np.int64]) -> bool:
    return bool((keys[1:] > keys[:-1]).all())


def _read(batch: pa.RecordBatch, suffix: str) -> tuple[NDArray[np.int64], ...] | None:
    """Keys of the images, each once, and numbers of their identities, now and before; None where they have no such."""
    files, *people = (listing.letters(batch.column(name)) for name in ("file", "identity", "was"))
    end = np.frombuffer(suffix.encode(), dtype=np.uint8)
    if files is None or files.shape[1] != LABEL_DIGITS + 1 + IMAGE_DIGITS + len(end):
        return None
    if (files[:, LABEL_DIGITS] != ord("/")).any() or (files[:, LABEL_DIGITS + 1 + IMAGE_DIGITS :] != end).any():
        return None
    image = slice(LABEL_DIGITS + 1, LABEL_DIGITS + 1 + IMAGE_DIGITS)
    numbers = [listing.numbers(files[:, :LABEL_DIGITS]), listing.numbers(files[:, image])]
    for letters in people:
        if letters is None or letters.shape[1] != LABEL_DIGITS:
            return None
        numbers.append(listing.numbers(letters))
    found = [column for column in numbers if column is not None]
    if len(found) < len(numbers):
        return None
    labels, images, now, was = found
    keys = labels * _IMAGES + images
    if _ascends(keys):
        return keys, now, was
    _, last = np.unique(keys[::-1], return_index=True)  # numpy says of no row that it is written last
    return tuple(column[::-1][last] for column in (keys, now, was))
