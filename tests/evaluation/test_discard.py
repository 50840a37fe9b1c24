"""Error versus discard by brute force and with planted quality."""

import numpy as np
import pytest

from nonesuch.evaluation.all_pairs import Compared
from nonesuch.evaluation.discard import error_versus_discard


def _comparisons(images: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    left, right = (side.astype(np.int64) for side in np.triu_indices(images, 1))
    return left, right, draws.random(len(left)) < 0.3


def test_by_brute_force() -> None:
    draws = np.random.default_rng(0)
    left, right, mated = _comparisons(60, 1)
    scores = np.round(draws.normal(mated * 1.0, 0.6), 2)
    quality = np.round(draws.random(60), 1)
    found = error_versus_discard(Compared(left, right, scores, mated), np.arange(300), quality)
    assert found is not None
    assert found["fmr"] == 0.001  # 1,239 non-mated comparisons
    threshold = min(cut for cut in [*scores, scores.max() + 1e-9] if np.mean(scores[~mated] >= cut) <= 0.001)
    for share, value, count in zip(found["discarded"], found["fnmr"], found["mated"], strict=True):
        left_out = np.argsort(quality, kind="stable")[: round(share * 60)]
        rows = [row for row in np.flatnonzero(mated) if not {left[row], right[row]} & set(left_out.tolist())]
        assert count == len(rows)
        assert value == pytest.approx(np.mean(scores[rows] < threshold))


def test_planted_quality_pays_and_noise_does_not() -> None:
    draws = np.random.default_rng(0)
    left, right, mated = _comparisons(300, 2)
    quality = draws.random(300)
    scores = np.where(mated, np.minimum(quality[left], quality[right]) + 0.1 * draws.normal(size=len(mated)), -1.0)
    scores[~mated] = draws.normal(0.0, 0.1, (~mated).sum())
    told = error_versus_discard(Compared(left, right, scores, mated), np.arange(300), quality)
    noise = error_versus_discard(Compared(left, right, scores, mated), np.arange(300), draws.random(300))
    assert told is not None
    assert noise is not None
    assert told["fnmr"][0] == noise["fnmr"][0] > 0.3
    assert told["fnmr"] == sorted(told["fnmr"], reverse=True)
    assert told["fnmr"][-1] < 0.5 * told["fnmr"][0]
    assert noise["fnmr"][-1] > 0.8 * noise["fnmr"][0]


def test_few_comparisons() -> None:
    left, right = np.zeros(9, int), np.ones(9, int)
    assert error_versus_discard(Compared(left, right, np.zeros(9), np.zeros(9, bool)), left, np.ones(2)) is None
    # The only mated comparison goes with its worse image.
    left, right, mated = np.array([0, *[1] * 10]), np.array([1, *[2] * 10]), np.array([True, *[False] * 10])
    found = error_versus_discard(
        Compared(left, right, np.linspace(1, 0, 11), mated), np.arange(4), np.array([0.0, 1, 2, 3]), (0.0, 0.25)
    )
    assert found is not None
    assert (found["fmr"], found["fnmr"], found["mated"]) == (0.1, [0.0, None], [1, 0])
