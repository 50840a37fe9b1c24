"""Wishes: how they are written and what is drawn from them."""

import numpy as np
import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.steering.wishes import Wish, check_wishes, draw_wishes, parse_wish

SEEDS = np.arange(4000, dtype=np.uint64)


def _centres(text: str) -> np.ndarray:
    return draw_wishes([parse_wish(text)], SEEDS)[:, 0].mean(1)


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("yaw=20", Wish("yaw=20", "yaw", "value", (20.0,))),
        ("yaw = -20.5", Wish("yaw=-20.5", "yaw", "value", (-20.5,))),
        ("quality>=60", Wish("quality>=60", "quality", "range", (60.0, 100.0))),
        ("age<=60", Wish("age<=60", "age", "range", (0.0, 60.0))),
        ("age=30..40", Wish("age=30..40", "age", "range", (30.0, 40.0))),
        ("pitch=uniform(-10, 10)", Wish("pitch=uniform(-10,10)", "pitch", "uniform", (-10.0, 10.0))),
        ("yaw=normal(0,15)", Wish("yaw=normal(0,15)", "yaw", "normal", (0.0, 15.0))),
        ("yaw=choice(0,30,45)", Wish("yaw=choice(0,30,45)", "yaw", "choice", (0.0, 30.0, 45.0))),
        ("20%: Smiling=1", Wish("20%:Smiling=1", "smiling", "value", (1.0,), 0.2)),
        ("5_o_clock_shadow=0", Wish("5_o_clock_shadow=0", "5_o_clock_shadow", "value", (0.0,))),
    ],
)
def test_what_can_be_written(text: str, wish: Wish) -> None:
    assert parse_wish(text) == wish


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yaw", "write it as"),
        ("yaw=", "write it as"),
        ("yaw=left", "left is not a value, range or distribution"),
        ("yaw=nan", "not a finite number"),
        ("height=180", "height cannot be steered; these can: yaw, pitch"),
        ("yaw=120", "yaw lies in -90..90"),
        ("smiling=uniform(0,2)", "smiling lies in 0..1"),
        ("age=40..30", "40 is above 30"),
        ("yaw=uniform(1)", "it takes two numbers"),
        ("yaw=uniform(1,x)", "is not a value"),
        ("0%: yaw=3", "a share is above 0%"),
        ("yaw>=uniform(1,2)", "is not a value"),
        ("yaw=normal(0,nan)", "a standard deviation is a number of at least 0"),
        ("yaw=normal(0,-5)", "a standard deviation is a number of at least 0"),
        ("yaw=20..20", "nothing reaches that exactly; write yaw=20"),
        ("gender>=1", "nothing reaches that exactly; write gender=1"),
        ("smiling<=0", "nothing reaches that exactly; write smiling=0"),
    ],
)
def test_what_cannot(text: str, message: str) -> None:
    with pytest.raises(NonesuchError, match=message):
        parse_wish(text)


def test_distributions_are_what_they_say() -> None:
    uniform, normal, choice = (_centres(f"yaw={what}") for what in ("uniform(-30,30)", "normal(5,10)", "choice(0,40)"))
    assert uniform.min() > -30.001
    assert uniform.max() < 30.001
    assert abs(uniform.mean()) < 1
    assert abs(uniform.std() - 60 / 12**0.5) < 0.5
    assert abs(normal.mean() - 5) < 0.6
    assert abs(normal.std() - 10) < 0.4
    assert set(choice.round(3)) == {0.0, 40.0}
    assert abs((choice > 20).mean() - 0.5) < 0.03


def test_a_share_of_the_images() -> None:
    centres = _centres("25%: yaw=normal(0,20)")
    wanted = np.isfinite(centres)
    assert abs(wanted.mean() - 0.25) < 0.03
    assert abs(centres[wanted].std() - 20) < 2  # the same distribution as among all


def test_wishes_draw_apart_and_again() -> None:
    wishes = [parse_wish("yaw=uniform(-30,30)"), parse_wish("pitch=uniform(-30,30)")]
    first = draw_wishes(wishes, SEEDS)
    assert np.array_equal(first, draw_wishes(wishes, SEEDS))
    assert abs(np.corrcoef(first[:, 0, 0], first[:, 1, 0])[0, 1]) < 0.06
    assert np.array_equal(first[100:101], draw_wishes(wishes, SEEDS[100:101]))


def test_contradictions() -> None:
    with pytest.raises(NonesuchError, match="yaw=-30 and --steer yaw=30 contradict"):
        check_wishes([parse_wish("yaw=-30"), parse_wish("age=30"), parse_wish("yaw=30")])
    check_wishes([parse_wish("50%: yaw=-30"), parse_wish("yaw=30"), parse_wish("yaw=uniform(-30,30)")])
    check_wishes([parse_wish("quality>=60"), parse_wish("quality<=80")])
