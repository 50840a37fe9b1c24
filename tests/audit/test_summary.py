"""The page of an audit: the worst first, figures with their meaning, rates by their usual names, no false alarm."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nonesuch.audit.figures.catalogue import IDENTITY_FIGURES, IMAGE_FIGURES
from nonesuch.audit.figures.identities import separability_figures
from nonesuch.audit.figures.view import EmbedderView
from nonesuch.audit.looking import Seen
from nonesuch.audit.summary import worst_first
from nonesuch.formats.photographs import Photograph
from nonesuch.measures.consistency import consistency
from nonesuch.measures.figure import key_name, rate_name
from nonesuch.pages.sections import Line, section


def test_the_worst_light_comes_first() -> None:
    lights = [
        {"colour": colour, "about": str(at)} for at, colour in enumerate(("green", "grey", "red", "amber", "red"))
    ]
    assert [light["about"] for light in worst_first(lights)] == ["2", "4", "3", "1", "0"]


@pytest.mark.parametrize("item", [*IDENTITY_FIGURES, *IMAGE_FIGURES], ids=lambda item: item.title())
def test_every_figure_is_explained(item: object) -> None:
    assert item.measure.meaning  # type: ignore[attr-defined]


def test_rates_have_one_name() -> None:
    names = {"fmr 0.0001": "FMR 1e-4", "fmr 1e-05": "FMR 1e-5", "0.001": "1e-3", "control 0.01": "1% of the control"}
    names |= {"cosine 0.4": "cosine 0.4", "10": "10", "1": "1", "0.05": "0.05", "x": "x"}
    assert {key: key_name(key) for key in names} == names
    assert rate_name(1e-4) == "1e-4"


def test_a_meaning_is_told_once() -> None:
    lines = [Line("a", ["1"], "what it is"), Line("b", ["2"], "what it is"), Line("c", ["3"], "another")]
    assert [line.meaning for line in section("", lines).lines] == ["what it is", "", "another"]


@pytest.fixture
def view() -> EmbedderView:
    """Twelve people of four images each."""
    draws = np.random.default_rng(0)
    labels = np.repeat(np.arange(12), 4)
    vectors = (draws.normal(size=(12, 32))[labels] + 0.3 * draws.normal(size=(48, 32))).astype(np.float32)
    photographs = [Photograph(f"{label}/{row}.png", str(label), Path()) for row, label in enumerate(labels)]
    seen = Seen(photographs, labels, [str(label) for label in range(12)], {"e": vectors}, {}, [], 0)
    return EmbedderView(seen, "e", {"fmr 0.001": 0.5}, consistency(vectors, labels))


def test_no_threshold_that_all_strangers_exceed(view: EmbedderView) -> None:
    """An embedder whose strangers' cosines are around .84 is not judged by the .4 of another."""
    assert set(separability_figures(view)["at"]) == {"cosine 0.4", "fmr 0.001"}
    assert set(separability_figures(replace(view, thresholds={}))["at"]) == {"cosine 0.4"}
    squeezed = (
        view.vectors / np.linalg.norm(view.vectors, axis=1, keepdims=True) + 2.3 * np.eye(32, dtype=np.float32)[0]
    )
    other = replace(view, seen=replace(view.seen, vectors={"e": squeezed}), thresholds={"fmr 0.001": 0.93})
    assert set(separability_figures(other)["at"]) == {"fmr 0.001"}
    assert separability_figures(replace(other, thresholds={}))["at"] == {}
