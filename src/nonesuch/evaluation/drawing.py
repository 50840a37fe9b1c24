"""Curves as SVG, several embedders in one picture. Needs matplotlib (the `[report]` extra)."""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from nonesuch.evaluation.summary import Found

_SIZE = (5.2, 3.9)  # inches
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito (2008)
_LINES = ("-", "--", "-.", ":")
_DET_TICKS = (1e-6, 1e-5, 1e-4, 1e-3, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4)
_UNSEEN = 1e-9  # stands for a rate of 0 where an axis has no 0


@dataclass(frozen=True)
class Picture:
    """A drawing with its words.

    Attributes:
        svg: the element, without anything from elsewhere.
        wide: takes the width of the page.
    """

    title: str
    caption: str
    svg: str
    wide: bool = False


def draw_all(found: Found) -> list[Picture]:
    """The pictures that the figures suffice for."""
    first = next(iter(found.values()))
    wanted = {
        _roc: "curve" in first,
        _det: "curve" in first,
        _histograms: "histogram" in first,
        _cmc: "cmc" in first,
        _discard: any(row.get("discard") for row in found.values()),
        _groups: "groups" in first,
    }
    with matplotlib.rc_context(
        {
            "font.size": 9,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.formatter.useoffset": False,
            "grid.alpha": 0.3,
            "legend.fontsize": 8,
        }
    ):
        return [draw(found) for draw, possible in wanted.items() if possible]


def probit(rates: ArrayLike) -> NDArray[np.float64]:
    """Normal deviates of rates in (0, 1), the axes of a DET curve (Martin et al., Eurospeech 1997)."""
    return np.vectorize(NormalDist().inv_cdf, otypes=[np.float64])(rates)


def _roc(found: Found) -> Picture:
    def draw(axes: Axes) -> None:
        finest, lowest = _finest(found, "non_mated"), 100.0
        for number, (name, row) in enumerate(found.items()):
            fmr, fnmr = (np.array(row["curve"][key]) for key in ("fmr", "fnmr"))
            lowest = min(lowest, 100 * (1 - fnmr[fmr <= finest].min()))
            _line(axes, number, name, fmr.clip(_UNSEEN), 100 * (1 - fnmr), steps=True)
        axes.set(xscale="log", xlim=(finest, 1), ylim=_up_to_100(lowest), xlabel="FMR", ylabel="TAR (%)")

    caption = "True match rate by false match rate, from the lowest rate that the comparisons resolve."
    return _picture("ROC", caption, draw, "lower right")


def _det(found: Found) -> Picture:
    def draw(axes: Axes) -> None:
        lows = (_finest(found, "non_mated"), _finest(found, "mated"))
        for number, (name, row) in enumerate(found.items()):
            fmr, fnmr = (np.array(row["curve"][key]).clip(_UNSEEN, 1 - _UNSEEN) for key in ("fmr", "fnmr"))
            _line(axes, number, name, probit(fmr), probit(fnmr), steps=True)
        axes.plot(probit([_UNSEEN, 0.5]), probit([_UNSEEN, 0.5]), color="grey", linewidth=0.6, linestyle=":")
        for axis, low in zip((axes.xaxis, axes.yaxis), lows, strict=True):
            ticks = [tick for tick in _DET_TICKS if low <= tick]
            axis.set_ticks(probit(ticks), [f"{100 * tick:g}" for tick in ticks])
        (x, y), high = probit(lows), float(probit(0.55))
        axes.set(xlim=(x, high), ylim=(y, high), xlabel="FMR (%)", ylabel="FNMR (%)")

    caption = "Error trade-off on normal-deviate axes. Lower left is better; the dotted line crosses at the EER."
    return _picture("DET", caption, draw)


