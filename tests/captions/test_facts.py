"""Which facts hold: those that are sure enough, and that nothing surer excludes."""

import numpy as np
import pytest

from nonesuch.captions.facts import FACTS, NAMES, PLACE, as_bits, bits, consistent, names, scores, settled
from nonesuch.core.errors import NonesuchError
from nonesuch.perception.attributes import ATTRIBUTES

# Written down here once more, by hand: what nobody may read in one caption.
NEVER_TOGETHER = [
    {"bald", "wavy_hair"},
    {"bald", "bangs"},
    {"bald", "receding_hairline"},
    {"no_beard", "goatee"},
    {"no_beard", "mustache"},
    {"female", "goatee"},
    {"female", "5_o_clock_shadow"},
    {"male", "female"},
    {"young", "over_60"},
    {"young", "mature"},
    {"smiling", "not_smiling"},
    {"mouth_slightly_open", "mouth_closed"},
    {"eyeglasses", "no_glasses"},
    {"turned_left", "turned_right"},
    {"facing_camera", "turned_left"},
    {"wavy_hair", "straight_hair"},
    {"black_hair", "gray_hair"},
]


def _settled(held: dict[str, float]) -> set[str]:
    """The facts that stay of some with a sureness each."""
    rows = np.full((1, len(FACTS)), -np.inf)
    for name, sureness in held.items():
        rows[0, PLACE[name]] = sureness
    return set(names(as_bits(settled(np.isfinite(rows), rows))[0]))


def test_every_fact_is_read_in_a_column() -> None:
    columns = {name: np.array([0.7]) for name in ATTRIBUTES} | {"yaw": np.array([-20.0]), "age": np.array([30.0])}
    found = dict(zip(NAMES, scores(columns)[0].tolist(), strict=True))
    assert found["smiling"] == 0.7
    assert found["not_smiling"] == pytest.approx(0.3)
    assert found["female"] == pytest.approx(0.3)
    assert (found["turned_left"], found["turned_right"], found["facing_camera"]) == (20.0, -20.0, -20.0)
    assert found["over_60"] == 30.0
    assert np.isnan(scores({"smiling": np.array([0.7])})[0, PLACE["bald"]])


@pytest.mark.parametrize("pair", NEVER_TOGETHER, ids=lambda pair: "-".join(sorted(pair)))
def test_the_surer_of_two_stays(pair: set[str]) -> None:
    one, other = sorted(pair)
    assert _settled({one: 0.9, other: 0.8}) == {one}
    assert _settled({one: 0.8, other: 0.9}) == {other}
    assert not consistent(bits(pair))


def test_what_goes_without_saying() -> None:
    assert _settled({"female": 0.6, "no_beard": 0.99}) == {"female"}
    assert _settled({"male": 0.6, "no_beard": 0.99}) == {"male", "no_beard"}


def test_no_random_set_contradicts_itself() -> None:
    draws = np.random.default_rng(0)
    found = as_bits(settled(draws.random((5000, len(FACTS))) < 0.5, draws.random((5000, len(FACTS)))))
    for held in found:
        stated = set(names(held))
        assert not any(pair <= stated for pair in NEVER_TOGETHER)
        assert consistent(held)


def test_names_and_bits() -> None:
    assert names(bits(["smiling", "male"])) == ["male", "smiling"]
    assert as_bits(np.eye(len(FACTS), dtype=bool)) == [1 << place for place in range(len(FACTS))]
    with pytest.raises(NonesuchError, match="'beautiful' is no fact"):
        bits(["beautiful"])
