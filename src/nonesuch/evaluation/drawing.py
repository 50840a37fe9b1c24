"""Curves as SVG, several embedders in one picture. Needs matplotlib (the `[report]` extra)."""

from statistics import NormalDist

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from nonesuch.evaluation.summary import Found
from nonesuch.measures.metrics import FMR, FNMR
from nonesuch.pages.plots import COLOURS, SIZE, Picture, as_svg, bars, label, line, picture, style

_DET_TICKS = (1e-6, 1e-5, 1e-4, 1e-3, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4)
_UNSEEN = 1e-9  # stands for a rate of 0 where an axis has no 0


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
            fmr, fnmr = (np.array(row["curve"][key]) for key in ("fmr", "fnmr"))
            lowest = min(lowest, 100 * (1 - fnmr[fmr <= finest].min()))
            line(axes, number, name, fmr.clip(_UNSEEN), 100 * (1 - fnmr), steps=True)
        axes.set(xscale="log", xlim=(finest, 1), ylim=_up_to_100(lowest), xlabel="FMR", ylabel="TAR (%)")

    caption = "True match rate by false match rate, from the lowest rate that the comparisons resolve."
    return picture("ROC", caption, draw, "lower right")


def _det(found: Found) -> Picture:
    def draw(axes: Axes) -> None:
        lows = (_finest(found, "non_mated"), _finest(found, "mated"))
        for number, (name, row) in enumerate(found.items()):
            fmr, fnmr = (np.array(row["curve"][key]).clip(_UNSEEN, 1 - _UNSEEN) for key in ("fmr", "fnmr"))
            line(axes, number, name, probit(fmr), probit(fnmr), steps=True)
        axes.plot(probit([_UNSEEN, 0.5]), probit([_UNSEEN, 0.5]), color="grey", linewidth=0.6, linestyle=":")
        for axis, low in zip((axes.xaxis, axes.yaxis), lows, strict=True):
            ticks = [tick for tick in _DET_TICKS if low <= tick]
            axis.set_ticks(probit(ticks), [f"{100 * tick:g}" for tick in ticks])
        (x, y), high = probit(lows), float(probit(0.55))
        axes.set(xlim=(x, high), ylim=(y, high), xlabel="FMR (%)", ylabel="FNMR (%)")

    caption = "Error trade-off on normal-deviate axes. Lower left is better; the dotted line crosses at the EER."
    return picture("DET", caption, draw)


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
        for number, (name, row) in enumerate(found.items()):
            ranks = np.arange(1, len(row["cmc"]) + 1)
            line(axes, number, name, ranks, 100 * np.array(row["cmc"]))
        lowest = 100 * min(row["cmc"][0] for row in found.values())
        axes.set(xlabel="rank", ylabel="found within it (%)", xticks=[1, 5, 10, 15, 20], ylim=_up_to_100(lowest))

    return picture("CMC", "Share of searches that find their person among the first candidates.", draw, "lower right")


def _discard(found: Found) -> Picture:
    def draw(axes: Axes) -> None:
        for number, (name, row) in enumerate(found.items()):
            if curve := row.get("discard"):
                shares, rates = (100 * np.array(curve[key], dtype=np.float64) for key in ("discarded", "fnmr"))
                line(axes, number, f"{name}, FMR {curve['fmr']:g}", shares, rates)
        axes.set(xlabel="images left out, smallest embedding norm first (%)", ylabel="FNMR (%)", ylim=(0, None))

    caption = "FNMR at a fixed threshold. It falls where the length of the raw embedding measures an image's quality."
    return picture("Error versus discard", caption, draw)


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
