"""The list of figures: all are where it says, and a new one takes a measure and an entry."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from nonesuch.audit.figures import catalogue
from nonesuch.audit.figures.catalogue import IDENTITY_FIGURES, IMAGE_FIGURES, measured_by_embedder
from nonesuch.audit.figures.identities import separability_figures
from nonesuch.audit.figures.leakage import LEAKAGE
from nonesuch.audit.figures.listed import Listed, known_part
from nonesuch.audit.figures.view import EmbedderView
from nonesuch.audit.looking import Seen
from nonesuch.audit.requirements import figures_at
from nonesuch.audit.summary import tables
from nonesuch.audit.verdict import verdict
from nonesuch.formats.photographs import Photograph
from nonesuch.measures.balance import DISTANCES, SHARES
from nonesuch.measures.consistency import consistency
from nonesuch.measures.diversity import SPREADS
from nonesuch.measures.figure import (
    SHARE,
    UNKNOWN,
    Better,
    Bounds,
    Measure,
    NotMeasuredError,
    UndefinedFigureError,
    plain,
)
from nonesuch.measures.intervals import mean_over_identities
from nonesuch.measures.leakage import EXCESSES, TELLING
from nonesuch.measures.scores import FMR100, FMR1000

PEOPLE, EACH = 12, 4
LONG = Measure(
    "long", "long embeddings", SHARE, Better.HIGHER, bounds=Bounds("embeddings are long", 0.9, 0.5, "green from 90%")
)


@pytest.fixture
def view() -> EmbedderView:
    draws = np.random.default_rng(0)
    labels = np.repeat(np.arange(PEOPLE), EACH)
    vectors = (draws.normal(size=(PEOPLE, 16))[labels] + 0.3 * draws.normal(size=(len(labels), 16))).astype(np.float32)
    photographs = [Photograph(f"{label}/{row}.png", str(label), Path()) for row, label in enumerate(labels)]
    seen = Seen(photographs, labels, [str(label) for label in range(PEOPLE)], {"e": vectors}, {}, [], 0)
    return EmbedderView(seen, "e", {"fmr 0.001": 0.6, "fmr 0.0001": 0.7}, consistency(vectors, labels))


def _identities(view: EmbedderView) -> dict:
    return {"e": plain(measured_by_embedder(view))}


def test_every_figure_of_identities_is_where_the_list_says(view: EmbedderView) -> None:
    by = _identities(view)["e"]
    for item in IDENTITY_FIGURES:
        if not isinstance(by[item.part].get(UNKNOWN), str) and item.measure not in (FMR100, FMR1000):
            assert item.family(by)
            assert all(item.told(by, key) for key in item.family(by))


@pytest.mark.parametrize("family", [DISTANCES, SHARES, SPREADS, EXCESSES, TELLING])
def test_figures_of_a_family_are_called_after_their_part(family: dict[str, Measure]) -> None:
    assert [measure.key.partition("/")[0] for measure in family.values()] == list(family)


@pytest.mark.parametrize("path", [("study", "eer"), ("consistency", "at"), ("diversity",), (LEAKAGE,), ("realism",)])
def test_a_renamed_figure_is_no_dash_and_no_grey_light(view: EmbedderView, path: tuple[str, ...]) -> None:
    found = {"embedders": _identities(view), "counts": {"found": 1, "left_out": 0, "lost_identities": 0}}
    part = found["embedders"]["e"]
    for key in path[:-1]:
        part = part[key]
    part["renamed"] = part.pop(path[-1])
    for reader in (lambda: tables({"d": found}), lambda: verdict(found)):
        with pytest.raises(UndefinedFigureError):
            reader()


def test_a_part_that_was_not_measured_and_one_that_nobody_defines(view: EmbedderView) -> None:
    by = _identities(view)["e"]
    assert known_part(by, "study") == by["study"]
    assert known_part({**by, "study": {UNKNOWN: "few"}}, "study") is None
    assert known_part(by, LEAKAGE) is None
    with pytest.raises(UndefinedFigureError, match="no part studies; it has separability"):
        known_part(by, "studies")
    excess = next(item for item in IDENTITY_FIGURES if item.part == "leakage")
    with pytest.raises(NotMeasuredError, match="--against"):
        excess.read(by)


def test_everybody_twice_is_no_green_light() -> None:
    """Two identities of each person, each of four variants of one photograph, as an embedder sees them whose strangers
    lie as its card says; and the same without a card's thresholds."""
    draws = np.random.default_rng(0)
    photographs = draws.normal(size=(60, 1, 64)) + 0.5 * draws.normal(size=(60, 2, 64))
    labels = np.repeat(np.arange(120), 4)
    vectors = (photographs.reshape(-1, 64)[labels] + 0.05 * draws.normal(size=(480, 64))).astype(np.float32)
    seen = Seen([], labels, [str(label) for label in range(120)], {"e": vectors}, {}, [], 0)
    card = {"fmr 0.001": 0.375, "fmr 0.0001": 0.45, "fmr 1e-05": 0.51}
    for thresholds, share in ((card, 1.0), ({}, None)):
        view = EmbedderView(seen, "e", thresholds, consistency(vectors, labels))
        assert plain(separability_figures(view))["twice"]["share"]["value"] == share


