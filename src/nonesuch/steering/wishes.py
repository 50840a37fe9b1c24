"""What images should show, in the words of the command line: `yaw=uniform(-30,30)`, `quality>=60`, `20%: age=65`."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import Stream, derive_seed, normal, uniform
from nonesuch.steering.quantities import QUANTITIES, Quantity

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)"
_WISH = re.compile(rf"(?:(?P<share>{_NUMBER})%:)?(?P<name>\w+)(?P<relation>>=|<=|=)(?P<what>.+)")
_DRAWN = re.compile(r"(?P<kind>uniform|normal|choice)\((?P<numbers>[^()]+)\)")
_RANGE = re.compile(rf"(?P<low>{_NUMBER})\.\.(?P<high>{_NUMBER})")


@dataclass(frozen=True)
class Wish:
    """One thing that images should show.

    Attributes:
        text: as it was written, without spaces.
        name: one of `QUANTITIES`.
        kind: "value", "range", "uniform", "normal" or "choice".
        numbers: the value; both ends; of the distribution: ends, mean and deviation, or the choices.
        share: of the images that get the wish.
    """

    text: str
    name: str
    kind: str
    numbers: tuple[float, ...]
    share: float = 1.0

    @property
    def quantity(self) -> Quantity:
        """The quantity that the wish is about."""
        return QUANTITIES[self.name]

    def draw(self, seed: int, number: int) -> tuple[float, float]:
        """The accepted range (low, high) of one image, NaN where nothing is wished for.

        Args:
            seed: the image's.
            number: of this wish among the image's, so that two wishes draw differently.
        """
        if uniform(derive_seed(seed, number), Stream.WISH, 1)[0] >= self.share:
            return math.nan, math.nan
        own = derive_seed(seed, number, 1)
        if self.kind == "range":
            return self.numbers[0], self.numbers[1]
        value = self.numbers[0]
        if self.kind == "uniform":
            value += float(uniform(own, Stream.WISH, 1)[0]) * (self.numbers[1] - self.numbers[0])
        elif self.kind == "choice":
            value = self.numbers[int(uniform(own, Stream.WISH, 1)[0] * len(self.numbers))]
        elif self.kind == "normal":
            value += self.numbers[1] * float(normal(own, Stream.WISH, 1)[0])
        what = self.quantity
        value = min(max(value, what.low), what.high)
        return value - what.tolerance, value + what.tolerance


def parse_wish(text: str) -> Wish:
    """Read a wish.

    `NAME=VALUE`, `NAME>=VALUE`, `NAME<=VALUE`, `NAME=LOW..HIGH`, `NAME=uniform(LOW,HIGH)`, `NAME=normal(MEAN,SD)`,
    `NAME=choice(A,B,...)`, each perhaps behind `SHARE%:`. A single value counts as reached within 3 degrees, 3 years,
    5 points of quality, or 0.3 of a probability; a range within its ends.

    Raises:
        NonesuchError: it cannot be read, or names something that cannot be steered or a value out of reach.
    """
    written = "".join(str(text).split())
    found = _WISH.fullmatch(written)
    if found is None:
        raise NonesuchError(f"--steer {text}: write it as yaw=20, age=30..40, quality>=60 or 'yaw=uniform(-30,30)'")
    name, relation, what = found["name"].lower(), found["relation"], found["what"]
    if name not in QUANTITIES:
        raise NonesuchError(f"--steer {text}: {name} cannot be steered; these can: {', '.join(QUANTITIES)}")
    share = 1.0 if found["share"] is None else float(found["share"]) / 100.0
    if not 0.0 < share <= 1.0:
        raise NonesuchError(f"--steer {text}: a share is above 0% and at most 100%")
    kind, numbers = _kind(text, relation, what)
    low, high = QUANTITIES[name].low, QUANTITIES[name].high
    if relation != "=":
        kind, numbers = "range", (numbers[0], high) if relation == ">=" else (low, numbers[0])
    places = numbers[:1] if kind == "normal" else numbers
    if any(not low <= number <= high for number in places):
        raise NonesuchError(f"--steer {text}: {name} lies in {low:g}..{high:g}")
    if kind == "normal" and not 0.0 <= numbers[1] < math.inf:
        raise NonesuchError(f"--steer {text}: a standard deviation is a number of at least 0")
    if kind == "uniform" and numbers[0] > numbers[1]:
        raise NonesuchError(f"--steer {text}: {numbers[0]:g} is above {numbers[1]:g}")
    if kind == "range":
        _check_range(text, name, numbers)
    return Wish(written, name, kind, numbers, share)


def _kind(text: str, relation: str, what: str) -> tuple[str, tuple[float, ...]]:
    drawn, between = _DRAWN.fullmatch(what), _RANGE.fullmatch(what)
    try:
        if relation == "=" and between is not None:
            return "range", (float(between["low"]), float(between["high"]))
        if relation == "=" and drawn is not None:
            numbers = tuple(float(number) for number in drawn["numbers"].split(","))
            if drawn["kind"] == "choice" or len(numbers) == 2:
                return drawn["kind"], numbers
            raise ValueError("it takes two numbers")
        number = float(what)
        if not math.isfinite(number):
            raise ValueError("not a finite number")
        return "value", (number,)
    except ValueError as error:
        raise NonesuchError(f"--steer {text}: {what} is not a value, range or distribution ({error})") from error


def _check_range(text: str, name: str, numbers: tuple[float, ...]) -> None:
    low, high = numbers
    if low > high:
        raise NonesuchError(f"--steer {text}: {low:g} is above {high:g}")
    if low == high or (QUANTITIES[name].is_probability and (low >= 1.0 or high <= 0.0)):
        raise NonesuchError(f"--steer {text}: nothing reaches that exactly; write {name}={low or high:g}")


def check_wishes(wishes: Sequence[Wish]) -> None:
    """Raises NonesuchError where no image can fulfil two wishes that hold for all images."""
    for number, first in enumerate(wishes):
        for second in wishes[number + 1 :]:
            if first.name != second.name or min(first.share, second.share) < 1.0:
                continue
            a, b = reach(first), reach(second)
            if a[0] > b[1] or b[0] > a[1]:
                raise NonesuchError(f"--steer {first.text} and --steer {second.text} contradict each other")


def reach(wish: Wish) -> tuple[float, float]:
    """The least and the largest value that a wish allows any image to have."""
    if wish.kind == "range":
        return wish.numbers[0], wish.numbers[1]
    if wish.kind == "normal":
        return wish.quantity.low, wish.quantity.high
    tolerance = wish.quantity.tolerance
    return min(wish.numbers) - tolerance, max(wish.numbers) + tolerance


def draw_wishes(wishes: Sequence[Wish], seeds: NDArray[np.uint64]) -> NDArray[np.float32]:
    """(N, wishes, 2) accepted ranges of images, NaN where nothing is wished for."""
    drawn = [[wish.draw(int(seed), number) for number, wish in enumerate(wishes)] for seed in seeds]
    return np.array(drawn, dtype=np.float32).reshape(len(seeds), len(wishes), 2)
