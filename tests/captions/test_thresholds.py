"""Thresholds keep statements that are right, and only on enough evidence."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nonesuch import load_perceiver
from nonesuch.captions.facts import NAMES
from nonesuch.captions.thresholds import LEAST, PRECISIONS, SHIPPED, measured, read_thresholds, threshold, truths
from nonesuch.core.errors import NonesuchError


def _brute(scores: np.ndarray, true: np.ndarray, precision: float) -> float | None:
    """The same by trying every score, with Wilson's bound written as the smaller root of its equation.

    Where the odds of the fact are two thirds of those here, two right statements are made for three here."""
    fitting = []
    for least in np.unique(scores):
        kept = true[scores >= least]
        n, share, z = len(kept), kept.mean(), 1.6449
        a, b, c = 1 + z * z / n, -(2 * share + z * z / n), share * share
        root = (-b - math.sqrt(b * b - 4 * a * c)) / (2 * a)
        if n >= 20 and 2 * root / (2 * root + 3 * (1 - root)) >= precision:
            fitting.append(float(least))
    return min(fitting, default=None)


@pytest.mark.parametrize("seed", range(6))
def test_it_is_the_lowest_score_that_reaches_the_precision(seed: int) -> None:
    draws = np.random.default_rng(seed)
    scores = np.round(draws.random(400), 2 + seed % 2)  # with scores that are equal
    true = draws.random(400) < scores ** (0.2 if seed % 3 else 3)
    for precision in map(float, PRECISIONS):
        assert threshold(scores, true, precision) == _brute(scores, true, precision)


def test_a_few_lucky_statements_are_not_enough() -> None:
    scores = np.linspace(1, 0, LEAST - 1)
    assert threshold(scores, np.ones(LEAST - 1, dtype=bool), 0.5) is None
    assert threshold(np.array([]), np.array([], dtype=bool), 0.5) is None
    assert threshold(np.linspace(1, 0, 40), np.ones(40, dtype=bool), 0.9) == 0.0
    assert threshold(np.linspace(1, 0, 40), np.ones(40, dtype=bool), 0.95) is None


def test_what_is_kept_is_right_where_the_fact_is_rarer_too() -> None:
    """Photographs of which a third of those that show the fact are missing: the heads see the others as before."""
    draws = np.random.default_rng(0)
    true = draws.random(60_000) < 0.5
    scores = draws.normal(np.where(true, 1.0, -1.0), 1.0)
    lowest = threshold(scores, true, 0.9)
    assert lowest is not None
    stays = ~true | (draws.random(60_000) < 2 / 3)
    kept = stays & (scores >= lowest)
    assert 0.9 <= true[kept].mean() < 0.92


def test_facts_may_be_denied_where_that_is_right_but_never_above_one_half() -> None:
    draws = np.random.default_rng(0)
    scores = np.full((4000, len(NAMES)), np.nan)
    truth = {}
    for name, share in (("smiling", 0.5), ("wearing_hat", 0.02)):
        values = draws.random(4000)
        scores[:, NAMES.index(name)] = values
        truth[name] = (draws.random(4000) < 2 * share * values).astype(float)
    found = measured(scores, truth, "abc", "").most["0.9"]
    assert set(found) == {"smiling", "wearing_hat"}
    denied = scores[:, NAMES.index("smiling")] <= found["smiling"]
    assert 0.9 < 1 - truth["smiling"][denied].mean() < 0.97
    assert found["wearing_hat"] == 0.5  # hats are so rare that at any score most wear none


def test_truths_of_columns() -> None:
    found = truths({"smiling": np.array([1, 0, np.nan]), "yaw": np.array([-20.0, 3.0, 12.0])}, 3)
    by_name = dict(zip(NAMES, found.T.tolist(), strict=True))
    assert by_name["smiling"][:2] == [1, 0]
    assert by_name["not_smiling"][:2] == [0, 1]
    assert math.isnan(by_name["not_smiling"][2])
    assert by_name["turned_left"] == [1, 0, 0]
    assert by_name["facing_camera"] == [0, 1, 0]
    assert math.isnan(by_name["bald"][0])


def test_beards_are_judged_on_men() -> None:
    draws = np.random.default_rng(0)
    man = draws.random(2000) < 0.3
    beardless = ~man | (draws.random(2000) < 0.5)
    scores = np.full((2000, len(NAMES)), np.nan)
    for name, values in (("male", man), ("female", ~man), ("no_beard", np.where(man, draws.random(2000), 1.0))):
        scores[:, NAMES.index(name)] = values
    truth = {"male": man.astype(float), "no_beard": beardless.astype(float)}
    found = measured(scores, truth, "abc", "").at("0.9")
    assert {"male", "female"} <= set(found)
    assert (
        "no_beard" not in found
    )  # of men the score tells nothing; with the women 85% would be right from any score on


def test_what_ships_is_for_the_heads_that_ship() -> None:
    found = read_thresholds(SHIPPED, load_perceiver(device="cpu").card.sha256)
    assert {"male", "smiling", "eyeglasses"} <= set(found.at("0.9"))
    for looser, stricter in pairwise(PRECISIONS):
        assert set(found.at(stricter)) <= set(found.at(looser))
        assert all(found.at(stricter)[name] >= found.at(looser)[name] for name in found.at(stricter))


def test_a_file_for_other_heads_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "thresholds.json"
    measured(np.zeros((30, len(NAMES))), {}, "abc", "nothing").write(place)
    assert read_thresholds(place, "abc").at("0.9") == {}
    with pytest.raises(NonesuchError, match="for other perception heads"):
        read_thresholds(place, "def")
    place.write_text(place.read_text().replace('"0.98": {}', '"0.98": {"clever": 0.5}'))
    with pytest.raises(NonesuchError, match="unknown facts clever"):
        read_thresholds(place, "abc")
    place.write_text("{}")
    with pytest.raises(NonesuchError, match="lacks perceiver"):
        read_thresholds(place, "abc")
