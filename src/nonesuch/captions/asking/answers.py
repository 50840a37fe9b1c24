"""Answers to questions about the faces of a picture, from what perception heads give of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nonesuch.captions.asking.judging import Judge, Verdict, told
from nonesuch.captions.asking.questions import (
    BOTTOM,
    LARGEST,
    LEFT,
    MIDDLE,
    RIGHT,
    SMALLEST,
    TOP,
    Condition,
    Meant,
    Question,
)
from nonesuch.captions.facts import FACTS, PLACE
from nonesuch.captions.grammar import Grammar, grammar_file
from nonesuch.captions.writing import Captioner

Box = tuple[float, float, float, float]
_COLOURS = ("black_hair", "blond_hair", "brown_hair", "gray_hair")
_FACING = ("facing_camera", "turned_left", "turned_right")
_NEVER = {
    "attractiveness": "Whether a face is attractive is an opinion, and is not told here.",
    "emotion": "What someone feels cannot be told here: a face shows whether it smiles, and no more.",
    "ethnicity": "Which people someone belongs to cannot be told here: looks do not say it.",
    "identity": "Who someone is cannot be told here.",
}


@dataclass(frozen=True)
class Answered:
    """An answer.

    Attributes:
        question: as it was put.
        text: the answer, in sentences.
        face: the face that is meant, counted from the left, 1 for the first; None where it is none or several.
        faces: of the picture.
        probability: what the heads give to that which is asked, or to that which answers "what gender" and "what
            colour"; None where it is none or several, or no probability, as years and degrees.
        facts: what the answer states of the face, of `nonesuch.captions.facts.NAMES`.
        box: of the face: left, top, right, bottom in pixels; None where `face` is.
    """

    question: str
    text: str
    face: int | None = None
    faces: int = 0
    probability: float | None = None
    facts: tuple[str, ...] = ()
    box: Box | None = None


@dataclass(frozen=True)
class _Said:
    """An answer before it is known whose face it is about."""

    text: str
    probability: float | None = None
    facts: tuple[str, ...] = ()


def answer(question: Question, judge: Judge, boxes: Sequence[Box], age_error: float | None = None) -> Answered:
    """Answer a question.

    Args:
        judge: what the heads give of each face, and from which scores on that counts.
        boxes: of the faces, in the same order.
        age_error: years that the heads are off by on average; None where it is not known.
    """
    faces = _Faces(judge, boxes)
    if question.kind == "untold":
        return Answered(question.text, _NEVER[question.topic], faces=len(boxes))
    if question.kind in ("who", "count"):
        return faces.all_who(question)
    found = faces.meant(question.meant)
    if isinstance(found, str):
        return Answered(question.text, found, faces=len(boxes))
    row, remark = found
    number = faces.number(row)
    if question.kind == "age":
        said = _age(judge, row, age_error)
    elif question.kind == "where":
        said = _Said(f"{faces.place([row])}.")
    elif question.kind == "fact":
        said = _whether(judge, row, question.asked)
    else:
        said = _ANSWERS[question.kind](judge, row)
    text = f"{said.text} {remark}".strip()
    return Answered(question.text, text, number, len(boxes), said.probability, said.facts, boxes[row])


class _Faces:
    """Faces of a picture, by where they are."""

    def __init__(self, judge: Judge, boxes: Sequence[Box]) -> None:
        self._judge, self._boxes = judge, boxes
        corners = np.array(boxes, dtype=np.float64).reshape(-1, 4)
        self._x, self._y = (corners[:, 0] + corners[:, 2]) / 2, (corners[:, 1] + corners[:, 3]) / 2
        self._area = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
        self._order = np.lexsort((self._y, self._x)).tolist()

    def number(self, row: int) -> int:
        """Counted from the left."""
        return int(self._order.index(row)) + 1

    def place(self, rows: Sequence[int]) -> str:
        """Where faces are, in words."""
        if len(self._order) == 1:
            return "The only face"
        *others, last = map(str, sorted(map(self.number, rows)))
        numbers = f"Faces {', '.join(others)} and {last}" if others else f"Face {last}"
        return f"{numbers} of {len(self._order)}, counted from the left"

    def fit(self, conditions: Sequence[Condition]) -> list[int]:
        """Rows of the faces that surely meet all conditions, from the left."""
        return [row for row in self._order if all(self._judge.verdict(row, one).holds for one in conditions)]

    def denied(self, conditions: Sequence[Condition]) -> list[int]:
        """Rows of the faces that surely miss a condition."""
        return [row for row in self._order if any(self._judge.verdict(row, one).holds is False for one in conditions)]

    def meant(self, meant: Meant) -> tuple[int, str] | str:
        """The row of the face that is meant and a remark on the choice; or, in words, why there is none."""
        rows = self.fit(meant.conditions)
        if not rows:
            return self._none_fits(meant.conditions)
        if meant.place:
            return self._at(rows, meant)
        if meant.prefers:
            rows = [row for row in rows if row in self.fit([Condition(meant.prefers)])] or rows
        largest = max(rows, key=lambda row: self._area[row])
        if len(rows) == 1:
            return largest, ""
        return largest, f"{len(rows)} of {len(self._order)} faces fit; the largest of them is meant."

    def _at(self, rows: list[int], meant: Meant) -> tuple[int, str] | str:
        """The face at a place among some."""
        keys: dict[str, Callable[[int], float]] = {
            LEFT: lambda row: self._order.index(row),
            RIGHT: lambda row: -self._order.index(row),
            TOP: lambda row: self._y[row],
            BOTTOM: lambda row: -self._y[row],
            LARGEST: lambda row: -self._area[row],
            SMALLEST: lambda row: self._area[row],
        }
        fitting = " that fits" if len(rows) == 1 else " that fit"
        count = f"{len(rows)} face{'s' * (len(rows) > 1)}{fitting if meant.conditions else ''}"
        unsure = len(self._order) - len(rows) - len(self.denied(meant.conditions))
        remark = f"Of {unsure} more it cannot be told whether they fit." if unsure else ""
        if meant.place == MIDDLE:
            if len(rows) % 2 == 0:
                return f"No such face: of {count} none is in the middle. {remark}".strip()
            return rows[len(rows) // 2], remark
        if meant.nth > len(rows):
            return f"No such face: the picture shows {count}. {remark}".strip()
        return sorted(rows, key=keys[meant.place])[meant.nth - 1], remark

    def _none_fits(self, conditions: Sequence[Condition]) -> str:
        if len(self.denied(conditions)) == len(self._order):
            return f"No such face: '{_listed(conditions)}' fits none of {len(self._order)}."
        if unknown := self._judge.unknown(conditions):
            return f"Cannot tell which face is meant: {unknown}."
        return f"Cannot tell which face is meant: '{_listed(conditions)}' surely fits none of {len(self._order)}."

    def all_who(self, question: Question) -> Answered:
        """Which faces, or how many, meet what is asked."""
        conditions = (*question.meant.conditions, *question.asked)
        total = len(self._order)
        shown = f"{total} face{'s' * (total > 1)}"
        if not conditions:
            return Answered(question.text, f"{shown}.", faces=total)
        rows, right = self.fit(conditions), self._judge.right(len(conditions))
        unsure = total - len(rows) - len(self.denied(conditions))
        doubt = f" Of {unsure}{' more' if rows else ''} it cannot be told." if unsure else ""
        if rows:
            count = f"{'At least ' if unsure else ''}{len(rows)}: " if question.kind == "count" else ""
            place = self.place(rows)
            text = f"{count}{place[0].lower() + place[1:] if count else place}; {right}.{doubt}"
        elif not unsure:
            text = f"No face of {total}; {right}."
        elif unknown := self._judge.unknown(conditions):
            text = f"Cannot tell: {unknown}."
        elif unsure == total:
            text = f"Cannot tell: of {shown} none is sure to show '{_listed(conditions)}', nor sure not to."
        else:
            text = f"No face of {total} for sure; {right}.{doubt}"
        if len(rows) != 1:
            return Answered(question.text, text, faces=total)
        facts = _stated([self._judge.verdict(rows[0], one) for one in conditions])
        return Answered(question.text, text, self.number(rows[0]), total, None, facts, self._boxes[rows[0]])


def _listed(conditions: Sequence[Condition]) -> str:
    return ", ".join(map(told, conditions))


def _stated(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """The facts that an answer by these states."""
    return tuple(dict.fromkeys(fact for verdict in verdicts for fact in verdict.facts))


def _age(judge: Judge, row: int, error: float | None) -> _Said:
    off = "off by an unknown number of years" if error is None else f"off by {error:g} years on average"
    return _Said(f"About {judge.columns['age'][row]:.0f} years (the heads are {off}; they know adults only).")


def _whether(judge: Judge, row: int, asked: Sequence[Condition]) -> _Said:
    """Yes, no, or that it cannot be told."""
    verdicts = [judge.verdict(row, one) for one in asked]
    probability = judge.probability(row, asked[0]) if len(asked) == 1 else None
    denied = [verdict for verdict in verdicts if verdict.holds is False]
    if denied:
        return _Said(f"No: {judge.reason(row, denied[0])}.", probability, denied[0].facts)
    if all(verdict.holds for verdict in verdicts):
        given = " and ".join(judge.given(row, verdict.by) for verdict in verdicts)
        right = judge.right(len(verdicts))
        return _Said(f"Yes: the heads give {given}; {right}.", probability, _stated(verdicts))
    doubt = next(one for one, verdict in zip(asked, verdicts, strict=True) if verdict.holds is None)
    return _Said(f"Cannot tell: {judge.doubt(row, doubt)}.", probability)


def _gender(judge: Judge, row: int) -> _Said:
    return _one_of(judge, row, ("male", "female"), {"male": "A man", "female": "A woman"})


def _hair(judge: Judge, row: int) -> _Said:
    return _one_of(judge, row, _COLOURS, {name: name.removesuffix("_hair").capitalize() for name in _COLOURS})


def _yaw(judge: Judge, row: int) -> _Said:
    turned = [f"The head is turned to the {side} of the picture" for side in (LEFT, RIGHT)]
    return _one_of(judge, row, _FACING, dict(zip(_FACING, ["The head faces the camera", *turned], strict=True)))


def _one_of(judge: Judge, row: int, facts: Sequence[str], words: dict[str, str]) -> _Said:
    """The fact that is true, or why none of them can be told, by the surest."""
    for fact in facts:
        verdict = judge.verdict(row, Condition(fact))
        if verdict.holds:
            probability = judge.probability(row, Condition(fact))
            return _Said(f"{words[fact]}: {judge.reason(row, verdict)}.", probability, (fact,))
    surest = max(facts, key=lambda fact: judge.scores[row, PLACE[fact]])
    return _Said(f"Cannot tell: {judge.doubt(row, Condition(surest))}.", judge.probability(row, Condition(surest)))


def _describe(judge: Judge, row: int) -> _Said:
    """A caption by the English grammar."""
    captioner = Captioner(Grammar(grammar_file("english")), judge.least(), 1, 0)
    columns = {fact.column: judge.columns[fact.column][row : row + 1] for fact in FACTS}
    found = captioner.table(columns, np.zeros(1, dtype=np.uint64)).to_pylist()[0]
    if found["caption"] is None:
        return _Said("Cannot tell: no fact is sure.")
    return _Said(found["caption"], None, tuple(found["facts"]))


_ANSWERS: dict[str, Callable[[Judge, int], _Said]] = {
    "describe": _describe,
    "gender": _gender,
    "hair": _hair,
    "yaw": _yaw,
}
