"""Images that are nearly the same picture, by a perceptual hash and by their embeddings."""

from collections.abc import Sequence
from itertools import combinations, pairwise, product

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nonesuch.core.images import Pixels
from nonesuch.measures.figure import SHARE, Better, Bounds, Measure
from nonesuch.measures.grouping import rows_by_identity
from nonesuch.measures.similarity import normalised

DOUBLED = Measure(
    "share",
    "pictures that are there twice",
    SHARE,
    Better.LOWER,
    bounds=Bounds(
        "no picture twice",
        0.005,
        0.01,
        "green where the interval ends at 0.5% of the images or below, amber up to 1%",
    ),
    meaning="images whose perceptual hash and embeddings say that another image is the same picture",
)
NEAR_DUPLICATES = Measure(
    "near_duplicates",
    "images nearly equal to another of their identity",
    SHARE,
    Better.LOWER,
    meaning="by their embeddings: the cosine is nine tenths of the way from non-mated ones to 1",
)

MOST_BITS = 4  # of 64, between hashes of the same picture
_SIDE, _KEPT = 32, 8
_CUTS = (3 / 112, 6 / 112)  # of the side
_BLOCK = 1024
_MOST_ALIKE = 50  # up to so many images of equal hash, all their pairs are compared
_BANDS = MOST_BITS + 1  # two hashes within MOST_BITS agree in at least one of so many parts


def picture_threshold(same: float) -> float:
    """The cosine of copies of one picture: seven eighths of the way from the cosine of one person, `same`, to 1."""
    return 1.0 - (1.0 - same) / 8.0


def perceptual_hash(pixels: Pixels) -> int:
    """64 bits of an image (H, W, 3): which of its lowest frequencies are above their median (pHash, Zauner 2010)."""
    return int(_hashes(pixels, [(0, 0, pixels.shape[1], pixels.shape[0])])[0])


def crop_hashes(pixels: Pixels) -> NDArray[np.uint64]:
    """(19,) hashes of an image (H, W, 3) and of 18 crops of it, up to a twentieth smaller; the first is the whole's.

    A cut of a few pixels changes more bits of a hash than MOST_BITS, but a cropped copy is like one of the crops.
    """
    height, width = pixels.shape[:2]
    boxes: list[tuple[float, float, float, float]] = [(0, 0, width, height)]
    for cut in _CUTS:
        wide, high = width * (1 - cut), height * (1 - cut)
        for left, top in product((0, width * cut / 2, width * cut), (0, height * cut / 2, height * cut)):
            boxes.append((left, top, left + wide, top + high))
    return _hashes(pixels, boxes)


def _hashes(pixels: Pixels, boxes: Sequence[tuple[float, float, float, float]]) -> NDArray[np.uint64]:
    grey = Image.fromarray(pixels).convert("L")
    small = [grey.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, box=box) for box in boxes]
    levels = np.stack([np.asarray(part, dtype=np.float64) for part in small])
    places = np.arange(_SIDE)
    cosines = np.cos(np.pi * (2 * places + 1)[None] * np.arange(_KEPT)[:, None] / (2 * _SIDE))
    low = (cosines @ levels @ cosines.T).reshape(len(boxes), -1)
    bits = low > np.median(low[:, 1:], axis=1, keepdims=True)  # the first is the mean level, which says nothing
    return np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64)


def differing_bits(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Bits of 64 by which hashes differ; (P, H) arrays of `crop_hashes` -> (P,), the nearest of whole and crops."""
    found = []
    for start in range(0, len(one), _BLOCK):
        left, right = one[start : start + _BLOCK], other[start : start + _BLOCK]
        apart = np.concatenate([left[:, :1] ^ right, left ^ right[:, :1]], axis=1)
        found.append(np.unpackbits(apart[..., None].view(np.uint8), axis=2).sum(2).min(1).astype(np.int64))
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


def similar_hashes(hashes: Sequence[int], most_bits: int = MOST_BITS) -> list[tuple[int, int]]:
    """Pairs of images (first, second) whose hashes differ in at most `most_bits` bits, of 0 to MOST_BITS.

    Where more than fifty images have one hash, each is paired only with the first of them and with the one before it,
    so that a thousand copies make two thousand pairs and not a million. Others are compared where they agree in one of
    five parts of the hash; all that are near enough do.
    """
    rows_of: dict[int, list[int]] = {}
    for row, value in enumerate(hashes):
        rows_of.setdefault(value, []).append(row)
    equal: set[tuple[int, int]] = set()
    for alike in rows_of.values():
        equal |= set(combinations(alike, 2)) if len(alike) <= _MOST_ALIKE else {*pairwise(alike)}
        equal |= {(alike[0], row) for row in alike[1:]}
    firsts = {value: alike[0] for value, alike in rows_of.items()}
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
    found = []
    for rows in rows_by_identity(identities):
        cosine = unit[rows] @ unit[rows].T
        for one, other in np.argwhere(np.triu(cosine, 1) >= threshold):
            found.append((int(rows[one]), int(rows[other]), float(cosine[one, other])))
    return sorted(found)


def has_near_twin(vectors: NDArray[np.float32], identities: NDArray[np.int64], threshold: float) -> NDArray[np.bool_]:
    """(N,) whether an earlier image of the same identity is at or above the threshold; in blocks."""
    unit = normalised(np.asarray(vectors, dtype=np.float32))
    found = np.zeros(len(unit), dtype=bool)
    for rows in rows_by_identity(identities):
        for start in range(0, len(rows), _BLOCK):
            mine = rows[start : start + _BLOCK]
            for column in range(0, start + 1, _BLOCK):
                cosine = unit[mine] @ unit[rows[column : column + _BLOCK]].T
                if column == start:
                    cosine = np.tril(cosine, -1)
                found[mine] |= (cosine >= threshold).any(1)
    return found
