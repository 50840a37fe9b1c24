"""Curves as SVG, several embedders in one picture. Needs matplotlib (the `[report]` extra)."""

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from nonesuch.evaluation.summary import Found
from nonesuch.measures.figure import Figures, rate_name
from nonesuch.measures.metrics import FMR, FNMR
from nonesuch.pages.plots import (
    COLOURS,
    SIZE,
    Picture,
    as_svg,
    band,
    bars,
    colour,
    label,
    line,
    picture,
    style,
    ticks,
)

_DET_TICKS = (1e-6, 1e-5, 1e-4, 1e-3, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4)
_UNSEEN = 1e-9  # stands for a rate of 0 where an axis has no 0
_MARKED = (1e-3, 1e-4)
_MARKS = {"EER": "D", "FMR 1e-3": "o", "FMR 1e-4": "s"}
_SHADE = "The shade holds 95% of resamples."


def draw_all(found: Found) -> list[Picture]:
    """The pictures for which there are figures."""
    first = next(iter(found.values()))
    wanted = {
        _roc: "curve" in first,
        _det: "curve" in first,
        _histograms: "histogram" in first,
        _cmc: "cmc" in first,
        _discard: any(row.get("discard") for row in found.values()),
        _groups: "groups" in first,
    }
    with style():
        return [draw(found) for draw, possible in wanted.items() if possible]


def probit(rates: ArrayLike) -> NDArray[np.float64]:
    """Normal deviates of rates in (0, 1), the axes of a DET curve (Martin et al., Eurospeech 1997)."""
    return np.vectorize(NormalDist().inv_cdf, otypes=[np.float64])(rates)


def _roc(found: Found) -> Picture:
    def draw(axes: Axes) -> None:
        finest, lowest = _finest(found, "non_mated"), 100.0
        for number, (name, row) in enumerate(found.items()):
            fmr, fnmr, low, high = _curve(row)
            lowest = min(lowest, 100 * (1 - high[fmr <= finest].min()))
            band(axes, number, fmr.clip(_UNSEEN), 100 * (1 - high), 100 * (1 - low), steps=True)
            line(axes, number, name, fmr.clip(_UNSEEN), 100 * (1 - fnmr), steps=True)
            _mark(axes, number, row, float, lambda rate: 100 * (1 - rate))
        axes.set(xscale="log", xlim=(finest, 1), ylim=_up_to_100(lowest), xlabel="FMR", ylabel="TAR (%)")
        ticks(axes.xaxis, rate_name)
        _explain_marks(axes)

    caption = "True match rate by false match rate, from the lowest rate that the comparisons resolve. " + _SHADE
    return picture("ROC", caption, draw, "lower right")


def _det(found: Found) -> Picture:
    def draw(axes: Axes) -> None:
        lows = (_finest(found, "non_mated"), _finest(found, "mated"))
        for number, (name, row) in enumerate(found.items()):
            fmr, *rates = (part.clip(_UNSEEN, 1 - _UNSEEN) for part in _curve(row))
            fnmr, low, high = map(probit, rates)
            band(axes, number, probit(fmr), low, high, steps=True)
            line(axes, number, name, probit(fmr), fnmr, steps=True)
            _mark(axes, number, row, _deviate, _deviate)
        axes.plot(probit([_UNSEEN, 0.5]), probit([_UNSEEN, 0.5]), color="grey", linewidth=0.6, linestyle=":")
        for axis, least in zip((axes.xaxis, axes.yaxis), lows, strict=True):
            marked = [tick for tick in _DET_TICKS if least <= tick]
            names = [rate_name(tick) if axis is axes.xaxis else f"{100 * tick:g}" for tick in marked]
            axis.set_ticks(probit(marked), names)
        left, bottom = probit(lows)
        end = _deviate(0.55)
        axes.set(xlim=(left, end), ylim=(bottom, end), xlabel="FMR", ylabel="FNMR (%)")
        axes.tick_params(axis="x", labelsize=7)
        _explain_marks(axes)

    caption = "Error trade-off on normal-deviate axes. Lower left is better; the dotted line crosses at the EER. "
    return picture("DET", caption + _SHADE, draw)


def _curve(row: Figures) -> list[NDArray[np.float64]]:
    """FMR, FNMR and its interval."""
    return [np.array(row["curve"][key]) for key in ("fmr", "fnmr", "fnmr_low", "fnmr_high")]


def _mark(
    axes: Axes, number: int, row: Figures, across: Callable[[float], float], up: Callable[[float], float]
) -> None:
    """Marks on a curve at the EER and at the FMRs that its comparisons resolve."""
    fmr, fnmr, *_ = _curve(row)
    eer = row["eer"]["value"]
    points = {"EER": (eer, eer)}
    for rate in _MARKED:
        if rate * row["non_mated"] >= 1:
            points[f"FMR {rate_name(rate)}"] = (rate, fnmr[np.flatnonzero(fmr <= rate + _UNSEEN)[-1]])
    for name, (x, y) in points.items():
        axes.plot(across(x), up(y), marker=_MARKS[name], markersize=5, color=colour(number), markeredgecolor="white")


