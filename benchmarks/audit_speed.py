"""The audit's exact searches: seconds, peak memory, growth with size, compared with the published structure.

    python benchmarks/audit_speed.py [--largest 100000] [--gallery 50000]

The data are random directions of width 512 with planted pairs at a cosine of 0.7, which must all be found; chance
reaches 0.3. Each row is a process of its own; those that are compared run in turn. Set OMP_NUM_THREADS=1 for one core.
"""

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from nonesuch.measures.separability import separability
from nonesuch.measures.similarity import nearest

WIDTH, COSINE, THRESHOLD = 512, 0.7, 0.4


def directions(count: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, WIDTH), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def plant(vectors: np.ndarray, rows: np.ndarray, near: np.ndarray) -> None:
    """Makes each of `rows` a neighbour of one of `near`."""
    vectors[rows] = COSINE * near + (1 - COSINE**2) ** 0.5 * vectors[rows]


def twins(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors; a hundredth of the later half, and the earlier row that each is near to."""
    vectors = directions(count, 0)
    draws = np.random.default_rng(1)
    later = draws.permutation(np.arange(count // 2, count))[: count // 100]
    earlier = draws.permutation(count // 2)[: count // 100]
    plant(vectors, later, vectors[earlier])
    return vectors, later, earlier


def seconds_of(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def ours(count: int) -> float:
    vectors, later, earlier = twins(count)

    def run() -> None:
        found = separability(vectors)
        found.curve(THRESHOLD, np.linspace(0, count, 201).astype(np.int64))
        assert found.separable(THRESHOLD) == count - len(later)
        assert np.array_equal(found.nearest_row[later], earlier)
        assert found.counts.sum() == count * (count - 1) // 2

    return seconds_of(run)


def published(count: int, steps: int) -> float:
    """The full matrix again for each point of the curve, and a count of rows above their earlier ones."""
    vectors, later, _ = twins(count)

    def run() -> None:
        for size in np.linspace(0, count, steps + 1).astype(np.int64)[1:]:
            cosine = vectors[:size] @ vectors[:size].T
            separable = int((np.tril(cosine, -1).max(1) <= THRESHOLD).sum())
        assert separable == count - len(later)

    return seconds_of(run)


def leaked(count: int, gallery_size: int) -> float:
    vectors, gallery = directions(count, 2), directions(gallery_size, 3)
    draws = np.random.default_rng(4)
    rows, near = draws.permutation(count)[: count // 100], draws.integers(0, gallery_size, count // 100)
    plant(vectors, rows, gallery[near])

    def run() -> None:
        cosine, row = nearest(vectors, gallery)
        assert np.array_equal(np.flatnonzero(cosine > THRESHOLD), np.sort(rows))
        assert np.array_equal(row[rows], near)

    return seconds_of(run)


def any_block(count: int) -> float:
    """Fails unless blocks of two sizes say the same."""
    vectors, _, _ = twins(count)

    def run() -> None:
        one, other = separability(vectors), separability(vectors, block=1000)
        moved = np.abs(np.cumsum(one.counts) - np.cumsum(other.counts)).max()
        apart = np.abs(one.nearest[1:] - other.nearest[1:]).max()
        print(f"blocks of 2048 and 1000: cosines differ by at most {apart:.1e}, {moved} pairs lie in another bin")
        assert np.array_equal(one.nearest_row, other.nearest_row)
        assert apart < 1e-6

    return seconds_of(run)


def _measured(run: Callable[[], float]) -> tuple[float, float]:
    return run(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=100_000)
    parser.add_argument("--gallery", type=int, default=50_000)
    options = parser.parse_args()
    sizes = [options.largest // 4, options.largest // 2, options.largest]
    rows: list[tuple[str, Callable[[], float]]] = []
    for count in [options.largest // 10, options.largest // 5] * 3:
        rows.append((f"separability, {count:,}", partial(ours, count)))
        rows.append((f"published structure, {count:,}, curve of 20", partial(published, count, 20)))
    smallest = options.largest // 10
    rows.append((f"published structure, {smallest:,}, curve of 200", partial(published, smallest, 200)))
    rows += [(f"separability, {count:,}", partial(ours, count)) for count in sizes]
    rows += [(f"leakage, {n:,} among {options.gallery:,}", partial(leaked, n, options.gallery)) for n in sizes]
    rows.append((f"separability twice, {sizes[0]:,}", partial(any_block, sizes[0])))
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for name, run in rows:
            seconds, gigabytes = pool.apply(_measured, (run,))
            print(f"{name:48} {seconds:8.1f} s {gigabytes:6.2f} GB", flush=True)


if __name__ == "__main__":
    main()
