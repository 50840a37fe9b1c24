"""Images that are nearly the same picture, by a perceptual hash and by their embeddings."""

from collections.abc import Iterator, Sequence
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
CROP_HASHES = 1 + 9 * len(_CUTS)
_BLOCK = 1024
_MOST_ALIKE = 50  # up to so many images of equal hash, all their pairs are compared
_BANDS = MOST_BITS + 3  # two hashes within MOST_BITS agree in at least three of so many parts


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
        found.append(_bits(apart).min(1))
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


def similar_hashes(hashes: Sequence[int] | NDArray[np.uint64], most_bits: int = MOST_BITS) -> list[tuple[int, int]]:
    """Pairs of images (first, second) whose hashes differ in at most `most_bits` bits, of 0 to MOST_BITS.

    Where more than fifty images have one hash, each is paired only with the first of them and with the one before it,
    so that a thousand copies make two thousand pairs and not a million. Others are compared where they agree in three
    of seven parts of the hash; all that are near enough do.
    """
    values = np.asarray(hashes, dtype=np.uint64)
    different, first, count = np.unique(values, return_index=True, return_counts=True)
    found = [_equal(values, different[count > 1])]
    edges = [64 * band // _BANDS for band in range(_BANDS + 1)]
    parts = [np.uint64((1 << high) - (1 << low)) for low, high in pairwise(edges)]
    for some in combinations(parts, _BANDS - MOST_BITS):
        one, other = _agreeing(different, np.bitwise_or.reduce(some), most_bits)
        found.append(np.stack([first[one], first[other]], axis=1))
    pairs = np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
    return list(zip(pairs[:, 0].tolist(), pairs[:, 1].tolist(), strict=True))


def _equal(values: NDArray[np.uint64], several: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Pairs (P, 2) of the rows of each value of which there are several."""
    rows = np.flatnonzero(np.isin(values, several))
    order = rows[np.argsort(values[rows], kind="stable")]
    found: set[tuple[int, int]] = set()
    for alike in np.split(order, np.flatnonzero(np.diff(values[order])) + 1):
        same = alike.tolist()
        found |= set(combinations(same, 2)) if len(same) <= _MOST_ALIKE else {*pairwise(same)}
        found |= {(same[0], row) for row in same[1:]}
    return np.array(sorted(found), dtype=np.int64).reshape(-1, 2)


def _agreeing(
    values: NDArray[np.uint64], mask: np.uint64, most_bits: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of pairs of different values that are equal in the bits of a mask and differ in few others."""
    masked = values & mask
    order = np.argsort(masked)
    masked = masked[order]
    ones, others = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    here = np.arange(len(order))
    for apart in range(1, len(order)):  # as many turns as the largest group of equal values has members
        here = here[: np.searchsorted(here, len(order) - apart)]
        here = here[masked[here] == masked[here + apart]]
        if not len(here):
            break
        one, other = order[here], order[here + apart]
        near = _bits(values[one] ^ values[other]) <= most_bits
        ones.append(one[near])
        others.append(other[near])
    return np.concatenate(ones), np.concatenate(others)


def _bits(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How many bits of each number are set."""
    bits = np.unpackbits(np.ascontiguousarray(values)[..., None].view(np.uint8), axis=-1)
    return bits.sum(-1, dtype=np.int64)


def alike_within(
    unit: NDArray[np.float32], identities: NDArray[np.int64], threshold: float
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Of each identity the pairs (P, 2) of its images, and their cosines (P,), at or above the threshold.

    Args:
        unit: (N, D) embeddings of length 1.
        identities: (N,) labels; images with a negative one are in no pair.
    """
    for rows in rows_by_identity(identities):
        part = unit[rows]
        cosine = part @ part.T
        pairs = np.argwhere(np.triu(cosine, 1) >= threshold)
        yield rows[pairs], cosine[pairs[:, 0], pairs[:, 1]]


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
