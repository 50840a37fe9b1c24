"""The facts that captions may state: where each is read, what counts as true, and which exclude each other."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.perception.attributes import ATTRIBUTES

Read = Callable[[NDArray[Any]], NDArray[Any]]
FACING, TURNED, OLD = 10.0, 15.0, 60.0  # degrees of yaw that count as facing and as turned, years that count as old


@dataclass(frozen=True)
class Fact:
    """Something that a caption may state about a face.

    Attributes:
        name: as grammars, tables and reports spell it.
        column: of `nonesuch.perception.perceiver.COLUMNS`, which it is read from.
        score: takes the column to a number that is the higher the surer the fact is.
        true: takes the same column of true values (an attribute's 0 or 1, degrees, years) to whether the fact holds.
    """

    name: str
    column: str
    score: Read
    true: Read


def _same(values: NDArray[Any]) -> NDArray[Any]:
    return values


def _other(values: NDArray[Any]) -> NDArray[Any]:
    return 1.0 - values


def _denied(name: str, attribute: str) -> Fact:
    """The fact that an attribute is absent."""
    return Fact(name, attribute, _other, lambda values: values < 0.5)


FACTS: tuple[Fact, ...] = (
    *(Fact(name, name, _same, lambda values: values > 0.5) for name in ATTRIBUTES),
    _denied("female", "male"),
    _denied("mature", "young"),
    _denied("not_smiling", "smiling"),
    _denied("mouth_closed", "mouth_slightly_open"),
    _denied("no_glasses", "eyeglasses"),
    Fact("over_60", "age", _same, lambda values: values >= OLD),
    Fact("facing_camera", "yaw", lambda values: -np.abs(values), lambda values: np.abs(values) <= FACING),
    Fact("turned_left", "yaw", lambda values: -values, lambda values: values <= -TURNED),
    Fact("turned_right", "yaw", _same, lambda values: values >= TURNED),
)
NAMES = tuple(fact.name for fact in FACTS)
PLACE = {name: place for place, name in enumerate(NAMES)}
_BEARDS = ("5_o_clock_shadow", "goatee", "mustache", "sideburns")
_COLOURS = ("black_hair", "blond_hair", "brown_hair", "gray_hair")
# Of each of these at most one holds: the surest.
_ONE_OF = (
    ("male", "female"),
    ("over_60", "mature", "young"),
    ("smiling", "not_smiling"),
    ("mouth_slightly_open", "mouth_closed"),
    ("eyeglasses", "no_glasses"),
    ("facing_camera", "turned_left", "turned_right"),
    ("wavy_hair", "straight_hair"),
    _COLOURS,
    *(("bald", hair) for hair in (*_COLOURS, "wavy_hair", "straight_hair", "bangs", "receding_hairline")),
    *(("no_beard", beard) for beard in _BEARDS),
    *(("female", beard) for beard in _BEARDS),
)
_GOES_WITHOUT_SAYING = (("female", "no_beard"),)  # where the first holds, the second is not said


def bits(names: Iterable[str]) -> int:
    """A set of facts as a number with a bit for each; raises NonesuchError for a name that is no fact."""
    found = 0
    for name in names:
        if name not in PLACE:
            raise NonesuchError(f"{name!r} is no fact; there are {', '.join(NAMES)}")
        found |= 1 << PLACE[name]
    return found


def names(held: int) -> list[str]:
    """The facts of such a number, in the order of `NAMES`."""
    return [name for place, name in enumerate(NAMES) if held >> place & 1]


def without_saying(held: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N, F) facts that are not said, because another one that holds makes them needless."""
    found = np.zeros_like(held)
    for one, other in _GOES_WITHOUT_SAYING:
        found[:, PLACE[other]] |= held[:, PLACE[one]]
    return found


_PAIRS = [(one, other) for group in _ONE_OF for place, one in enumerate(group) for other in group[place + 1 :]]
_EXCLUDED = [bits(pair) for pair in _PAIRS]


def consistent(held: int) -> bool:
    """Whether no two of the facts exclude each other."""
    return all(held & pair != pair for pair in _EXCLUDED)


def scores(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """(N, F) scores of all facts from the columns of N images; NaN where a column is missing or has no value."""
    count = len(next(iter(columns.values())))
    found = np.full((count, len(FACTS)), np.nan)
    for place, fact in enumerate(FACTS):
        if fact.column in columns:
            found[:, place] = fact.score(np.asarray(columns[fact.column], dtype=np.float64))
    return found


def settled(held: NDArray[np.bool_], sureness: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N, F) facts without those that another, surer one excludes; of equally sure ones the first in the table stays.

    Args:
        held: (N, F) facts that may exclude each other.
        sureness: (N, F), compared within a pair. Years and probabilities do not compare, but an age that is known is
            sure.
    """
    held = held.copy()
    for one, other in _PAIRS:
        first, second = PLACE[one], PLACE[other]
        both = held[:, first] & held[:, second]
        surer = sureness[:, first] >= sureness[:, second]
        held[both & surer, second] = False
        held[both & ~surer, first] = False
    return held & ~without_saying(held)


def as_row(held: int) -> NDArray[np.bool_]:
    """(F,) which facts such a number holds."""
    return np.array([bool(held >> place & 1) for place in range(len(FACTS))])


def as_bits(held: NDArray[np.bool_]) -> list[int]:
    """N numbers as `bits` makes them, from (N, F)."""
    weights = np.uint64(1) << np.arange(len(FACTS), dtype=np.uint64)
    found: Sequence[int] = (held.astype(np.uint64) @ weights).tolist()
    return list(found)
