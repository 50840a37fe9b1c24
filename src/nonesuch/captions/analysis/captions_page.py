"""One HTML page about captions, which opens offline. Needs jinja2 and matplotlib (the `[report]` extra)."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from nonesuch.captions.analysis.caption_lines import figure_sections
from nonesuch.captions.analysis.report_captions import CaptionFigures
from nonesuch.pages import plots
from nonesuch.pages.page import write_page

_PAGE = Path(__file__).with_name("captions.html.jinja")


def write_captions_page(path: Path, figures: Sequence[CaptionFigures]) -> None:
    """Write the page: figures side by side, the curves of different runs of four words, what is stated how often.

    Raises:
        NonesuchError: the disk is full or the place cannot be written.
    """

    def curves(axes: Axes, column: int) -> None:
        for number, one in enumerate(figures):
            axis = [point[0] for point in one.growth]
            plots.line(axes, number, one.name, axis, [max(point[column], 1) for point in one.growth])
        axes.set(xscale="log", yscale="log", xlabel="captions", ylabel="runs of four words")

    with plots.style():
        pictures = [
            plots.picture(
                "Different runs of four words",
                "As captions are added; a curve that flattens says the same again and again.",
                lambda axes: curves(axes, 1),
            ),
            plots.picture(
                "Runs of four words that occur once",
                "The same, of runs that no other caption has.",
                lambda axes: curves(axes, 2),
            ),
        ]
    write_page(
        path,
        _PAGE,
        title="Captions",
        about=", ".join(f"{one.name}: {one.text.texts:,} captions of {one.images:,} images" for one in figures),
        sources=[one.name for one in figures],
        sections=figure_sections(figures),
        pictures=pictures,
    )
