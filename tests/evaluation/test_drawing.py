"""Curves of a test: intervals behind them, marks on them, a log axis where errors differ by factors."""

from collections.abc import Callable

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from nonesuch.evaluation import drawing
from nonesuch.evaluation.people import people_figures
from nonesuch.evaluation.probes import Embedded
from nonesuch.evaluation.summary import figure_sections, main_lines
from nonesuch.measures.similarity import normalised

Drawn = dict[str, Axes]


@pytest.fixture(scope="module")
def figures() -> dict:
    draws = np.random.default_rng(0)
    people = np.repeat(np.arange(60), 4)
    raw = draws.normal(size=(60, 16))[people] + 0.7 * draws.normal(size=(240, 16))
    found = Embedded(normalised(raw.astype(np.float32)), np.linalg.norm(raw, axis=1).astype(np.float32))
    return {**people_figures(people, found), "failed_to_acquire": 0, "flip": True, "sha256": ""}


@pytest.fixture
def drawn(figures: dict, monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """The axes of each picture by its title."""
    axes: Drawn = {}

    def picture(title: str, caption: str, draw: Callable[[Axes], None], legend: str = "best") -> str:
        axes[title] = Figure().subplots()
        draw(axes[title])
        return title

    monkeypatch.setattr(drawing, "picture", picture)
    with matplotlib.rc_context():
        drawing.draw_all({"e": figures})
    return axes


@pytest.mark.parametrize("title", ["ROC", "DET", "CMC", "Error versus discard"])
def test_curves_have_their_intervals(drawn: Drawn, title: str) -> None:
    assert any(isinstance(part, PolyCollection) for part in drawn[title].collections)


def test_the_curves_intervals_hold_the_curve(figures: dict) -> None:
    low, fnmr, high = (np.array(figures["curve"][key]) for key in ("fnmr_low", "fnmr", "fnmr_high"))
    assert len(low) == len(fnmr) == len(high)
    assert (low <= fnmr).mean() > 0.95
    assert (fnmr <= high).mean() > 0.95
    assert (high - low).max() > 0.02
    tar = figures["tar"]["0.001"]
    at = np.flatnonzero(np.array(figures["curve"]["fmr"]) <= 0.001)[-1]
    assert (1 - low[at], 1 - fnmr[at], 1 - high[at]) == pytest.approx((tar["high"], tar["value"], tar["low"]), abs=0.02)


def test_marks_at_the_eer_and_the_fmrs(figures: dict, drawn: Drawn) -> None:
    marks = {line.get_marker(): line.get_xydata()[0] for line in drawn["ROC"].lines if len(line.get_xydata()) == 1}
    eer = figures["eer"]["value"]
    assert marks["D"] == pytest.approx((eer, 100 * (1 - eer)))
    for mark, rate in (("o", 1e-3), ("s", 1e-4)):
        assert marks[mark] == pytest.approx((rate, 100 * figures["tar"][f"{rate:g}"]["value"]), abs=0.5)
    assert {"EER", "FMR 1e-3", "FMR 1e-4"} <= {line.get_label() for line in drawn["DET"].lines}


def test_error_versus_discard_has_a_log_axis(drawn: Drawn) -> None:
    assert drawn["Error versus discard"].get_yscale() == "log"


def test_numbers_of_comparisons_thresholds_and_the_strictest_clusters_first(figures: dict) -> None:
    cells = {line.title: line.cells[0] for part in figure_sections({"e": figures}) for line in part.lines}
    assert (cells["mated comparisons"], cells["non-mated comparisons"]) == ("360", "28,320")
    for rate in ("0.001", "0.0001"):
        threshold = figures["thresholds"][rate]
        assert cells[f"threshold at FMR 1e-{len(rate) - 2}"] == f"{threshold:.4f}"
    assert "threshold at the EER" in cells
    clusters = [title for title in cells if title.startswith("pairwise F")]
    assert clusters == ["pairwise F of clusters at FMR 1e-4", "pairwise F of clusters at FMR 1e-3"]
    assert [line.title for line in main_lines({"e": figures})][:2] == ["EER", "TAR at FMR 1e-4"]


def test_every_figure_of_a_test_is_explained(figures: dict) -> None:
    titles = ("Verification", "Identification", "Clusters of linked images")
    for part in figure_sections({"e": figures}):
        if part.title in titles:
            assert part.lines[0].meaning
