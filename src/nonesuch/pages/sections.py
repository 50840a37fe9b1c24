"""Tables of figures in sections, each figure with what it means, as pages and the terminal show them."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """A figure in a table.

    Attributes:
        title: its name.
        cells: its value for each column.
        meaning: what it is, in words; "" where that is said above.
    """

    title: str
    cells: list[str]
    meaning: str = ""


@dataclass(frozen=True)
class Section:
    """Lines of a table that belong together."""

    title: str
    lines: list[Line]


def section(title: str, lines: Iterable[Line]) -> Section:
    """A section that explains figures of one meaning once, at the first."""
    told: set[str] = set()
    kept = []
    for line in lines:
        kept.append(line if line.meaning not in told else Line(line.title, line.cells))
        told.add(line.meaning)
    return Section(title, kept)
