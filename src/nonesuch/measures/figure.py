"""A figure, and what it is: title, unit, direction, bounds. Whatever shows or judges figures takes these from here."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

import numpy as np

Figures = Mapping[str, Any]  # as JSON holds them, see `plain`
UNKNOWN = "unknown"  # key of the reason in words, in place of figures that cannot be measured
NO_FIGURE = "-"  # in a table
_PARTS = ("value", "low", "high")  # of a figure with an interval, in JSON


@dataclass(frozen=True)
class Figure:
    """A figure with its 95% interval; NaN for an interval that is not known."""

    value: float
    low: float = math.nan
    high: float = math.nan


class NotMeasuredError(Exception):
    """A figure that is defined and was not measured here, with the reason in words."""


class UndefinedFigureError(LookupError):
    """A figure is not in the JSON where its definition says: one of the two was renamed without the other."""


@dataclass(frozen=True)
class Unit:
    """How values are written.

    Attributes:
        kind: "share" of 1, written in percent; "count", written whole; "" for any other number.
        word: behind the value.
        infinite: what null means in JSON, which has no infinity; "" where it means nothing.
    """

    kind: Literal["", "share", "count"] = ""
    word: str = ""
    infinite: str = ""

    def write(self, value: float) -> str:
        """A value without its word, with four significant digits, but counts whole."""
        if self.infinite and not math.isfinite(value):
            return self.infinite
        if self.kind == "count":
            return f"{value:,.0f}"
        return f"{four_digits(100.0 * value)}%" if self.kind == "share" else four_digits(value)

    def written(self, figure: Figure) -> str:
        """A figure with its interval, as "61.67% (56.67% to 78.33%)" or "8.120 degrees (7.440 to 8.970)"."""
        value = self.write(figure.value) + (f" {self.word}" if self.word else "")
        bounds = (figure.low, figure.high)
        if not self.infinite and any(map(math.isnan, bounds)):
            return value
        return f"{value} ({self.write(figure.low)} to {self.write(figure.high)})"


def four_digits(value: float) -> str:
    """A number with four significant digits, and with all digits before the point."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}" if value else "0"
    size = int(f"{value:.3e}".partition("e")[2])
    return f"{value:,.{max(3 - size, 0)}f}" if size >= -4 else f"{value:.3e}"


def rate_name(rate: float | str) -> str:
    """A rate as it is called: "1e-4" for a power of ten below 1, otherwise the number."""
    mantissa, _, exponent = f"{float(rate):e}".partition("e")
    return f"1e{int(exponent)}" if float(mantissa) == 1.0 and int(exponent) < 0 else f"{float(rate):g}"


def key_name(key: str) -> str:
    """What a key of a family is called: "FMR 1e-4" for "fmr 0.0001", "1% of the control" for "control 0.01", "1e-3" for
    "0.001", and others as they are."""
    kind, _, number = key.rpartition(" ")
    try:
        rate = float(number)
    except ValueError:
        return key
    if kind == "control":
        return f"{100.0 * rate:g}% of the control"
    if kind not in ("", "fmr"):
        return key
    return f"{kind.upper()} {rate_name(rate)}".strip()


SHARE, COUNT = Unit("share"), Unit("count")
COSINE = NUMBER = Unit()
DEGREES, YEARS, OF_100, GREY_LEVELS = (
    Unit("", "degrees"),
    Unit("", "years"),
    Unit("", "of 100"),
    Unit("", "grey levels"),
)


class Better(Enum):
    """Which way a figure is good."""

    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = "neither"


@dataclass(frozen=True)
class Bounds:
    """A traffic light of the verdict.

    Attributes:
        about: what it judges.
        green, amber: the last values of these colours, in the direction of the figure.
        rule: the same in words.
        at: which one of a family is judged.
    """

    about: str
    green: float
    amber: float
    rule: str
    at: str = ""