def _histograms(found: Found) -> Picture:
    columns = min(len(found), 3)
    lines = -(-len(found) // columns)
    figure = Figure(figsize=(_SIZE[0] * columns * 0.8, 2.6 * lines), layout="constrained")
    panels = np.atleast_1d(figure.subplots(lines, columns, squeeze=False)).ravel()
    for panel, (name, row) in zip(panels, found.items(), strict=False):
        histogram = row["histogram"]
        edges = np.array(histogram["edges"])
        for key, title, colour in (("non_mated", "non-mated", _COLOURS[1]), ("mated", "mated", _COLOURS[0])):
            shares = 100 * np.array(histogram[key])
            panel.stairs(shares, edges, fill=True, alpha=0.4, color=colour, label=title)
            panel.stairs(shares, edges, color=colour, linewidth=0.8)
        panel.set(xlabel="cosine", ylabel="comparisons of the kind (%)", ylim=(0, None))
        panel.set_title(_label(name), fontsize=9)
        panel.legend()
    for panel in panels[len(found) :]:
        panel.set_visible(False)
    caption = "Scores of mated and of non-mated comparisons, without refused ones; the less they overlap, the better."
    return Picture("Score histograms", caption, _svg(figure, "histograms"), wide=True)


def _cmc(found: Found) -> Picture:
    def draw(axes: Axes) -> None:
        for number, (name, row) in enumerate(found.items()):
            ranks = np.arange(1, len(row["cmc"]) + 1)
            _line(axes, number, name, ranks, 100 * np.array(row["cmc"]))
        lowest = 100 * min(row["cmc"][0] for row in found.values())
        axes.set(xlabel="rank", ylabel="found within it (%)", xticks=[1, 5, 10, 15, 20], ylim=_up_to_100(lowest))

    return _picture("CMC", "Share of searches that find their person among the first candidates.", draw, "lower right")


def _discard(found: Found) -> Picture:
    def draw(axes: Axes) -> None:
        for number, (name, row) in enumerate(found.items()):
            if curve := row.get("discard"):
                shares, rates = (100 * np.array(curve[key], dtype=np.float64) for key in ("discarded", "fnmr"))
                _line(axes, number, f"{name}, FMR {curve['fmr']:g}", shares, rates)
        axes.set(xlabel="images left out, smallest embedding norm first (%)", ylabel="FNMR (%)", ylim=(0, None))

    caption = "FNMR at a fixed threshold. It falls where the length of the raw embedding tells the quality of an image."
    return _picture("Error versus discard", caption, draw)


def _groups(found: Found) -> Picture:
    figure = Figure(figsize=(2 * _SIZE[0], 3.0), layout="constrained")
    names = list(next(iter(found.values()))["groups"]["groups"])
    width = 0.8 / len(found)
    for panel, (key, title) in zip(figure.subplots(1, 2), (("fnmr", "FNMR (%)"), ("fmr", "FMR (%)")), strict=True):
        for number, (name, row) in enumerate(found.items()):
            known = [row["groups"]["groups"][group][key] or {} for group in names]
            rates, low, high = (
                100 * np.array([rate.get(part) or 0.0 for rate in known]) for part in ("value", "low", "high")
            )
            reach = np.maximum([rates - low, high - rates], 0.0)
            places = np.arange(len(names)) + (number - (len(found) - 1) / 2) * width
            panel.bar(places, rates, width, yerr=reach, capsize=2, label=_label(name), color=_colour(number))
        panel.set_xticks(np.arange(len(names)), [_label(group) for group in names])
        panel.set_ylabel(title)
        panel.legend()
    caption = "Error rates of each group, at the one threshold that is best for all groups together; 95% over people."
    return Picture("Groups", caption, _svg(figure, "groups"), wide=True)


def _finest(found: Found, kind: str) -> float:
    """The lowest rate that an axis shows: one comparison among all."""
    return min(1.0 / max(row[kind] for row in found.values()), 0.1)


def _line(axes: Axes, number: int, name: str, x: ArrayLike, y: ArrayLike, steps: bool = False) -> None:
    axes.plot(
        x,
        y,
        drawstyle="steps-post" if steps else "default",
        marker="" if steps else ".",
        label=_label(name),
        color=_colour(number),
        linestyle=_LINES[number % len(_LINES)],
    )


def _up_to_100(lowest: float) -> tuple[float, float]:
    """Limits of an axis from the lowest percentage to 100, with a margin that keeps lines off the frame."""
    margin = max(0.03 * (100.0 - lowest), 0.2)
    return lowest - margin, 100.0 + margin


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _label(name: str) -> str:
    # Matplotlib reads formulas between dollars and leaves out labels that begin with an underscore.
    return ("\N{HAIR SPACE}" if name.startswith("_") else "") + name.replace("$", r"\$")


def _picture(
    title: str, caption: str, draw: Callable[[Axes], None], legend: Literal["best", "lower right"] = "best"
) -> Picture:
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    draw(axes)
    axes.legend(loc=legend)
    return Picture(title, caption, _svg(figure, title))


def _svg(figure: Figure, salt: str) -> str:
    """The <svg> element; `salt` keeps the ids of several in one page apart, and the same from run to run."""
    out = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the reader's browser has its own fonts
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
