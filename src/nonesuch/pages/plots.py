"""Plots as SVG for pages that open offline. Needs matplotlib (the `[report]` extra)."""

import contextlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import ArrayLike, NDArray

SIZE = (5.2, 3.9)  # inches
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito (2008)
_LINES = ("-", "--", "-.", ":")


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


def style() -> contextlib.AbstractContextManager[None]:
    """How all plots of a page look."""
    return matplotlib.rc_context(
        {
            "font.size": 9,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.formatter.useoffset": False,
            "grid.alpha": 0.3,
            "legend.fontsize": 8,
        }
    )


def line(axes: Axes, number: int, name: str, x: ArrayLike, y: ArrayLike, steps: bool = False) -> None:
    """A curve in the colour and stroke of its number."""
    axes.plot(
        x,
        y,
        drawstyle="steps-post" if steps else "default",
        marker="" if steps else ".",
        label=label(name),
        color=colour(number),
        linestyle=_LINES[number % len(_LINES)],
    )


def band(axes: Axes, number: int, x: ArrayLike, low: ArrayLike, high: ArrayLike, steps: bool = False) -> None:
    """The intervals of the curve of that number, as a shade behind it."""
    axes.fill_between(x, low, high, step="post" if steps else None, color=colour(number), alpha=0.15, linewidth=0)


def bars(axes: Axes, number: int, of: int, name: str, values: NDArray[np.float64]) -> None:
    """Bars with intervals, beside those of the other series.

    Args:
        number, of: which series of how many.
        values: (G, 3) value, low and high of each bar.
    """
    rates, low, high = values.T
    width = 0.8 / of
    places = np.arange(len(rates)) + (number - (of - 1) / 2) * width
    reach = np.maximum([rates - low, high - rates], 0.0)
    axes.bar(places, rates, width, yerr=reach, capsize=2, label=label(name), color=colour(number))


def colour(number: int) -> str:
    """The colour of the curve of that number."""
    return COLOURS[number % len(COLOURS)]


def label(name: str) -> str:
    """A name as matplotlib shows it: it reads formulas between dollars and leaves out labels that begin with "_"."""
    return ("\N{HAIR SPACE}" if name.startswith("_") else "") + name.replace("$", r"\$")


def ticks(axis: Axis, name: Callable[[float], str]) -> None:
    """Write the ticks of an axis by a function of one's own."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: name(value)))


def picture(
    title: str, caption: str, draw: Callable[[Axes], None], legend: Literal["best", "lower right"] = "best"
) -> Picture:
    """One pair of axes that `draw` fills."""
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    draw(axes)
    axes.legend(loc=legend)
    return Picture(title, caption, as_svg(figure, title))


def as_svg(figure: Figure, salt: str) -> str:
    """The <svg> element; `salt` keeps the ids of several in one page apart, and the same from run to run."""
    out = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the reader's browser has its own fonts
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