def _explain_marks(axes: Axes) -> None:
    for name, mark in _MARKS.items():
        axes.plot([], [], linestyle="", marker=mark, markersize=5, color="grey", label=name)


def _deviate(rate: float) -> float:
    return float(probit(np.clip(rate, _UNSEEN, 1 - _UNSEEN)))


def _histograms(found: Found) -> Picture:
    columns = min(len(found), 3)
    lines = -(-len(found) // columns)
    figure = Figure(figsize=(SIZE[0] * columns * 0.8, 2.6 * lines), layout="constrained")
    panels = np.atleast_1d(figure.subplots(lines, columns, squeeze=False)).ravel()
    for panel, (name, row) in zip(panels, found.items(), strict=False):
        histogram = row["histogram"]
        edges = np.array(histogram["edges"])
        for key, title, shade in (("non_mated", "non-mated", COLOURS[1]), ("mated", "mated", COLOURS[0])):
            shares = 100 * np.array(histogram[key])
            panel.stairs(shares, edges, fill=True, alpha=0.4, color=shade, label=title)
            panel.stairs(shares, edges, color=shade, linewidth=0.8)
        panel.set(xlabel="cosine", ylabel="comparisons of the kind (%)", ylim=(0, None))
        panel.set_title(label(name), fontsize=9)
        panel.legend()
    for panel in panels[len(found) :]:
        panel.set_visible(False)
    caption = "Scores of mated and of non-mated comparisons, without refused ones; the less they overlap, the better."
    return Picture("Score histograms", caption, as_svg(figure, "histograms"), wide=True)


def _cmc(found: Found) -> Picture:
    def draw(axes: Axes) -> None:
        lowest = 100.0
        for number, (name, row) in enumerate(found.items()):
            ranks = np.arange(1, len(row["cmc"]) + 1)
            along, low, high = (100 * np.array(row[key], dtype=np.float64) for key in ("cmc", "cmc_low", "cmc_high"))
            band(axes, number, ranks, low, high)
            line(axes, number, name, ranks, along)
            lowest = np.nanmin([lowest, along[0], low[0]])
        axes.set(xlabel="rank", ylabel="found within it (%)", xticks=[1, 5, 10, 15, 20], ylim=_up_to_100(lowest))

    caption = "Share of searches that find their person among the first candidates. " + _SHADE
    return picture("CMC", caption, draw, "lower right")


def _discard(found: Found) -> Picture:
    def draw(axes: Axes) -> None:
        floor, top = 100.0, 0.0
        for number, (name, row) in enumerate(found.items()):
            if curve := row.get("discard"):
                keys = ("discarded", "fnmr", "fnmr_low", "fnmr_high")
                shares, *rates = (100 * np.array(curve[key], dtype=np.float64) for key in keys)
                least = 50.0 / max(curve["mated"][0], 1)  # half an error: where none is left
                along, low, high = (rate.clip(least) for rate in rates)
                band(axes, number, shares, low, high)
                line(axes, number, f"{name}, FMR {rate_name(curve['fmr'])}", shares, along)
                floor, top = min(floor, least), max(top, np.nanmax([*along, *high, 2 * least]))
        axes.set(xlabel="images left out, smallest embedding norm first (%)", ylabel="FNMR (%)")
        axes.set(yscale="log", ylim=(0.9 * floor, min(1.2 * top, 100.0)))
        ticks(axes.yaxis, lambda rate: f"{rate:g}")

    caption = (
        "FNMR at a fixed threshold. It falls where the length of the raw embedding measures an image's quality. A "
        "curve at its lower end, half an error, has no error left. "
    )
    return picture("Error versus discard", caption + _SHADE, draw)


def _groups(found: Found) -> Picture:
    figure = Figure(figsize=(2 * SIZE[0], 3.0), layout="constrained")
    names = list(next(iter(found.values()))["groups"]["groups"])
    for panel, measure in zip(figure.subplots(1, 2), (FNMR, FMR), strict=True):
        for number, (name, row) in enumerate(found.items()):
            of_groups = [measure.bar(row["groups"]["groups"][group]) for group in names]
            bars(panel, number, len(found), name, 100 * np.array(of_groups))
        panel.set_xticks(np.arange(len(names)), [label(group) for group in names])
        panel.set_ylabel(f"{measure.title} (%)")
        panel.legend()
    caption = "Error rates of each group at the one threshold that is best for all groups, with 95% over people."
    return Picture("Groups", caption, as_svg(figure, "groups"), wide=True)


def _finest(found: Found, kind: str) -> float:
    """The lowest rate that an axis shows: one comparison among all."""
    return min(1.0 / max(row[kind] for row in found.values()), 0.1)


def _up_to_100(lowest: float) -> tuple[float, float]:
    """Limits of an axis from the lowest percentage to 100, with a margin that keeps lines off the frame."""
    margin = max(0.03 * (100.0 - lowest), 0.2)
    return lowest - margin, 100.0 + margin
