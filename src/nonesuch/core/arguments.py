"""Limits of what functions take, checked before anything is done; the command line has the same ones."""

import functools
import inspect
import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from nonesuch.core.errors import NonesuchError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Number:
    """A number within limits.

    Attributes:
        low, high: the limits, None for none; both belong to the range.
        whole: whether it is a whole number.
        low_open: whether `low` itself is outside.
    """

    low: float | None = None
    high: float | None = None
    whole: bool = False
    low_open: bool = False

    def problem(self, value: object) -> str:
        """What is wrong with a value, in words; "" where it fits."""
        kind = numbers.Integral if self.whole else numbers.Real
        if not isinstance(value, kind) or isinstance(value, bool):
            return f"not a {'whole ' if self.whole else ''}number"
        number = float(value)
        below = self.low is not None and (number <= self.low if self.low_open else number < self.low)
        if math.isnan(number) or below or (self.high is not None and number > self.high):
            return f"not in the range {self._written()}"
        return ""

    def _written(self) -> str:
        low = "" if self.low is None else f"{self.low:g}{'<' if self.low_open else '<='}"
        return f"{low}x{'' if self.high is None else f'<={self.high:g}'}"


@dataclass(frozen=True)
class Choice:
    """One of several words."""

    words: tuple[str, ...]

    def problem(self, value: object) -> str:
        """What is wrong with a value, in words; "" where it fits."""
        return "" if isinstance(value, str) and value in self.words else f"not one of {', '.join(self.words)}"


SEED = Number(0, 2**63 - 1, whole=True)
AT_LEAST_1 = Number(1, whole=True)
FMR = Number(0, 1, low_open=True)
COSINE = Number(-1, 1)
LEAST_FACE = Number(12, whole=True)  # pixels: what the detector's first network sees
ABOVE_0 = Number(0, low_open=True)
DTYPE = Choice(("float32", "bfloat16", "float16"))


def checked(**limits: Number | Choice) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Check arguments by name before the function runs; None is let through where it is the default.

    Raises:
        NonesuchError: from the function, where an argument is out of its limits.
    """

    def decorate(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def checking(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            given = signature.bind(*args, **kwargs).arguments
            for name, limit in limits.items():
                if name not in given or (given[name] is None and signature.parameters[name].default is None):
                    continue
                if problem := limit.problem(given[name]):
                    raise NonesuchError(f"--{name.replace('_', '-')} {given[name]}: {problem}")
            return function(*args, **kwargs)

        checking.limits = limits  # type: ignore[attr-defined]
        return checking

    return decorate
