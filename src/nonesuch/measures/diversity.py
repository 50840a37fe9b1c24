"""How much the images of an identity differ."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.measures.figure import DEGREES, GREY_LEVELS, NUMBER, OF_100, YEARS, Better, Bounds, Figure, Measure, Unit
from nonesuch.measures.grouping import rows_by_identity
from nonesuch.measures.intervals import mean_over_identities
from nonesuch.measures.similarity import normalised

VENDI = Measure(
    "vendi",
    "Vendi score within identities",
    NUMBER,
    meaning="effective number of different images of an identity: 1 if all are equal (arXiv 2210.02410)",
)


def _spread(column: str, unit: Unit, bounds: Bounds | None = None) -> Measure:
    return Measure(
        f"{column}/within",
        f"{column}: sd within identities",
        unit,
        Better.HIGHER if bounds else Better.NEITHER,
        null="no identity has two images",
        bounds=bounds,
        meaning="standard deviation over an identity's images, mean over identities",
    )


SPREADS = {
    "yaw": _spread(
        "yaw",
        DEGREES,
        Bounds(
            "heads turn",
            8.0,
            4.0,
            "standard deviation of yaw within identities: green from 8 degrees, amber from 4 (photographs: 14)",
        ),
    ),
    "pitch": _spread("pitch", DEGREES),
    "age": _spread("age", YEARS),
    "quality": _spread("quality", OF_100),
    "light": _spread("light", GREY_LEVELS),
}


def vendi_score(unit: NDArray[np.float32]) -> float:
    """The effective number of different images: exp of the entropy of the eigenvalues of the similarity matrix / N.

    1 if all embeddings point the same way, N if all are at right angles (arXiv 2210.02410, equation 2), with the cosine
    as similarity.

    Args:
        unit: (N, D) embeddings of any length, not zero.
    """
    unit = normalised(np.asarray(unit, dtype=np.float64)) / np.sqrt(len(unit))
    # The Gram matrix and the covariance share their eigenvalues, apart from zeros: take the smaller one.
    matrix = unit @ unit.T if len(unit) <= unit.shape[1] else unit.T @ unit
    values = np.linalg.eigvalsh(matrix)
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def within_identities(values: NDArray[np.floating], identities: NDArray[np.int64]) -> tuple[Figure, float]:
    """Mean standard deviation of a column within identities, and the deviation of the identities' means.

    Values that are NaN, and identities with fewer than two others, are left out of the first; NaN where none is left.
    """
    deviations, means = [], []
    for rows in rows_by_identity(identities):
        known = values[rows][~np.isnan(values[rows])].astype(np.float64)
        if len(known):
            means.append(known.mean())
        if len(known) > 1:
            deviations.append(known.std(ddof=1))
    between = float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")
    return mean_over_identities(deviations, np.arange(len(deviations))), between


def spreads(columns: Mapping[str, NDArray[Any]], identities: NDArray[np.int64]) -> dict[str, dict[str, Figure | float]]:
    """`within_identities` of pose, age, quality and light: the figures of `SPREADS`, as "within" and "between"."""
    found: dict[str, dict[str, Figure | float]] = {}
    for column in SPREADS:
        within, between = within_identities(columns[column], identities)
        found[column] = {"within": within, "between": between}
    return found


def vendi_of_identities(unit: NDArray[np.float32], identities: NDArray[np.int64]) -> NDArray[np.float64]:
    """The Vendi score of each identity that has two images or more, in order of the labels."""
    return np.array([vendi_score(unit[rows]) for rows in rows_by_identity(identities) if len(rows) > 1])
