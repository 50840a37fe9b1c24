"""Tables of a test: one form of figures, and no figure that gets lost."""

import re
from pathlib import Path

import numpy as np
import pytest

from nonesuch.evaluation.benchmarks import Benchmark, pair_benchmark, people_benchmark
from nonesuch.evaluation.probes import Embedded
from nonesuch.evaluation.summary import figure_sections
from nonesuch.formats.photographs import Photograph
from nonesuch.measures.figure import UndefinedFigureError
from nonesuch.measures.similarity import normalised

PEOPLE, EACH = 10, 4
ABOUT = {"failed_to_acquire": 0, "flip": True, "sha256": ""}


@pytest.fixture
def both(tmp_path: Path) -> list[Benchmark]:
    """The same comparisons as a list, and without one."""
    names = [f"p{person}/{number}.png" for person in range(PEOPLE) for number in range(EACH)]
    photographs = [Photograph(name, name.split("/")[0], tmp_path) for name in names]
    rows = [(a, b) for a in range(len(names)) for b in range(a)]
    lines = [f"{names[a]},{names[b]},{int(a // EACH == b // EACH)},{(a + b) % 2}" for a, b in rows]
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("\n".join(["left,right,mated,fold", *lines]))
    return [pair_benchmark(photographs, pairs, None, None), people_benchmark(photographs, None)]


@pytest.fixture
def embedded() -> Embedded:
    draws = np.random.default_rng(0)
    raw = np.repeat(draws.normal(size=(PEOPLE, 16)), EACH, axis=0) + 0.5 * draws.normal(size=(PEOPLE * EACH, 16))
    return Embedded(normalised(raw.astype(np.float32)), np.linalg.norm(raw, axis=1).astype(np.float32))


def _cells(found: dict) -> dict[str, list[str]]:
    return {line.title: line.cells for part in figure_sections(found) for line in part.lines}


def test_rates_have_one_form(both: list[Benchmark], embedded: Embedded) -> None:
    of_list, of_people = ({**test.figures(embedded), **ABOUT} for test in both)
    for key in (("eer",), ("tar", "0.01")):
        one, other = of_list, of_people
        for part in key:
            one, other = one[part], other[part]
        assert one == {part: pytest.approx(figure) for part, figure in other.items()}
        assert 0.0 <= other["low"] <= other["value"] <= other["high"] <= 1.0
    assert set(of_list["accuracy"]) == {"value", "low", "high"}
    alone, between = (_cells({"e": figures}) for figures in (of_list, of_people))
    for title in ("EER", "TAR at FMR 1e-2"):
        assert alone[title] == between[title]
        assert re.fullmatch(r"[\d.]+% \([\d.]+% to [\d.]+%\)", between[title][0])


@pytest.mark.parametrize(("name", "other"), [("eer", "eerr"), ("tar", "tmr"), ("clusters", "groups of"), ("cmc", "cm")])
def test_a_renamed_figure_is_an_error(both: list[Benchmark], embedded: Embedded, name: str, other: str) -> None:
    figures = {**both[1].figures(embedded), **ABOUT}
    figures[other] = figures.pop(name)
    with pytest.raises(UndefinedFigureError, match=other):
        figure_sections({"e": figures})
