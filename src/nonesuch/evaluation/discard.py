"""Error versus discard (Grother and Tabassi, 2007): does leaving out images of low quality lower the error?"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.measures.metrics import fnmr, threshold_at

_FMRS = (1e-3, 1e-2, 1e-1)  # the first that the non-mated comparisons resolve
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3)


def error_versus_discard(
    scores: NDArray[np.floating],
    mated: NDArray[np.bool_],
    left: NDArray[np.integer],
    right: NDArray[np.integer],
    quality: NDArray[np.floating],
    shares: Sequence[float] = SHARES,
) -> dict[str, Any] | None:
    """FNMR at a fixed threshold with shares of the images left out, lowest quality first.

    The threshold is that of FMR 0.001 over all comparisons (0.01 or 0.1 where they resolve no finer rate). It is then
    kept, as in operation. An image that is left out takes its comparisons along.

    Args:
        scores, mated: (P,) of comparisons.
        left, right: (P,) rows of their images.
        quality: (N,) of the images, higher is better.

    Returns:
        fmr; threshold; discarded: the shares; fnmr: of the mated comparisons left at each share, None where none is
        left; mated: their number. None where fewer than 10 non-mated comparisons resolve no rate.
    """
    non_mated = scores[~mated]
    rate = next((rate for rate in _FMRS if rate * len(non_mated) >= 1), None)
    if rate is None:
        return None
    threshold = threshold_at(non_mated, rate)
    order = np.argsort(quality, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    worse = np.minimum(place[left[mated]], place[right[mated]])  # place of the worse image of each mated comparison
    same = scores[mated]
    kept = [same[worse >= int(share * len(quality) + 1e-9)] for share in shares]
    return {
        "fmr": rate,
        "threshold": threshold,
        "discarded": list(shares),
        "fnmr": [fnmr(part, threshold) if len(part) else None for part in kept],
        "mated": [len(part) for part in kept],
    }
