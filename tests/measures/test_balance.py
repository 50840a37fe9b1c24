"""Shares of groups by hand, and skewed sets that differ from even ones."""

import numpy as np
import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.measures.balance import balance, joint_table


def test_shares_by_hand() -> None:
    groups = ["a", "a", "b", None, "a", "c", "b", "a"]
    found = balance(groups, np.arange(8), {"a": 1, "b": 1, "d": 2})
    assert {name: figure.value for name, figure in found.shares.items()} == pytest.approx(
        {"a": 4 / 7, "b": 2 / 7, "c": 1 / 7, "d": 0.0}
    )
    assert found.unknown == pytest.approx(1 / 8)
    assert found.distance is not None
    assert found.distance.value == pytest.approx((abs(4 / 7 - 1 / 4) + abs(2 / 7 - 1 / 4) + 1 / 7 + 1 / 2) / 2)
    assert found.ratio == 0.0
    assert balance(groups, np.arange(8)).distance is None


def test_intervals_are_over_identities() -> None:
    """Ten images of each of 40 people say no more about shares of people than one image of each."""
    group = np.random.default_rng(0).choice(["x", "y"], 40)
    once = balance(group.tolist(), np.arange(40)).shares["x"]
    often = balance(group.repeat(10).tolist(), np.arange(40).repeat(10)).shares["x"]
    assert (once.low, once.high) == pytest.approx((often.low, often.high))
    assert once.high - once.low > 0.2


def test_a_skewed_set_is_told_from_an_even_one() -> None:
    wanted = {"x": 1, "y": 1}
    even = balance(["x", "y"] * 100, np.arange(200), wanted)
    skewed = balance(["x"] * 180 + ["y"] * 20, np.arange(200), wanted)
    assert even.distance is not None
    assert skewed.distance is not None
    assert even.distance.value == 0.0
    assert skewed.distance.low > 0.3 > even.distance.high


def test_tables_of_two_groupings() -> None:
    rows, columns, counts = joint_table(["f", "m", None, "f", "f"], ["old", "young", "old", None, "young"])
    assert (rows, columns, counts.tolist()) == (["f", "m"], ["old", "young"], [[1, 1], [0, 1]])


def test_what_cannot_be_counted() -> None:
    with pytest.raises(NonesuchError, match="no image's group is known"):
        balance([None, None], np.arange(2))
    for wanted in ({"a": -1.0, "b": 2.0}, {"a": 0.0}):
        with pytest.raises(NonesuchError, match="wanted shares"):
            balance(["a"], np.arange(1), wanted)


def test_a_group_that_all_people_are_of() -> None:
    """The rule of three, with the number of people."""
    found = balance(["a"] * 60, np.arange(30).repeat(2), {"b": 1}).shares
    assert (found["a"].value, found["a"].low, found["a"].high) == (1.0, 1.0 - 3 / 30, 1.0)
    assert (found["b"].value, found["b"].low, found["b"].high) == (0.0, 0.0, 3 / 30)
