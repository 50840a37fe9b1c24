"""How right names are that were given to faces: links of faces to names, and of names to no face.

As in SECLA (WACV 2023): each face is linked to a name of its caption or to nobody, and each name that no face has is
linked to no face. A link is right where the truth holds it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.measures.figure import Figure
from nonesuch.measures.intervals import with_intervals

NOBODY = -1  # in place of the number of a name
_RIGHT, _FOUND, _TRUE, _FACES_RIGHT, _FACES = range(5)


@dataclass(frozen=True)
class LinkFigures:
    """Figures of a set of records, with intervals over records where asked for.

    Attributes:
        precision: share of the links found that are right.
        recall: share of the true links that were found.
        f1: harmonic mean of the two.
        faces_right: share of faces with the right name, or rightly with none.
        records, faces: how many there are.
    """

    precision: Figure
    recall: Figure
    f1: Figure
    faces_right: Figure
    records: int
    faces: int


def link_figures(
    found: Sequence[Sequence[int]], truth: Sequence[Sequence[int]], names: Sequence[int], resamples: int = 200
) -> LinkFigures:
    """Figures of names that were given to faces.

    Args:
        found, truth: of each record, for each face the number of its name within the caption, from 0, or `NOBODY`.
        names: of each record, how many names its caption holds.
        resamples: for the intervals; 0 for none.

    Raises:
        ValueError: there is no link at all, or a record's lists differ in length.
    """
    counts = np.array([_counts(*record) for record in zip(found, truth, names, strict=True)], dtype=np.float64)
    if not len(counts) or not counts[:, _TRUE].sum():
        raise ValueError("there is no link to judge")
    exact = _shares(counts.sum(0))
    figures = with_intervals(
        exact,
        len(counts),
        lambda weights: _shares(weights @ counts),
        dict.fromkeys(exact, len(counts)),
        resamples,
    )
    return LinkFigures(**figures, records=len(counts), faces=int(counts[:, _FACES].sum()))


def _counts(found: Sequence[int], truth: Sequence[int], names: int) -> tuple[int, ...]:
    """Right, found and true links, faces named rightly, and faces of one record."""
    faces = sum(one == other for one, other in zip(found, truth, strict=True))
    idle, really_idle = (set(range(names)) - set(given) for given in (found, truth))
    right = faces + len(idle & really_idle)
    return right, len(found) + len(idle), len(truth) + len(really_idle), faces, len(truth)


def _shares(counts: NDArray[np.float64]) -> dict[str, float]:
    right, found, true, faces_right, faces = counts
    return {
        "precision": right / found if found else np.nan,
        "recall": right / true if true else np.nan,
        "f1": 2.0 * right / (found + true) if found + true else np.nan,
        "faces_right": faces_right / faces if faces else np.nan,
    }
