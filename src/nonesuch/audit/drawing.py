"""The audit's curves and bars as SVG, datasets side by side. Needs matplotlib (the `[report]` extra)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nonesuch.audit.figures.attributes import ATTRIBUTES_PART
from nonesuch.audit.figures.catalogue import Found
from nonesuch.audit.figures.leakage import LEAKAGE
from nonesuch.audit.figures.listed import known_part, part_of
from nonesuch.measures.balance import SHARES
from nonesuch.measures.figure import Figures, key_name, why_unknown
from nonesuch.pages.plots import SIZE, Picture, as_svg, bars, colour, label, line, picture, style

_COUNTED_AT = ("fmr 0.0001", "cosine 0.4")
_DISTRIBUTIONS = {
    "quality": "quality (0 to 100)",
    "sharpness": "variance of the Laplacian",
    "brightness": "mean luminance (0 to 255)",
    "light": "left minus right luminance",
}


def draw_all(found: Found) -> list[Picture]:
    """The pictures for which there are figures."""
    first = next(iter(found.values()))
    with style():
        pictures = []
        for embedder in first["embedders"]:
            by = {name: figures["embedders"][embedder] for name, figures in found.items()}
            pictures += [*_study(by, embedder), *_separability(by, embedder), *_leakage(by, embedder)]
        return [_attributes(found), *pictures, _balance(found), _distributions(found)]


def _known(by: Found, part: str) -> dict[str, Figures]:
    """The part of each dataset that has it."""
    parts = {name: known_part(figures, part) for name, figures in by.items()}
    return {name: found for name, found in parts.items() if found is not None}


def _study(by: Found, embedder: str) -> list[Picture]:
    known = _known(by, "study")
    if not known:
        return []

    def draw(axes: Axes) -> None:
        for number, (name, figures) in enumerate(known.items()):
            edges = np.array(figures["edges"])
            for key, kind, stroke in (("mated", "mated", "-"), ("non_mated", "non-mated", ":")):
                shares = 100 * np.array(figures[f"{key}_histogram"])
                axes.stairs(shares, edges, color=colour(number), linestyle=stroke, label=f"{label(name)}, {kind}")
        seen = np.concatenate(
            [np.flatnonzero(np.array(row["mated_histogram"]) + row["non_mated_histogram"]) for row in known.values()]
        )
        axes.set(xlabel="cosine", ylabel="comparisons of the kind (%)", ylim=(0, None))
        axes.set_xlim(edges[seen.min()], edges[seen.max() + 1])

    caption = "Scores of mated and of non-mated comparisons; the less they overlap, the purer the labels."
    return [picture(f"Mated and non-mated scores by {embedder}", caption, draw)]


def _separability(by: Found, embedder: str) -> list[Picture]:
    known = {name: found["curve"] for name, found in _known(by, "separability").items()}
    key = next((key for key in _COUNTED_AT if all(key in curve["count"] for curve in known.values())), None)
    if not known or key is None:
        return []

    def draw(axes: Axes) -> None:
        longest = max(curve["sizes"][-1] for curve in known.values())
        axes.plot([0, longest], [0, longest], color="grey", linewidth=0.6, linestyle=":")
        for number, (name, curve) in enumerate(known.items()):
            line(axes, number, name, curve["sizes"], curve["count"][key], steps=True)
        axes.set(xlabel="identities", ylabel="identities that no earlier one matches", xlim=(0, None), ylim=(0, None))

    at = key_name(key)
    caption = f"Identities whose mean embedding matches no earlier one at {at}; on the dotted line all are different."
    return [picture(f"Separable identities by {embedder}", caption, draw)]


def _leakage(by: Found, embedder: str) -> list[Picture]:
    searches = {name: found["images"] for name, found in _known(by, LEAKAGE).items()}
    known = {name: row for name, row in searches.items() if "histogram" in row}  # with a control
    if not known:
        return []

    def draw(axes: Axes) -> None:
        first, last = len(next(iter(known.values()))["histogram"]["generated"]), 0
        for number, (name, row) in enumerate(known.items()):
            edges = np.array(row["histogram"]["edges"])
            for kind, stroke in (("generated", "-"), ("control", ":")):
                shares = 100 * np.array(row["histogram"][kind])
                told = label(name) if kind == "generated" else f"{label(name)}: held-out people"
                axes.stairs(shares, edges, color=colour(number), linestyle=stroke, label=told)
                filled = np.flatnonzero(shares)
                first, last = min(first, int(filled.min())), max(last, int(filled.max()))
        axes.set(xlabel="cosine to the nearest training photograph", ylabel="images (%)", ylim=(0, None))
        axes.set_xlim(edges[first], edges[last + 1])

    caption = (
        "Cosine of each image to the nearest training photograph, beside that of photographs of people who are "
        "not in the training set. A dataset that shows training people lies to the right of the control."
    )
    return [picture(f"Leakage by {embedder}", caption, draw)]


def _attributes(found: Found) -> Picture:
    """Overall and per identity, each beside real people."""
    figure = Figure(figsize=(2 * SIZE[0], 8.5), layout="constrained")
    shares = {name: figures[ATTRIBUTES_PART]["shares"] for name, figures in found.items()}
    first = next(iter(shares.values()))
    order = sorted(first, key=lambda name: first[name]["images"]["value"])
    rows = np.arange(len(order))
    panels = figure.subplots(1, 2, sharey=True)
    for panel, kind in zip(panels, ("images", "identities"), strict=True):
        for number, (name, of_dataset) in enumerate(shares.items()):
            values, low, high = _percents([of_dataset[attribute][kind] for attribute in order])
            places = rows + 0.6 * (number - (len(shares) - 1) / 2) / len(shares)
            reach = [values - low, high - values]
            panel.errorbar(values, places, xerr=reach, fmt="o", markersize=4, color=colour(number), label=label(name))
            if kind == "identities":
                within = 100 * np.array([[of_dataset[name]["within"][key] for key in ("p5", "p95")] for name in order])
                panel.hlines(places, *within.T, color=colour(number), alpha=0.2, linewidth=5)
        if first[order[0]]["real"] is not None:
            values, low, high = _percents([first[attribute]["real"][kind] for attribute in order])
            reach = [values - low, high - values]
            panel.errorbar(values, rows, xerr=reach, fmt="D", markersize=4, color="black", label="real people")
        panel.set(xlim=(-2, 102), ylim=(-1, len(order)))
    panels[0].set_yticks(rows, [attribute.replace("_", " ") for attribute in order])
    panels[0].set_xlabel("images that show it (%)")
    panels[1].set_xlabel("identities most of whose images show it (%)")
    panels[0].legend(loc="lower right")
    caption = (
        "CelebA's attributes by the perception model, with 95% over identities. The bars on the right reach from the "
        "5% to the 95% of identities by the share of their images that show it: a short bar at the end is a look that "
        "all share."
    )
    return Picture("Attributes", caption, as_svg(figure, "attributes"), wide=True)


def _percents(figures: list[Figures]) -> NDArray[np.float64]:
    """(3, N) value, low and high in percent; the value where an interval is not known."""
    found = np.array(
        [[np.nan if part[key] is None else part[key] for key in ("value", "low", "high")] for part in figures]
    )
    return 100 * np.where(np.isnan(found), found[:, :1], found).T


def _balance(found: Found) -> Picture:
    figure = Figure(figsize=(2 * SIZE[0], 5.2), layout="constrained")
    parts = _known(found, "balance")
    for panel, (grouping, share) in zip(figure.subplots(2, 2).ravel(), SHARES.items(), strict=True):
        groups = list(dict.fromkeys(group for part in parts.values() for group in share.family(part)))
        for number, (name, part) in enumerate(parts.items()):
            bars(panel, number, len(parts), name, 100 * np.array([share.bar(part, group) for group in groups]))
        panel.set_xticks(np.arange(len(groups)), [label(group.removesuffix(" degrees")) for group in groups])
        panel.set_ylabel("images (%)")
        panel.set_title(grouping, fontsize=9)
    panel.legend()
    caption = "Shares of the images by the perception model, with 95% over identities: a model's guess from looks."
    return Picture("Who is shown", caption, as_svg(figure, "balance"), wide=True)


def _distributions(found: Found) -> Picture:
    figure = Figure(figsize=(2 * SIZE[0], 5.2), layout="constrained")
    for panel, (column, told) in zip(figure.subplots(2, 2).ravel(), _DISTRIBUTIONS.items(), strict=True):
        for number, (name, figures) in enumerate(found.items()):
            values = part_of(figures, "quality")[column]
            if why_unknown(values) is not None:
                continue
            histogram = values["histogram"]
            edges = np.array(histogram["edges"])
            density = np.array(histogram["shares"]) / np.diff(edges)
            panel.stairs(density, edges, color=colour(number), label=label(name))
        panel.set(xlabel=told, ylabel="density", ylim=(0, None))
    panel.legend()
    return Picture("How good the images are", "Distributions over the images.", as_svg(figure, "quality"), wide=True)