@pytest.mark.parametrize("twins", [0, 12])
def test_strangers_whom_an_embedder_confuses_are_not_one_person(twins: int) -> None:
    """An embedder without a card whose strangers are often as alike as some people's halves; a tenth of the people has
    images that hardly agree."""
    draws = np.random.default_rng(0)
    labels = np.repeat(np.arange(600), 6)
    people = 0.8 + draws.normal(size=(600, 20))
    people[:twins] = people[twins : 2 * twins]
    noise = np.where(np.arange(600) % 10 == 9, 1.6, 0.4)[labels, None]
    vectors = (people[labels] + noise * draws.normal(size=(3600, 20))).astype(np.float32)
    seen = Seen([], labels, [str(label) for label in range(600)], {"e": vectors}, {}, [], 0)
    view = EmbedderView(seen, "e", {}, consistency(vectors, labels))
    found = separability_figures(view)["twice"]["identities"]
    assert (found or 0) == pytest.approx(2 * twins, abs=4)  # some are among the hard ones


def test_a_collapsed_set_is_one_person() -> None:
    draws = np.random.default_rng(0)
    labels = np.repeat(np.arange(200), 6)
    vectors = (10 + draws.normal(size=(1200, 20))).astype(np.float32)
    seen = Seen([], labels, [str(label) for label in range(200)], {"e": vectors}, {}, [], 0)
    view = EmbedderView(seen, "e", {}, consistency(vectors, labels))
    assert separability_figures(view)["twice"]["identities"] > 190


def test_a_new_figure_takes_a_measure_and_an_entry(view: EmbedderView, monkeypatch: pytest.MonkeyPatch) -> None:
    def long_figures(view: EmbedderView) -> dict:
        return {"long": mean_over_identities(np.linalg.norm(view.vectors, axis=1) > 1.0, view.seen.identities)}

    monkeypatch.setitem(catalogue.BY_EMBEDDER, "length", long_figures)
    monkeypatch.setattr(catalogue, "IDENTITY_FIGURES", (*IDENTITY_FIGURES, Listed("length", LONG)))
    monkeypatch.setattr(catalogue, "IMAGE_FIGURES", IMAGE_FIGURES[:0])
    found = {"embedders": _identities(view)}
    written = json.loads(json.dumps(found))
    assert written["embedders"]["e"]["length"]["long"] == {"value": 1.0, "low": 0.75, "high": 1.0}
    lines = [line for part in tables({"d": found})[0][1] for line in part.lines]
    assert ("long embeddings", ["100.0% (75.00% to 100.0%)"]) in [(line.title, line.cells) for line in lines]
    by = {
        "counts": {"found": 1, "left_out": 0, "lost_identities": 0},
        "balance": {"gender": {"shares": {}, "distance": None}},
    }
    light = next(light for light in verdict({**copy.deepcopy(found), **by}) if light.about == "embeddings are long")
    told = "100.0% (75.00% to 100.0%); cannot tell: 3 times as many identities would"
    assert (light.by, light.colour, light.told) == ("e", "amber", told)
    assert figures_at({"datasets": {"d": found}}, "long") == {"datasets/d/embedders/e/length/long": 1.0}
