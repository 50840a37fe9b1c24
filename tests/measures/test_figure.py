"""Figures know how they are written; what was not measured differs from what is not defined."""

import math

import pytest

from nonesuch.measures.figure import (
    COSINE,
    COUNT,
    DEGREES,
    NUMBER,
    SHARE,
    Figure,
    Measure,
    NotMeasuredError,
    UndefinedFigureError,
    Unit,
    plain,
)

EER = Measure("eer", "EER", SHARE)
AT = Measure("at/*/share", "separable at {}", SHARE, count="count")
PART = {
    "eer": {"value": 0.05, "low": 0.04, "high": None},
    "mean": 0.5,
    "spread": 0.25,
    "distance": None,
    "at": {"fmr 0.1": {"count": 1200, "share": {"value": 0.5, "low": 0.25, "high": 0.75}}},
}


@pytest.mark.parametrize(
    ("unit", "figure", "written"),
    [
        (SHARE, Figure(0.617, 0.567, 0.783), "61.70% (56.70% to 78.30%)"),
        (SHARE, Figure(0.5), "50.00%"),
        (SHARE, Figure(1.0, 0.00012344, 0.0), "100.0% (0.01234% to 0%)"),
        (DEGREES, Figure(8.12, 7.44, 8.97), "8.120 degrees (7.440 to 8.970)"),
        (COSINE, Figure(0.5), "0.5000"),
        (COUNT, Figure(12345.0), "12,345"),
        (NUMBER, Figure(2854.366, 0.01234, 3.0), "2,854 (0.01234 to 3.000)"),
        (NUMBER, Figure(0.00001234567, -12345.6, 0.99996), "1.235e-05 (-12,346 to 1.000)"),
        (Unit(infinite="infinite"), Figure(math.nan, 1.5, math.nan), "infinite (1.500 to infinite)"),
    ],
)
def test_how_figures_are_written(unit: Unit, figure: Figure, written: str) -> None:
    assert unit.written(figure) == written


def test_what_is_told_beside_a_figure() -> None:
    assert AT.family(PART) == ["fmr 0.1"]
    assert AT.told(PART, "fmr 0.1") == "1,200, 50.00% (25.00% to 75.00%)"
    assert Measure("mean", "", COSINE, interval=False, deviation="spread").told(PART) == "0.5000 (0.2500)"


def test_a_name_that_nobody_defines_is_an_error() -> None:
    with pytest.raises(UndefinedFigureError, match="no figure is called eerr; there are eer, mean"):
        Measure("eerr", "", SHARE).cell(PART)
    for key in ("at/*/shares", "eer/value/low", "families/*"):
        with pytest.raises(UndefinedFigureError):
            Measure(key, "", SHARE).cell(PART, "fmr 0.1")
    with pytest.raises(UndefinedFigureError):
        Measure("families/*", "", SHARE).family(PART)


def test_a_figure_in_another_form_is_an_error() -> None:
    for measure in (Measure("mean", "", SHARE), Measure("eer", "", SHARE, interval=False)):
        with pytest.raises(UndefinedFigureError, match="an interval"):
            measure.read(PART)


def test_what_was_not_measured_says_why() -> None:
    with pytest.raises(NotMeasuredError, match="needs two"):
        EER.read({"unknown": "consistency needs two"})
    with pytest.raises(NotMeasuredError, match="no target"):
        Measure("distance", "", SHARE, null="no target").read(PART)
    with pytest.raises(NotMeasuredError, match="at fmr 7"):
        AT.read(PART, "fmr 7")
    assert EER.bar({"unknown": "few"}) == (0.0, 0.0, 0.0)
    assert EER.bar(PART) == (0.05, 0.04, 0.0)
    assert EER.cell({"unknown": "few"}) == AT.cell(PART, "fmr 7") == "-"


def test_figures_as_json_holds_them() -> None:
    assert plain({1: [Figure(0.5, math.nan, math.inf)]}) == {"1": [{"value": 0.5, "low": None, "high": None}]}
