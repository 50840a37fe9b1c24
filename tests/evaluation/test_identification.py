"""Identification and groups against brute force."""

import numpy as np
import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.evaluation.identification import cumulative_match, open_set, rank_figures, search
from nonesuch.measures.fairness import fairness
from nonesuch.measures.figure import plain
from nonesuch.measures.similarity import normalised


def _unit(draws: np.random.Generator, *shape: int) -> np.ndarray:
    return normalised(draws.normal(size=shape).astype(np.float32))


def test_ranks_by_brute_force() -> None:
    draws = np.random.default_rng(0)
    gallery, people = _unit(draws, 40, 6), draws.integers(0, 15, 40)
    probes, own = _unit(draws, 60, 6), draws.integers(0, 20, 60)
    found = search(gallery, people, probes, own)
    for row in range(60):
        best = {person: (probes[row] @ gallery[people == person].T).max() for person in set(people.tolist())}
        others = [value for person, value in best.items() if person != own[row]]
        assert found.other[row] == pytest.approx(max(others), abs=1e-6)
        if own[row] not in best:
            assert found.rank[row] == 0
            continue
        assert found.own[row] == pytest.approx(best[own[row]], abs=1e-6)
        assert found.rank[row] == 1 + sum(value >= best[own[row]] for value in others)
    known = found.rank > 0
    assert cumulative_match(found.rank, (1, 3)) == {
        k: pytest.approx(np.mean([1 <= rank <= k for rank in found.rank[known]])) for k in (1, 3)
    }
    for fpir, tpir in open_set(found, own, (0.0, 0.3)).items():
        tried = [np.inf, *found.other[~known], -np.inf]
        allowed = [cut for cut in tried if np.mean(found.other[~known] > cut) <= fpir]
        right = (found.rank[known] == 1) & (found.own[known] > min(allowed))
        assert tpir.value == pytest.approx(right.mean())


def test_intervals_hold_the_truth() -> None:
    """95% intervals over people of rank 1 and TPIR hold the value of many people in most of 40 small draws."""

    def draw(people: int, seed: int) -> tuple[dict, dict]:
        draws = np.random.default_rng(seed)
        centres = _unit(draws, 2 * people, 16)
        own = np.repeat(np.arange(2 * people), 3)
        ease = np.repeat(draws.uniform(0.5, 1.5, 2 * people), 3)[:, None]  # of a person: their probes depend
        probes = normalised(ease * centres[own] + 0.45 * draws.normal(size=(6 * people, 16)).astype(np.float32))
        found = search(centres[:people], np.arange(people), probes.astype(np.float32), own)
        return rank_figures(found.rank, (1,), own)["rank"]["1"], plain(open_set(found, own, (0.1,))[0.1])

    truth = [draw(60, 1000 + seed) for seed in range(40)]
    for kind in range(2):
        mean = np.mean([one[kind]["value"] for one in truth])
        held = [one[kind]["low"] <= mean <= one[kind]["high"] for one in truth]
        assert np.mean(held) >= 0.8
        widths = [one[kind]["high"] - one[kind]["low"] for one in truth]
        assert 0.01 < np.mean(widths) < 0.4


def test_searches_that_cannot_be() -> None:
    draws = np.random.default_rng(0)
    with pytest.raises(NonesuchError, match="one of them is empty"):
        search(_unit(draws, 0, 4), np.zeros(0, int), _unit(draws, 2, 4), np.zeros(2, int))
    found = search(_unit(draws, 3, 4), np.arange(3), _unit(draws, 2, 4), np.array([7, 8]))
    with pytest.raises(NonesuchError, match="none of the probes"):
        cumulative_match(found.rank)
    with pytest.raises(NonesuchError, match="inside and outside"):
        open_set(found, np.array([7, 8]))
    with pytest.raises(NonesuchError, match="NaN"):
        search(np.full((1, 4), np.nan, np.float32), np.zeros(1, int), _unit(draws, 1, 4), np.zeros(1, int))


def test_groups_by_hand() -> None:
    scores = np.array([0.9, 0.4, 0.1, 0.6, 0.9, 0.8, 0.2, 0.1])
    mated = np.array([True, True, False, False] * 2)
    groups = np.array(["a"] * 4 + ["b"] * 4)
    left, right = np.array([0, 1, 0, 1, 4, 5, 4, 5]), np.array([0, 1, 2, 3, 4, 5, 6, 7])
    found = fairness(scores, mated, groups, 0.5, left, right)
    rates = [(group.fmr, group.fnmr, group.accuracy) for group in found.groups.values()]
    assert [tuple(rate.value for rate in of_group if rate) for of_group in rates] == [(0.5, 0.5, 0.5), (0.0, 0.0, 1.0)]
    assert (found.mean.value, found.deviation.value, found.trade_off.value) == (0.75, 0.25, 0.5)
    assert found.skewed_error_ratio.value == np.inf
    # At 0.85 group a has one error in four, b one.
    assert fairness(scores, mated, groups, 0.85, left, right).skewed_error_ratio.value == 1.0
    with pytest.raises(NonesuchError, match="at least two"):
        fairness(scores, mated, np.array(["a"] * 8), 0.5, left, right)


def test_groups_without_an_error_are_not_without_doubt() -> None:
    """No error of 60 people: up to 3/30 of each group, and nothing bounds how many times more the one may have."""
    people = np.repeat(np.arange(60), 2)
    found = fairness(np.ones(120), np.ones(120, dtype=bool), np.array(["a", "b"])[people % 2], 0.5, people, people)
    for group in found.groups.values():
        assert group.fnmr is not None
        assert (group.fnmr.value, group.fnmr.low, group.fnmr.high) == (0.0, 0.0, pytest.approx(0.1))
    ratio = found.skewed_error_ratio
    assert (ratio.value, ratio.low, ratio.high) == (1.0, 1.0, np.inf)


def test_intervals_of_groups_hold_what_new_people_show() -> None:
    """Of 200 sets of people, whose true FNMR is known, about 95% have it in their interval."""
    draws = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        people = np.repeat(np.arange(40), 3)  # three comparisons of a person, all right or nearly all wrong
        bad = draws.random(40) < 0.3
        scores = np.where(bad[people], draws.random(120) < 0.2, draws.random(120) < 0.9).astype(float)
        groups = np.array(["a", "b"])[people % 2]
        found = fairness(scores, np.ones(120, dtype=bool), groups, 0.5, people, people)
        rate = found.groups["a"].fnmr
        assert rate is not None
        held += rate.low <= 0.3 * 0.8 + 0.7 * 0.1 <= rate.high
    assert 0.88 <= held / 200 <= 0.99
