"""The same picture twice in a labelled set: re-encoded, scaled, relit or slightly cropped, under another name."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.cleaning.cast import Decision
from nonesuch.measures.duplicates import MOST_BITS, alike_within, differing_bits, similar_hashes

_BITS_ASKED = 12  # of 64: pairs beyond it need no look


@dataclass(frozen=True)
class Pair:
    """Two images that may be one picture.

    Attributes:
        first, second: rows, the smaller first.
        cosine: of their embeddings.
        bits: by which their hashes differ, see `differing_bits`.
    """

    first: int
    second: int
    cosine: float
    bits: int

    def same(self, least: float) -> bool:
        """Whether they count as one picture: by the hashes, and by a cosine of at least `least`."""
        return self.bits <= MOST_BITS and self.cosine >= least


def pairs(
    unit: NDArray[np.float32],
    hashes: NDArray[np.uint64],
    identities: NDArray[np.int64],
    least: float,
    asked: Collection[tuple[int, int]] = (),
) -> list[Pair]:
    """Pairs that may be one picture, in order of their rows.

    They are pairs of any identities by the hash of the whole; pairs of one identity by the cosine, if the hashes are
    not far apart; and those `asked` for.

    Args:
        unit: (N, D) embeddings of length 1.
        hashes: (N, 19) of `crop_hashes`.
        identities: (N,) labels after `clean`; images with a negative one are in no pair but those asked for.
        least: cosine from which two images of one identity are compared.
    """
    alike = np.array(similar_hashes(hashes[:, 0]), dtype=np.int64).reshape(-1, 2)
    found = [np.array(sorted(asked), dtype=np.int64).reshape(-1, 2), alike[(identities[alike] >= 0).all(1)]]
    for rows, _ in alike_within(unit, identities, least):
        if len(rows):
            found.append(rows[differing_bits(hashes[rows[:, 0]], hashes[rows[:, 1]]) <= _BITS_ASKED])
    rows = np.unique(np.concatenate(found), axis=0)
    bits = differing_bits(hashes[rows[:, 0]], hashes[rows[:, 1]])
    cosine = np.einsum("nd,nd->n", unit[rows[:, 0]], unit[rows[:, 1]])
    compared = [Pair(int(one), int(two), float(c), int(b)) for (one, two), c, b in zip(rows, cosine, bits, strict=True)]
    return [pair for pair in compared if pair.bits <= _BITS_ASKED or (pair.first, pair.second) in asked]


def doubles(
    candidates: list[Pair],
    identities: NDArray[np.int64],
    least: float,
    same_picture: Collection[tuple[int, int]] = (),
    other_picture: Collection[tuple[int, int]] = (),
) -> list[Decision]:
    """The later one of each pair that is one picture.

    Args:
        candidates: of `pairs`.
        identities: (N,) labels after `clean`; a pair with a dropped image is left out.
        least: cosine from which embeddings agree.
        same_picture, other_picture: pairs (first, second) that a person has decided.
    """
    found: dict[int, Decision] = {}
    for pair in candidates:
        rows = (pair.first, pair.second)
        asked = rows in same_picture
        if pair.second in found or identities[pair.first] < 0 or identities[pair.second] < 0:
            continue
        if not asked and (rows in other_picture or not pair.same(least)):
            continue
        first = found[pair.first].other if pair.first in found else pair.first
        if (min(first, pair.second), max(first, pair.second)) in other_picture:
            continue
        label = int(identities[pair.second])
        found[pair.second] = Decision(0, pair.second, "duplicate", label, label, pair.cosine, first, asked)
    return list(found.values())
