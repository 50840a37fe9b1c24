"""A figure's place in audit.json, and what it needs."""

from dataclasses import dataclass
from typing import Any

from nonesuch.measures.figure import NO_FIGURE, Figure, Figures, Measure, NotMeasuredError, UndefinedFigureError


@dataclass(frozen=True)
class Need:
    """What must be given for a figure.

    Attributes:
        sign: the path that audit.json has where it was given.
        why: why the figure was not measured without it.
    """

    sign: str
    why: str

    def is_met(self, figures: Figures) -> bool:
        """Whether it was given."""
        found: Any = figures
        for key in self.sign.split("/"):
            if key not in found:
                return False
            found = found[key]
        return True


@dataclass(frozen=True)
class Listed:
    """A figure's place in audit.json.

    Attributes:
        part: the part that holds it.
        measure: what it is.
        needs: what must be given for it, if anything.
        of: put before its title.
    """

    part: str
    measure: Measure
    needs: Need | None = None
    of: str = ""

    def title(self, at: str = "") -> str:
        """Its title in tables."""
        return self.of + self.measure.titled(at)

    def family(self, figures: Figures) -> list[str]:
        """`Measure.family` in a dataset's figures; none where it was not measured."""
        try:
            return self.measure.family(self._part(figures))
        except NotMeasuredError:
            return []

    def read(self, figures: Figures, at: str = "") -> Figure:
        """`Measure.read` in a dataset's figures, or those by one embedder. Errors as there."""
        return self.measure.read(self._part(figures), at)

    def told(self, figures: Figures, at: str = "") -> str:
        """`Measure.told`, likewise."""
        return self.measure.told(self._part(figures), at)

    def cell(self, figures: Figures, at: str = "") -> str:
        """`told`, or `NO_FIGURE` where it was not measured."""
        try:
            return self.told(figures, at)
        except NotMeasuredError:
            return NO_FIGURE

    def _part(self, figures: Figures) -> Figures:
        if self.needs is not None and not self.needs.is_met(figures):
            raise NotMeasuredError(self.needs.why)
        return part_of(figures, self.part)


def part_of(figures: Figures, part: str) -> Figures:
    """A part of audit.json's figures.

    Raises:
        UndefinedFigureError: none has that name.
    """
    if part not in figures:
        raise UndefinedFigureError(f"audit.json has no part {part}; it has {', '.join(figures)}")
    found: Figures = figures[part]
    return found
