"""Requirements: how they are written, which figure they mean, and that what is unknown never holds."""

import pytest

from nonesuch.audit.requirements import figure_at, parse_requirement
from nonesuch.core.errors import NonesuchError

FIGURES = {
    "study": {"eer": {"value": 0.05, "low": 0.04, "high": 0.06}, "fmr100": 0.1},
    "embedders": {"a": {"separable": 90, "mean": 0.3}, "b": {"separable": 95, "mean": 0.4}},
    "complete": True,
    "names": ["x"],
    "missing": None,
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("eer<=0.1", True),
        ("eer < .05", False),
        ("study/fmr100>=0.1", True),
        ("a/separable>90", False),
        ("embedders/b/separable == 95", True),
        ("complete==1", True),
    ],
)
def test_what_is_required(text: str, holds: bool) -> None:
    wish = parse_requirement(text)
    assert wish.holds(figure_at(FIGURES, wish.path)) is holds


@pytest.mark.parametrize(
    "text", ["eer", "eer<=", "<=0.1", "eer=0.1", "eer<=low", "eer<=nan", "eer<=1e999", "a<b<1", ""]
)
def test_what_cannot_be_read(text: str) -> None:
    with pytest.raises(NonesuchError, match="write it as"):
        parse_requirement(text)


def test_figures_that_are_not_there_or_several() -> None:
    with pytest.raises(NonesuchError, match="no figure 'fmr'; it has fmr100"):
        figure_at(FIGURES, "fmr")
    with pytest.raises(NonesuchError, match="embedders/a/separable, embedders/b/separable"):
        figure_at(FIGURES, "separable")
    for name in ("missing", "names", "low"):
        with pytest.raises(NonesuchError, match="no figure"):
            figure_at(FIGURES, name)


def test_what_is_unknown_never_holds() -> None:
    for comparison in ("<=", ">=", "<", ">", "=="):
        assert not parse_requirement(f"eer{comparison}0").holds(float("nan"))
