"""Images that are nearly the same picture, by a perceptual hash and by their embeddings."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nonesuch.core.images import Pixels
from nonesuch.core.similarity import normalised

MOST_BITS = 4  # of 64, between hashes of the same picture
_SIDE, _KEPT = 32, 8
_BLOCK = 1024
_BANDS = MOST_BITS + 1  # two hashes within MOST_BITS agree in one of so many parts at least


def perceptual_hash(pixels: Pixels) -> int:
    """64 bits of an image (H, W, 3): which of its lowest frequencies lie above their median (pHash, Zauner 2010)."""
    grey = Image.fromarray(pixels).convert("L").resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    levels = np.asarray(grey, dtype=np.float64)
    places = np.arange(_SIDE)
    cosines = np.cos(np.pi * (2 * places + 1)[None] * np.arange(_KEPT)[:, None] / (2 * _SIDE))
    low = cosines @ levels @ cosines.T
    bits = low.ravel() > np.median(low.ravel()[1:])  # the first is the mean level, which says nothing
    return int("".join("1" if bit else "0" for bit in bits), 2)


def similar_hashes(hashes: Sequence[int], most_bits: int = MOST_BITS) -> list[tuple[int, int]]:
    """Pairs of images (first, second) whose hashes differ in at most `most_bits` bits, of 0 to MOST_BITS.

    Images of equal hash are paired with the first of them only, so that a thousand copies are a thousand pairs and no
    million. Only images that agree in one of five parts of the hash are compared, which none that is near enough can
    escape.
    """
    firsts: dict[int, int] = {}
    equal = {(first, row) for row, value in enumerate(hashes) if (first := firsts.setdefault(value, row)) != row}
    edges = [64 * band // _BANDS for band in range(_BANDS + 1)]
    found: set[tuple[int, int]] = set()
    for low, high in pairwise(edges):
        buckets: dict[int, list[int]] = {}
        for value, row in firsts.items():
            buckets.setdefault((value >> low) & ((1 << (high - low)) - 1), []).append(row)
        for rows in buckets.values():
            found |= _near(hashes, rows, most_bits)
    return sorted(found | equal)


def _near(hashes: Sequence[int], rows: list[int], most_bits: int) -> set[tuple[int, int]]:
    if len(rows) < 2:
        return set()
    values = np.array([hashes[row] for row in rows], dtype=np.uint64)
    bits = np.unpackbits(values.view(np.uint8).reshape(-1, 8), axis=1).astype(np.float32)
    found = set()
    for start in range(0, len(rows), _BLOCK):
        part = bits[start : start + _BLOCK]
        differing = part.sum(1)[:, None] + bits.sum(1) - 2.0 * part @ bits.T
        for one, other in np.argwhere(differing <= most_bits):
            if one + start < other:
                first, second = sorted((rows[one + start], rows[other]))
                found.add((first, second))
    return found


def alike_within(
    unit: NDArray[np.float32], identities: NDArray[np.int64], threshold: float
) -> list[tuple[int, int, float]]:
    """Pairs of one identity's images (first, second, cosine) at or above the threshold."""
    unit = normalised(np.asarray(unit, dtype=np.float32))
    order = np.argsort(identities, kind="stable")
    found = []
    for rows in np.split(order, np.flatnonzero(np.diff(identities[order])) + 1):
        cosine = unit[rows] @ unit[rows].T
        for one, other in np.argwhere(np.triu(cosine, 1) >= threshold):
            found.append((int(rows[one]), int(rows[other]), float(cosine[one, other])))
    return sorted(found)