@dataclass(frozen=True)
class Measure:
    """What a figure is. It is defined once, beside the function that measures it.

    Attributes:
        key: of the figure within its part of the JSON, keys joined by "/". A "*" stands for the keys of a family of
            figures, such as one for each threshold.
        title: in tables; "{}" stands for the key of the family.
        unit: how it is written.
        better: which way it is good.
        interval: whether the JSON holds value, low and high; otherwise it holds a number.
        count: key, beside the figure's, of the number that a share is; written in front of it.
        deviation: key, beside the figure's, of its standard deviation; written in brackets behind it.
        null: why it may be null, in words.
        bounds: its light, if it has one.
        meaning: what it is, in a few words that stand beside it in tables.
    """

    key: str
    title: str
    unit: Unit
    better: Better = Better.NEITHER
    interval: bool = True
    count: str = ""
    deviation: str = ""
    null: str = ""
    bounds: Bounds | None = None
    meaning: str = ""

    def titled(self, at: str = "") -> str:
        """Its title in tables; `at`: which one of its family."""
        return self.title.format(key_name(at))

    def family(self, part: Figures) -> list[str]:
        """The keys that "*" stands for in a part; one that is empty for a figure without a family. Errors as in
        `read`."""
        head, star, _ = self.key.partition("*")
        return list(_reach(part, head.strip("/"), "")) if star else [""]

    def read(self, part: Figures, at: str = "") -> Figure:
        """The figure in its part of the JSON.

        Args:
            at: which one of its family.

        Raises:
            NotMeasuredError: the part is `unknown`, the family has none `at` this key, or the figure is null.
            UndefinedFigureError: the part does not hold it, or in another form.
        """
        found = _reach(part, self.key, at)
        if isinstance(found, Mapping) != self.interval and found is not None:
            raise UndefinedFigureError(f"{self.key} is defined {'with' if self.interval else 'without'} an interval")
        numbers = [found[key] for key in _PARTS] if isinstance(found, Mapping) else [found]
        if numbers[0] is None and not self.unit.infinite:
            raise NotMeasuredError(self._why_null)
        return as_figure(dict(zip(_PARTS, numbers, strict=False)))

    def told(self, part: Figures, at: str = "") -> str:
        """The figure as tables and verdicts show it. Errors as in `read`."""
        told = self.unit.written(self.read(part, at))
        if self.count:
            count = _reach(part, self._beside(self.count), at)
            if count is None:
                raise NotMeasuredError(self._why_null)
            told = f"{COUNT.write(count)}, {told}"
        if self.deviation:
            told = f"{told} ({self.unit.write(_reach(part, self._beside(self.deviation), at))})"
        return told

    def cell(self, part: Figures, at: str = "") -> str:
        """`told`, or `NO_FIGURE` where it was not measured; raises UndefinedFigureError as `read` does."""
        try:
            return self.told(part, at)
        except NotMeasuredError:
            return NO_FIGURE

    def bar(self, part: Figures, at: str = "") -> tuple[float, float, float]:
        """Value, low and high as a bar shows them: 0 for those that were not measured. Raises UndefinedFigureError."""
        try:
            found = self.read(part, at)
        except NotMeasuredError:
            return 0.0, 0.0, 0.0
        value, low, high = (0.0 if math.isnan(number) else number for number in (found.value, found.low, found.high))
        return value, low, high

    @property
    def _why_null(self) -> str:
        return self.null or "there is nothing to measure it on"

    def _beside(self, key: str) -> str:
        return "/".join([*self.key.split("/")[:-1], key])


def why_unknown(part: Figures) -> str | None:
    """Why a part of the JSON was not measured, in words; None where it was."""
    reason = part.get(UNKNOWN)
    return reason if isinstance(reason, str) else None  # the share of images of unknown groups has the same key


def _reach(part: Figures, path: str, at: str) -> Any:
    found: Any = part
    for key in path.split("/"):
        if not isinstance(found, Mapping):
            raise UndefinedFigureError(f"no figure is called {path}: {key} is below a number")
        if (reason := why_unknown(found)) is not None:
            raise NotMeasuredError(reason)
        if key == "*" and at not in found:
            raise NotMeasuredError(f"it is not known at {at}")
        if key != "*" and key not in found:
            raise UndefinedFigureError(f"no figure is called {path}; there are {', '.join(found)}")
        found = found[at if key == "*" else key]
    if isinstance(found, Mapping) and (reason := why_unknown(found)) is not None:
        raise NotMeasuredError(reason)
    return found


def as_figure(found: Figures) -> Figure:
    """A figure from value, low and high as JSON holds them; NaN for what is null or absent."""
    return Figure(*(math.nan if (number := found.get(key)) is None else float(number) for key in _PARTS))


def plain(value: Any) -> Any:
    """Figures as JSON holds them: dataclasses as objects, NaN and infinities as null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value
