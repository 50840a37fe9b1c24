"""Requirements on the figures of an audit, such as 'eer<=0.1': the verdict of a pipeline."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt
from typing import Any

from nonesuch.core.errors import NonesuchError
from nonesuch.measures.figure import plain

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {"<=": le, ">=": ge, "<": lt, ">": gt, "==": eq}
_WRITTEN = re.compile(r"\s*([^<>=]+?)\s*(<=|>=|==|<|>)\s*([^<>=]+?)\s*")
_VALUE = "value"  # of a figure with an interval
_NAMED = ("datasets", "embedders")  # the key behind them is a name


@dataclass(frozen=True)
class Requirement:
    """What a figure must be.

    Attributes:
        path: of the figure in audit.json, its keys joined by "/".
        comparison: one of <=, >=, <, >, ==.
        bound: what it is compared with.
    """

    path: str
    comparison: str
    bound: float

    def __str__(self) -> str:
        return f"{self.path}{self.comparison}{self.bound:g}"

    def holds(self, value: float) -> bool:
        """Whether a value meets it; NaN never does."""
        return _COMPARISONS[self.comparison](value, self.bound)


def parse_requirement(text: str) -> Requirement:
    """Read 'eer<=0.1'.

    Raises:
        NonesuchError: it is written in another way, or the bound is not a finite number.
    """
    match = _WRITTEN.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        bound = float(match[3])
        if bound != bound or bound in (float("inf"), float("-inf")):
            raise ValueError
    except ValueError as error:
        raise NonesuchError(f"--require {text!r}: write it as 'eer<=0.1', with <=, >=, <, > or ==") from error
    return Requirement(match[1], match[2], bound)


def judge(wishes: Sequence[Requirement], found: dict[str, Any]) -> list[str]:
    """What is required and does not hold, or cannot be read, in words; all requirements are added to the figures."""
    judged: list[dict[str, Any]] = []
    broken = []
    for wish in wishes:
        try:
            values = figures_at({"datasets": found["datasets"]}, wish.path)
        except NonesuchError as error:
            broken.append(str(error))
            judged.append({"required": str(wish), "figure": str(error), "value": None, "holds": False})
            continue
        for path, value in values.items():
            judged.append({"required": str(wish), "figure": path, "value": plain(value), "holds": wish.holds(value)})
            if not wish.holds(value):
                broken.append(f"--require {wish} does not hold: {path} is {value:.4g}")
    if judged:
        found["requirements"] = judged
    return broken


def figures_at(figures: Mapping[str, Any], path: str) -> dict[str, float]:
    """The numbers that a path means, by their whole paths.

    A path is all keys from the top, or the last ones of them. It may mean one figure of several datasets and embedders,
    never several figures. A figure with an interval counts by its value, True and False count as 1 and 0, an unknown
    figure as NaN.

    Raises:
        NonesuchError: no figure has that name, or several have.
    """
    known = dict(_numbers(figures, ()))
    wanted = tuple(path.split("/"))
    fitting = [keys for keys in known if keys[-len(wanted) :] == wanted]
    if not fitting:
        names = sorted({keys[-1] for keys in known})
        near = [name for name in names if path.split("/")[-1].lower() in name.lower()] or names
        raise NonesuchError(f"--require: the audit has no figure {path!r}; it has {', '.join(near[:12])}")
    kinds = {_kind(keys) for keys in fitting}
    if len(kinds) > 1:
        listed = ", ".join(sorted("/".join(kind) for kind in kinds)[:6])
        raise NonesuchError(f"--require: {path!r} may mean {listed}; name more of it")
    found = {"/".join(keys): known[keys] for keys in fitting}
    return found | {path: float("nan") for path in _lacking(figures, fitting, wanted)}


def _lacking(figures: Mapping[str, Any], fitting: list[tuple[str, ...]], wanted: tuple[str, ...]) -> list[str]:
    """Datasets, and embedders of them, that a path also means but that do not have its figure."""
    datasets: Mapping[str, Any] = figures.get("datasets", {})
    of_embedders = any("embedders" in keys for keys in fitting)
    lacking = []
    for dataset, rows in datasets.items():
        places = [(dataset, name) for name in rows.get("embedders", {})] if of_embedders else [(dataset,)]
        for place in places:
            told = any(set(place) <= set(keys) for keys in fitting)
            if not told and not any(set(other) & set(wanted) for other in ({*datasets}, {*rows.get("embedders", {})})):
                lacking.append("/".join((*place, *wanted)))
    return lacking


def _kind(keys: tuple[str, ...]) -> tuple[str, ...]:
    """A figure's path without the names of dataset and embedder."""
    named = [place for place, key in enumerate(keys) if key in _NAMED]
    return tuple(key for place, key in enumerate(keys) if place not in named and place - 1 not in named)


def _numbers(figures: Any, keys: tuple[str, ...]) -> list[tuple[tuple[str, ...], float]]:
    if figures is None or isinstance(figures, bool | int | float):
        return [(keys, float("nan") if figures is None else float(figures))]
    if not isinstance(figures, Mapping):
        return []
    if _VALUE in figures:
        return _numbers(figures[_VALUE], keys)
    return [found for key, part in figures.items() for found in _numbers(part, (*keys, str(key)))]
