"""Error rates of biometric comparison (ISO/IEC 19795-1): FMR, FNMR, EER, TAR."""

import numpy as np
from numpy.typing import NDArray

from nonesuch.measures.figure import SHARE, Better, Bounds, Measure

Scores = NDArray[np.floating]

EER = Measure(
    "eer",
    "EER",
    SHARE,
    Better.LOWER,
    bounds=Bounds("EER", 0.05, 0.15, "green up to 5%, amber up to 15%"),
    meaning="error rate at the threshold where FMR and FNMR are equal",
)
TAR = Measure(
    "tar/*",
    "TAR at FMR {}",
    SHARE,
    Better.HIGHER,
    meaning="share of mated comparisons that match at the lowest threshold of this FMR",
)
FMR = Measure(
    "fmr",
    "FMR",
    SHARE,
    Better.LOWER,
    null="no non-mated comparison",
    meaning="share of non-mated comparisons that match",
)
FNMR = Measure(
    "fnmr",
    "FNMR",
    SHARE,
    Better.LOWER,
    null="no mated comparison",
    meaning="share of mated comparisons that do not match",
)
ACCURACY = Measure("accuracy", "accuracy", SHARE, Better.HIGHER, meaning="share of comparisons that are judged rightly")


def fmr(non_mated: Scores, threshold: float) -> float:
    """Share of non-mated comparisons with a score of at least `threshold`."""
    return float(np.mean(non_mated >= threshold))


def fnmr(mated: Scores, threshold: float) -> float:
    """Share of mated comparisons with a score below `threshold`."""
    return float(np.mean(mated < threshold))


def equal_error_rate(mated: Scores, non_mated: Scores) -> float:
    """The rate of `equal_error`."""
    return equal_error(mated, non_mated)[0]


def equal_error(mated: Scores, non_mated: Scores) -> tuple[float, float]:
    """Mean of FMR and FNMR at the threshold among the observed scores where they differ least, and that threshold.

    Args:
        mated, non_mated: similarity scores, at least one each.
    """
    mated, non_mated = np.sort(mated), np.sort(non_mated)
    thresholds = np.unique(np.concatenate([mated, non_mated]))
    false_match = 1.0 - np.searchsorted(non_mated, thresholds, side="left") / len(non_mated)
    false_non_match = np.searchsorted(mated, thresholds, side="left") / len(mated)
    at = np.argmin(np.abs(false_match - false_non_match))
    return float((false_match[at] + false_non_match[at]) / 2), float(thresholds[at])


def threshold_at(non_mated: Scores, fmr: float) -> float:
    """The lowest threshold whose FMR is at most `fmr`; -inf where that is every threshold.

    Args:
        non_mated: similarity scores, at least one.
    """
    ranked = np.sort(non_mated)[::-1]
    allowed = int(fmr * len(ranked) + 1e-9)
    # A threshold of ranked[allowed] itself would be one match too many.
    return float(np.nextafter(ranked[allowed], np.inf, dtype=ranked.dtype)) if allowed < len(ranked) else -np.inf


def true_match_rate(mated: Scores, non_mated: Scores, fmr: float) -> float:
    """1 - FNMR at the lowest threshold whose FMR is at most `fmr`.

    Args:
        mated, non_mated: similarity scores of one dtype, at least one each.
    """
    return float(np.mean(mated >= threshold_at(non_mated, fmr)))
