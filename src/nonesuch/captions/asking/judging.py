"""Whether facts hold for a face, as far as thresholds let it be told, and the words that say why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.captions.asking.questions import Condition
from nonesuch.captions.facts import FACTS, NAMES, PLACE, bits, consistent, scores
from nonesuch.captions.thresholds import PRECISIONS, Thresholds

_WORDS = {
    "5_o_clock_shadow": "five o'clock shadow",
    "eyeglasses": "glasses",
    "female": "woman",
    "male": "man",
    "mature": "no longer young",
    "over_60": "60 years or more",
}
_IMPLIES = {"mature": "over_60"}  # captions say one of the two, but both hold


@dataclass(frozen=True)
class Verdict:
    """Whether a condition holds.

    Attributes:
        holds: None where it cannot be told.
        by: the fact that shows it; "" where it cannot be told.
        absent: whether it is shown by that fact's absence.
    """

    holds: bool | None
    by: str = ""
    absent: bool = False

    @property
    def facts(self) -> tuple[str, ...]:
        """The facts that an answer by this verdict states."""
        return (self.by,) if self.by and not self.absent else ()


class Judge:
    """What heads give of N faces, and from which scores on that counts.

    Args:
        columns: (N,) each, of `nonesuch.perception.perceiver.COLUMNS`.
        thresholds: of the scores of facts.
        precision: of `nonesuch.captions.thresholds.PRECISIONS`.

    Attributes:
        scores: (N, F) of all facts.
    """

    def __init__(self, columns: Mapping[str, NDArray[Any]], thresholds: Thresholds, precision: str) -> None:
        self.columns, self.scores = columns, scores(columns)
        self._thresholds, self._precision = thresholds, precision
        self._share = f"at least {float(precision):.0%} of labelled photographs"

    def right(self, statements: int = 1) -> str:
        """How often so many statements are right, in words."""
        return f"statements like {'this' if statements == 1 else 'each of these'} are right in {self._share}"

    def least(self) -> dict[str, float]:
        """By fact, the lowest score that counts."""
        return self._thresholds.at(self._precision)

    def verdict(self, row: int, condition: Condition, precision: str = "") -> Verdict:
        """Whether a condition holds for a face; of facts that exclude each other the surer one counts."""
        least = self._thresholds.at(precision or self._precision)
        fact = condition.fact
        for shown in (fact, *filter(None, [_IMPLIES.get(fact)])):
            if self._true(row, shown, least):
                return Verdict(condition.holds, shown)
        for other in _EXCLUDED_BY[fact]:
            if self._true(row, other, least):
                return Verdict(not condition.holds, other)
        if self.scores[row, PLACE[fact]] <= self._most(precision).get(fact, -np.inf):
            return Verdict(not condition.holds, fact, absent=True)
        return Verdict(None)

    def probability(self, row: int, condition: Condition) -> float | None:
        """What the heads give to a condition; None where that is no probability."""
        if _column(condition.fact) in ("age", "yaw"):
            return None
        found = float(self.scores[row, PLACE[condition.fact]])
        return found if condition.holds else 1.0 - found

    def given(self, row: int, fact: str) -> str:
        """What the heads give to a fact, in words."""
        column = _column(fact)
        if column == "age":
            return f"{self.columns['age'][row]:.0f} years"
        if column == "yaw":
            yaw = round(float(self.columns["yaw"][row]))
            return f"a yaw of {yaw} degree{'s' * (abs(yaw) != 1)}"
        return f"{_written(fact)} {_share(float(self.scores[row, PLACE[fact]]))}"

    def reason(self, row: int, verdict: Verdict) -> str:
        """What shows that something is so, and how often that is right."""
        return f"the heads give {self.given(row, verdict.by)}; {self.right()}"

    def doubt(self, row: int, condition: Condition) -> str:
        """Why a condition cannot be told."""
        fact, others = condition.fact, _EXCLUDED_BY[condition.fact]
        least = self.least().get(fact)
        opposite = fact in self._most() or any(other in self.least() for other in others)
        text = f"the heads give {self.given(row, fact)}"
        if least is None:
            text += f", and no score of theirs for it{'' if opposite else ' or its opposite'} is known to be right in "
            text += self._share
        elif self.scores[row, PLACE[fact]] < least:
            text += f", and are right in {self._share} only {_from(fact, least)}"
            text += "" if opposite else "; no score is known to show the opposite"
        else:
            text += ", and as much to what excludes it"
        lower = [one for one in PRECISIONS if float(one) < float(self._precision)]
        enough = next((one for one in reversed(lower) if self.verdict(row, condition, one).holds is not None), None)
        return f"{text} (--precision {enough} can tell)" if enough else text

    def unknown(self, conditions: Sequence[Condition]) -> str:
        """Of the first condition that no score can show at this precision, why; "" where there is none."""
        for one in conditions:
            shows = (one.fact, *filter(None, [_IMPLIES.get(one.fact)])) if one.holds else _EXCLUDED_BY[one.fact]
            denied = not one.holds and one.fact in self._most()
            if not denied and not any(fact in self.least() for fact in shows):
                return f"no score of the heads for '{told(one)}' is known to be right in {self._share}"
        return ""

    def _most(self, precision: str = "") -> dict[str, float]:
        """By fact, the highest score at which it may be denied."""
        return self._thresholds.most[precision or self._precision]

    def _true(self, row: int, fact: str, least: Mapping[str, float]) -> bool:
        """Whether a fact reaches its threshold, and no other that excludes it does with a score as high."""
        score = self.scores[row, PLACE[fact]]
        if not score >= least.get(fact, np.inf):
            return False
        others = [self.scores[row, PLACE[other]] for other in _EXCLUDED_BY[fact] if self._reaches(row, other, least)]
        return all(other < score for other in others)

    def _reaches(self, row: int, fact: str, least: Mapping[str, float]) -> bool:
        return bool(self.scores[row, PLACE[fact]] >= least.get(fact, np.inf))


def told(condition: Condition) -> str:
    """A condition in words."""
    words = _written(condition.fact)
    return words if condition.holds else words.removeprefix("no ") if words.startswith("no ") else f"not {words}"


def _written(fact: str) -> str:
    return _WORDS.get(fact, fact.replace("_", " "))


def _column(fact: str) -> str:
    return FACTS[PLACE[fact]].column


def _share(value: float) -> str:
    if value > 0.995:
        return "more than 0.99"
    return "less than 0.01" if value < 0.005 else f"{value:.2f}"


def _from(fact: str, least: float) -> str:
    """From where on a fact counts, in words."""
    if fact == "over_60":
        return f"from {least:.0f} years on"
    if fact == "facing_camera":
        return f"up to {-least:.0f} degrees"
    if _column(fact) == "yaw":
        return f"from {least:.0f} degrees on"
    return f"from {least:.2g} on"


def _excluded_by(fact: str) -> tuple[str, ...]:
    both = [bits([fact, other]) for other in NAMES]
    pairs = {frozenset(pair) for pair in _IMPLIES.items()}
    return tuple(
        other
        for other, pair in zip(NAMES, both, strict=True)
        if other != fact and not consistent(pair) and frozenset((fact, other)) not in pairs
    )


_EXCLUDED_BY = {fact: _excluded_by(fact) for fact in NAMES}
