"""How early an unfinished drawing finds its photograph: figures of sketch-less facial image retrieval (SLFIR).

m@A and m@B are the areas under the curves of the ranking percentile and of the inverse rank over a drawing's steps; in
wm@A and wm@B steps count less the later they come. Source: "Sketch Less Face Image Retrieval", arXiv 2302.05576.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class EarlyFigures:
    """Figures over drawings of N steps, of [0, 1], higher is better.

    Attributes:
        m_a: m@A, the mean of (n - r) / (n - 1) over steps and drawings, for a rank r among n photographs.
        m_b: m@B, the mean of 1 / r.
        wm_a, wm_b: wm@A and wm@B, the same means of products with exp(-i / N) at step i, which counts from 1. The
            weights are not normalised: perfect ranks give their mean, about 0.632 - 0.316 / N. Published figures,
            .596 beside an m@A of .962, can only be such.
        finished: A@k of finished drawings, the share whose rank is at most k.
    """

    m_a: float
    m_b: float
    wm_a: float
    wm_b: float
    finished: dict[int, float]


def ranks_of(scores: NDArray[np.floating], own: NDArray[np.int64]) -> NDArray[np.int64]:
    """(Q,) rank of what each query seeks, 1 for the best; what scores the same stands before it.

    Args:
        scores: (Q, N) of each candidate for each query; higher is better.
        own: (Q,) the candidate that is sought.
    """
    return (scores >= np.take_along_axis(scores, own[:, None], axis=1)).sum(1, dtype=np.int64)


def early_figures(ranks: NDArray[np.int64], candidates: int) -> EarlyFigures:
    """The figures of (D, N) ranks: D drawings at N steps, the last one finished, among at least two candidates."""
    percentile, inverse = (candidates - ranks) / (candidates - 1), 1.0 / ranks
    steps = ranks.shape[1]
    weights = np.exp(-np.arange(1, steps + 1) / steps)
    finished = {place: float(np.mean(ranks[:, -1] <= place)) for place in (1, 5, 10)}
    return EarlyFigures(
        m_a=float(percentile.mean()),
        m_b=float(inverse.mean()),
        wm_a=float((percentile * weights).mean()),
        wm_b=float((inverse * weights).mean()),
        finished=finished,
    )


def early_chance(candidates: int, steps: int) -> EarlyFigures:
    """What `early_figures` expects of random orders, without ties: ranks are uniform, so A@k is k / n."""
    weight = float(np.exp(-np.arange(1, steps + 1) / steps).mean())
    inverse = float((1.0 / np.arange(1, candidates + 1)).mean())
    finished = {place: min(place / candidates, 1.0) for place in (1, 5, 10)}
    return EarlyFigures(0.5, inverse, 0.5 * weight, inverse * weight, finished)
