"""A figure's place in audit.json."""

from dataclasses import dataclass

from nonesuch.measures.figure import (
    NO_FIGURE,
    Figure,
    Figures,
    Measure,
    NotMeasuredError,
    UndefinedFigureError,
    why_unknown,
)


@dataclass(frozen=True)
class Listed:
    """A figure's place in audit.json.

    Attributes:
        part: the part that holds it.
        measure: what it is.
        of: put before its title.
    """

    part: str
    measure: Measure
    of: str = ""

    def title(self, at: str = "") -> str:
        """Its title in tables."""
        return self.of + self.measure.titled(at)

    def family(self, figures: Figures) -> list[str]:
        """`Measure.family` in a dataset's figures; none where it was not measured."""
        try:
            return self.measure.family(part_of(figures, self.part))
        except NotMeasuredError:
            return []

    def read(self, figures: Figures, at: str = "") -> Figure:
        """`Measure.read` in a dataset's figures, or those by one embedder. Errors as there."""
        return self.measure.read(part_of(figures, self.part), at)

    def told(self, figures: Figures, at: str = "") -> str:
        """`Measure.told`, likewise."""
        return self.measure.told(part_of(figures, self.part), at)

    def cell(self, figures: Figures, at: str = "") -> str:
        """`told`, or `NO_FIGURE` where it was not measured."""
        try:
            return self.told(figures, at)
        except NotMeasuredError:
            return NO_FIGURE


def part_of(figures: Figures, part: str) -> Figures:
    """A part of audit.json's figures. All parts are always there; one that was not measured holds the reason.

    Raises:
        UndefinedFigureError: none has that name.
    """
    if part not in figures:
        raise UndefinedFigureError(f"audit.json has no part {part}; it has {', '.join(figures)}")
    found: Figures = figures[part]
    return found


def known_part(figures: Figures, part: str) -> Figures | None:
    """The content of a part, to draw and list; None where it was not measured. Errors as in `part_of`."""
    found = part_of(figures, part)
    return None if why_unknown(found) is not None else found
