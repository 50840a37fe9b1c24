"""Accuracy by folds: how much faster than a pass over the comparisons for each threshold, as published?

    python benchmarks/evaluation_speed.py [--pairs 6000]

The cosines are random, with ties; both must give the same accuracy by insightface's rule.
"""

import argparse
import time

import numpy as np

from nonesuch.evaluation.verification import fold_accuracies, grid_accuracies


def published(scores: np.ndarray, mated: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """insightface's structure: for each fold, each of 400 thresholds, a pass over nine folds and one over the tenth."""
    distances, thresholds = 2.0 - 2.0 * scores, np.arange(0, 4, 0.01)

    def accuracy(threshold: float, distance: np.ndarray, same: np.ndarray) -> float:
        accepted = distance < threshold
        right = np.sum(np.logical_and(accepted, same)) + np.sum(np.logical_and(~accepted, ~same))
        return float(right) / len(distance)

    found = []
    for fold in np.unique(folds):
        test = folds == fold
        on_train = [accuracy(threshold, distances[~test], mated[~test]) for threshold in thresholds]
        on_test = [accuracy(threshold, distances[test], mated[test]) for threshold in thresholds]
        found.append(on_test[int(np.argmax(on_train))])
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=6000)
    count = parser.parse_args().pairs
    draws = np.random.default_rng(0)
    mated = np.arange(count) // 300 % 2 == 0
    scores = np.round(np.clip(draws.normal(np.where(mated, 0.6, 0.0), 0.2), -1, 1), 3)
    folds = np.arange(count) * 10 // count
    seconds = {}
    for name, run in (("published", published), ("grid", grid_accuracies), ("exact", fold_accuracies)):
        times = []
        for _ in range(5):
            started = time.perf_counter()
            result = run(scores, mated, folds)
            times.append(time.perf_counter() - started)
        seconds[name] = float(np.median(times))
        print(f"{name:10} {1e3 * seconds[name]:8.2f} ms  accuracy {result.mean():.4%}")
    both = seconds["grid"] + seconds["exact"]
    print(
        f"grid {seconds['published'] / seconds['grid']:.0f}, both rules {seconds['published'] / both:.0f} times as fast"
    )


if __name__ == "__main__":
    main()
