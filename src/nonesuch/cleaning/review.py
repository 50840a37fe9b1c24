"""The page on which a person answers the uncertain cases. Needs jinja2 (the `[report]` extra)."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nonesuch.cleaning.answers import COLUMNS, IMAGE, PEOPLE
from nonesuch.cleaning.uncertain import Case, Known
from nonesuch.pages.page import picture_uri, write_page

_PAGE = Path(__file__).with_name("review.html.jinja")
_SHOWN = 6


@dataclass(frozen=True)
class _Picture:
    name: str
    uri: str


@dataclass(frozen=True)
class _Group:
    title: str
    pictures: list[_Picture]


def write_review(
    path: Path, cases: Sequence[Case], known: Known, on_case: Callable[[int], None] = lambda done: None
) -> None:
    """Write the page: one question after another, yes, no or skip, and a button that saves the answers.

    It is one file that needs nothing from elsewhere; it holds the photographs as JPEG.

    Args:
        on_case: told how many cases are drawn.

    Raises:
        NonesuchError: the disk is full or the place cannot be written.
    """
    shown = []
    drawn: dict[int, str] = {}
    for number, case in enumerate(cases, start=1):
        shown.append(_described(case, known, drawn))
        on_case(number)
    asked = "\n".join(f"{case['question']}\0{case['one']}\0{case['other']}" for case in shown)
    write_page(
        path,
        _PAGE,
        cases=shown,
        columns=",".join(COLUMNS),
        page_id=hashlib.sha256(asked.encode(errors="surrogateescape")).hexdigest()[:16],
    )


def _described(case: Case, known: Known, drawn: dict[int, str]) -> dict[str, object]:
    def pictures(rows: Sequence[int]) -> list[_Picture]:
        return [_Picture(known.name(row), uri) for row in rows if (uri := _uri(row, known, drawn))]

    if case.question == IMAGE:
        one, other = known.name(case.one), known.identities[case.other]
        asked = f"Is this image of {other}?"
        rest = _typical(known, [row for row in np.flatnonzero(known.after == case.other).tolist() if row != case.one])
        groups = [_Group("this image", pictures([case.one])), _Group(other, pictures(rest))]
    elif case.question == PEOPLE:
        one, other = known.identities[case.one], known.identities[case.other]
        asked = f"Are {one} and {other} one person?"
        groups = [
            _Group(known.identities[label], pictures(_typical(known, _rows_of(known, label))))
            for label in (case.one, case.other)
        ]
    else:
        one, other = known.name(case.one), known.name(case.other)
        asked = "Are these the same picture?"
        groups = [_Group(name, pictures([row])) for name, row in ((one, case.one), (other, case.other))]
    return {
        "question": case.question,
        "one": one,
        "other": other,
        "asked": asked,
        "groups": groups,
        "decided": f"left alone: {case.decided} (cosine {case.cosine:.3f}, threshold {case.threshold:.3f})",
    }


def _rows_of(known: Known, label: int) -> list[int]:
    """An identity's images by its first label, if they stay; by its new label, if it had none of them."""
    first = np.flatnonzero((known.before == label) & (known.after >= 0)).tolist()
    return first or np.flatnonzero(known.after == label).tolist()


def _typical(known: Known, rows: list[int]) -> list[int]:
    """The images that are most like all of these."""
    if not rows:
        return []
    unit = known.unit[rows]
    return [rows[place] for place in np.argsort(-(unit @ unit.sum(0)), kind="stable")[:_SHOWN]]


def _uri(row: int, known: Known, drawn: dict[int, str]) -> str:
    if row not in drawn:
        pixels = known.read(row)
        drawn[row] = "" if pixels is None else picture_uri(pixels)
    return drawn[row]
