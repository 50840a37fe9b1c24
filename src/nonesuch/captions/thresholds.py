"""From which score on a fact is kept, so that what is kept is right with a stated precision."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.captions.facts import FACTS, NAMES, PLACE, without_saying
from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.perception.attributes import ATTRIBUTES

SHIPPED = Path(__file__).parent / "thresholds.json"
PRECISIONS = ("0.8", "0.85", "0.9", "0.95", "0.98")
LEAST = 20  # statements that a threshold is judged by
_Z = 1.6449  # one-sided 95%
_RARER = 2 / 3  # of the odds of a fact: among other photographs it may be so much rarer
_DENIED = 0.5  # probability that what is denied has at most


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the scores of facts (`facts.scores`).

    Attributes:
        perceiver: hash of the perception heads whose columns they are for.
        data: the labelled photographs that they were measured on.
        images: by fact, how many of these say whether it holds.
        least: by precision, as in `PRECISIONS`, by fact, the lowest score that is kept. A fact that is not there cannot
            reach the precision.
        most: by precision, by fact that is read from a probability, the highest score from which on down it may be
            denied.
    """

    perceiver: str
    data: str
    images: dict[str, int]
    least: dict[str, dict[str, float]]
    most: dict[str, dict[str, float]]

    def write(self, path: Path) -> None:
        """Write them as JSON; raises NonesuchError where the disk is full."""
        files.write_json(path, asdict(self))

    def at(self, precision: str) -> dict[str, float]:
        """By fact, the lowest score that is kept."""
        return self.least[precision]


def read_thresholds(path: Path, perceiver: str) -> Thresholds:
    """Thresholds of a file.

    Args:
        perceiver: hash of the heads that the columns are by.

    Raises:
        NonesuchError: the file cannot be read, or is for other heads.
    """
    content: dict[str, Any] = files.read_json(path)
    found = files.typed(content, Thresholds, str(path))
    parts = (*found.least.values(), *found.most.values())
    unknown = {name for part in parts for name in part} - set(NAMES)
    if unknown or not set(found.least) == set(found.most) == set(PRECISIONS):
        what = f"unknown facts {', '.join(sorted(unknown))}" if unknown else f"its precisions are not {PRECISIONS}"
        raise NonesuchError(f"{path}: {what}; make it again with 'nonesuch calibrate-captions'")
    if found.perceiver != perceiver:
        raise NonesuchError(
            f"{path}: for other perception heads than those of the columns; make thresholds for them with 'nonesuch "
            "calibrate-captions' and name the file with --thresholds"
        )
    return found


def measured(scores: NDArray[np.float64], truth: Mapping[str, NDArray[Any]], perceiver: str, data: str) -> Thresholds:
    """Thresholds from photographs whose truth is known.

    Args:
        scores: (N, F), by `facts.scores`.
        truth: by column, (N,) true values; NaN where they are not known.
    """
    known = truths(truth, len(scores))
    least = {precision: _least(scores, known, float(precision)) for precision in PRECISIONS}
    for precision in PRECISIONS:
        # What is never said, as a woman's missing beard, must not make easy what is said: of men.
        held = scores >= np.array([least[precision].get(name, np.inf) for name in NAMES])
        least[precision] = _least(scores, np.where(without_saying(held), np.nan, known), float(precision))
    images = {name: int(np.isfinite(known[:, PLACE[name]]).sum()) for name in NAMES}
    probable = [name for name in NAMES if FACTS[PLACE[name]].column in ATTRIBUTES]
    most = {}
    for precision in PRECISIONS:
        absent = _least(1 - scores, 1 - known, float(precision))
        most[precision] = {name: min(1 - absent[name], _DENIED) for name in probable if name in absent}
    return Thresholds(perceiver, data, images, least, most)


def _least(scores: NDArray[np.float64], known: NDArray[np.float64], precision: float) -> dict[str, float]:
    """By fact, the lowest score that is kept, over the images where its truth (N, F) is known."""
    found = {}
    for name in NAMES:
        there = np.isfinite(known[:, PLACE[name]])
        lowest = threshold(scores[there, PLACE[name]], known[there, PLACE[name]] > 0, precision)
        if lowest is not None:
            found[name] = lowest
    return found


def truths(truth: Mapping[str, NDArray[Any]], count: int) -> NDArray[np.float64]:
    """(N, F) whether each fact holds, 1 or 0; NaN where the true value of its column is not known."""
    found = np.full((count, len(FACTS)), np.nan)
    for place, fact in enumerate(FACTS):
        if fact.column in truth:
            values = np.asarray(truth[fact.column], dtype=np.float64)
            found[:, place] = np.where(np.isfinite(values), fact.true(values), np.nan)
    return found


def threshold(scores: NDArray[np.float64], true: NDArray[np.bool_], precision: float) -> float | None:
    """The lowest score from which on statements are right with a precision, here and where they are more rarely true.

    It is the lower end of a one-sided 95% interval (Wilson, 1927) that reaches the precision, over at least `LEAST`
    statements: a few lucky ones are not enough. And it must reach it where the odds of the fact are two thirds of those
    here: then of as many scores as high fewer are right.

    Args:
        scores: (N,) finite.
        true: (N,) whether each holds.

    Returns:
        None where no score reaches it.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, count = scores[order], np.arange(1, len(scores) + 1)
    share = np.cumsum(true[order]) / count
    centre = share + _Z**2 / (2 * count)
    spread = _Z * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    lower = (centre - spread) / (1 + _Z**2 / count)
    ends = np.append(ranked[1:] < ranked[:-1], True) if len(ranked) else np.zeros(0, dtype=bool)  # equal scores as one
    elsewhere = lower * _RARER / (1 - lower * (1 - _RARER))
    reached = np.flatnonzero((elsewhere >= precision) & (count >= LEAST) & ends)
    if not len(reached):
        return None
    return float(ranked[reached[-1]])
