"""Error versus discard (Grother and Tabassi, 2007): does leaving out images of low quality lower the error?"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.evaluation.all_pairs import Compared
from nonesuch.measures.figure import plain
from nonesuch.measures.intervals import mean_over_identities
from nonesuch.measures.metrics import threshold_at

_FMRS = (1e-3, 1e-2, 1e-1)  # the first that the non-mated comparisons resolve
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3)


def error_versus_discard(
    pairs: Compared,
    people: NDArray[np.int64],
    quality: NDArray[np.floating],
    shares: Sequence[float] = SHARES,
) -> dict[str, Any] | None:
    """FNMR at a fixed threshold with shares of the images left out, lowest quality first.

    The threshold is that of FMR 0.001 over all comparisons (0.01 or 0.1 where they resolve no finer rate). It is then
    kept, as in operation. An image that is left out takes its comparisons along.

    Args:
        people: (N,) labels of the images, for the intervals.
        quality: (N,) of the images, higher is better.

    Returns:
        fmr; threshold; discarded: the shares; fnmr: of the mated comparisons left at each share, None where none is
        left; fnmr_low, fnmr_high: 95% over people; mated: number of comparisons left. None where fewer than 10
        non-mated comparisons resolve no rate.
    """
    mated = pairs.mated
    non_mated = pairs.scores[~mated]
    rate = next((rate for rate in _FMRS if rate * len(non_mated) >= 1), None)
    if rate is None:
        return None
    threshold = threshold_at(non_mated, rate)
    order = np.argsort(quality, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    left, right = (side[mated] for side in (pairs.left, pairs.right))
    worse = np.minimum(place[left], place[right])  # place of the worse image of each mated comparison
    missed, whose = pairs.scores[mated] < threshold, people[left]
    kept = [worse >= int(share * len(quality) + 1e-9) for share in shares]
    rates = [mean_over_identities(missed[rows], whose[rows]) for rows in kept]
    return {
        "fmr": rate,
        "threshold": threshold,
        "discarded": list(shares),
        "fnmr": [plain(rate.value) for rate in rates],
        "fnmr_low": [plain(rate.low) for rate in rates],
        "fnmr_high": [plain(rate.high) for rate in rates],
        "mated": [int(rows.sum()) for rows in kept],
    }
