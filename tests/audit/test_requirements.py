"""Requirements: how they are written, which figure they mean, and that what is unknown never holds."""

import numpy as np
import pytest

from nonesuch.audit.requirements import figures_at, parse_requirement
from nonesuch.core.errors import NonesuchError

FIGURES = {
    "datasets": {
        "faces": {
            "images": 20,
            "embedders": {
                "a": {"study": {"eer": {"value": 0.05, "low": 0.04, "high": 0.06}, "fmr100": None}, "mean": 0.3},
                "b": {"study": {"eer": {"value": 0.08, "low": 0.04, "high": 0.09}, "fmr100": 0.2}, "mean": 0.4},
            },
            "quality": {"mean": 50, "complete": True},
        }
    },
    "names": ["x"],
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("eer<=0.1", True),
        ("eer <= .06", False),
        ("a/study/eer <= .06", True),
        ("b/mean>=0.4", True),
        ("quality/mean == 50", True),
        ("images>20", False),
        ("complete==1", True),
        ("fmr100<1", False),
    ],
)
def test_what_is_required(text: str, holds: bool) -> None:
    wish = parse_requirement(text)
    assert all(wish.holds(value) for value in figures_at(FIGURES, wish.path).values()) is holds


def test_a_figure_of_every_embedder_is_meant() -> None:
    assert figures_at(FIGURES, "eer") == {
        "datasets/faces/embedders/a/study/eer": 0.05,
        "datasets/faces/embedders/b/study/eer": 0.08,
    }


@pytest.mark.parametrize(
    "text", ["eer", "eer<=", "<=0.1", "eer=0.1", "eer<=low", "eer<=nan", "eer<=1e999", "a<b<1", ""]
)
def test_what_cannot_be_read(text: str) -> None:
    with pytest.raises(NonesuchError, match="write it as"):
        parse_requirement(text)


def test_a_dataset_without_the_figure_does_not_meet_it() -> None:
    figures = {"datasets": {**FIGURES["datasets"], "singles": {"images": 3, "embedders": {"a": {"study": {}}}}}}
    found = figures_at(figures, "eer")
    assert np.isnan(found.pop("singles/a/eer"))
    assert len(found) == 2
    assert len(figures_at(figures, "faces/embedders/a/study/eer")) == 1
    assert len(figures_at(figures, "images")) == 2


def test_figures_that_are_not_there_or_several() -> None:
    with pytest.raises(NonesuchError, match="no figure 'fmr'; it has fmr100"):
        figures_at(FIGURES, "fmr")
    with pytest.raises(NonesuchError, match="'mean' may mean mean, quality/mean; name more"):
        figures_at(FIGURES, "mean")
    for name in ("names", "low", "faces"):
        with pytest.raises(NonesuchError, match="no figure"):
            figures_at(FIGURES, name)


def test_what_is_unknown_never_holds() -> None:
    for comparison in ("<=", ">=", "<", ">", "=="):
        assert not parse_requirement(f"eer{comparison}0").holds(float("nan"))
