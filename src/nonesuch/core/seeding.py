"""Counter-based random draws: each belongs to a 64-bit seed and a named stream, never to a global state.

The bit generator is Philox 4x64 (Salmon et al., SC 2011), whose output NumPy guarantees to be stable. Uniform and
normal draws are computed from its raw bits here, since NumPy does not guarantee its own distribution methods
(NEP 19), and a published plan must give the same draws for years. Uniform draws are exact everywhere; normal draws pass
through logarithm, sine and cosine, which may differ in the last of 53 bits between processors.
"""

import hashlib
import math
import struct
from collections.abc import Sequence
from enum import IntEnum
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

_STANDARD_NORMAL = NormalDist()
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_BLOCK = 1 << 20  # draws that are compared at once


class Stream(IntEnum):
    """What a draw is for. Numbers are part of the format: never reuse or renumber."""

    IDENTITY = 1
    PERTURBATION = 2
    MASK_RATIO = 3
    MASK_NOISE = 4
    SIGMA_ORDER = 5
    TRAINING_ORDER = 6
    STYLE = 7
    DISTURBANCE = 8
    SPLIT = 9
    WISH = 10
    AUGMENTATION = 11
    RESAMPLE = 12
    DIFFUSION = 13
    DIFFUSION_STEP = 14
    CONTEXT = 15
    CONTEXT_COSINE = 16
    DIFFUSION_TIME = 17
    OTHER = 18
    CAPTION = 19
    WORDING = 20
    PAIR = 21


def derive_seed(*parts: int) -> int:
    """A 64-bit seed from integers of 64 bits, such as (dataset seed, identity, image): BLAKE2b of their bytes."""
    packed = b"".join(struct.pack("<Q", part % 2**64) for part in parts)
    return int.from_bytes(hashlib.blake2b(packed, digest_size=8, person=b"nonesuch").digest(), "little")


def _raw(seed: int, stream: Stream, count: int) -> NDArray[np.uint64]:
    return np.random.Philox(key=np.array([seed, int(stream)], dtype=np.uint64)).random_raw(count)


def uniform(seed: int, stream: Stream, count: int) -> NDArray[np.float64]:
    """`count` draws from [0, 1), 53 bits each."""
    return (_raw(seed, stream, count) >> np.uint64(11)) * 2.0**-53


def uniform_each(seeds: Sequence[int], stream: Stream, count: int) -> NDArray[np.float64]:
    """(N, count): the draws of `uniform` for each of many seeds, at a fraction of the time."""
    return (_raw_rows(seeds, stream, count) >> np.uint64(11)) * 2.0**-53


def _raw_rows(seeds: Sequence[int], stream: Stream, count: int) -> NDArray[np.uint64]:
    raw = np.empty((len(seeds), count), dtype=np.uint64)
    bits = np.random.Philox(key=np.array([0, int(stream)], dtype=np.uint64))
    state: Any = bits.state
    for row, seed in enumerate(seeds):
        state["state"]["key"][0] = seed
        bits.state = state
        raw[row] = bits.random_raw(count)
    return raw


def uniform_rows(seeds: NDArray[np.uint64], stream: Stream, count: int) -> NDArray[np.float64]:
    """`count` draws from [0, 1) for each of many seeds, 53 bits each: cheap where every seed needs few.

    The generator is SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), started at a place that seed and stream give;
    its whole-number arithmetic is exact everywhere.

    Args:
        seeds: (N,).

    Returns:
        (N, count).
    """
    steps = np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN
    start = _mixed(seeds.astype(np.uint64) ^ _mixed(np.arange(stream, stream + 1, dtype=np.uint64) * _GOLDEN))
    return (_mixed(start[:, None] + steps) >> np.uint64(11)) * 2.0**-53


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finalizer."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def normal(seed: int, stream: Stream, count: int) -> NDArray[np.float64]:
    """`count` standard normal draws (Box and Muller, 1958)."""
    pairs = (count + 1) // 2
    bits = uniform(seed, stream, 2 * pairs)
    radius = np.sqrt(-2.0 * np.log1p(-bits[:pairs]))
    angle = 2.0 * math.pi * bits[pairs:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]


def normal_rows(seeds: Sequence[int], stream: Stream, count: int) -> NDArray[np.float32]:
    """The draws of `normal` for each of many seeds, within 1e-4 of it, at a fraction of the time.

    Returns:
        (N, count).
    """
    pairs = (count + 1) // 2
    whole = _raw_rows(seeds, stream, 2 * pairs) >> np.uint64(11)
    # Counted from 1 downwards, a draw near 1 keeps its digits in float32, and its logarithm is finite.
    radius = np.sqrt(-2.0 * np.log((2**53 - whole[:, :pairs]).astype(np.float32) * np.float32(2.0**-53)))
    angle = whole[:, pairs:].astype(np.float32) * np.float32(2.0 * math.pi * 2.0**-53)
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)[:, :count]


def truncated_normal(seed: int, stream: Stream, mean: float, std: float, low: float, high: float) -> float:
    """One draw of a normal(mean, std) restricted to [low, high], by inversion."""
    below, above = (_STANDARD_NORMAL.cdf((bound - mean) / std) for bound in (low, high))
    share = below + (above - below) * float(uniform(seed, stream, 1)[0])
    # inv_cdf is undefined at 0 and 1, which only a bound far out in a tail can reach.
    drawn = mean + std * _STANDARD_NORMAL.inv_cdf(min(max(share, 1e-300), 1.0 - 1e-16))
    return min(max(drawn, low), high)


def permutation(seed: int, stream: Stream, count: int) -> NDArray[np.int64]:
    """A random order of range(count): the ranks of `count` 64-bit draws, of equal ones the first one's first."""
    draws = _raw(seed, stream, count)
    order = np.argsort(draws)  # a stable sort is slower and takes half as much memory again
    for start in range(0, count, _BLOCK):
        ordered = draws[order[start : start + _BLOCK + 1]]
        if (ordered[1:] == ordered[:-1]).any():  # of a million draws once in 30 million orders
            return np.argsort(draws, kind="stable")
    return order
