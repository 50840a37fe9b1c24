"""Options become a steerer, without the command line."""

import pytest

from nonesuch import load_generator
from nonesuch.core.errors import NonesuchError
from nonesuch.generators.generator import Generator
from nonesuch.steering.options import SteeringOptions
from nonesuch.steering.steerer import SteerSettings


@pytest.fixture(scope="module")
def generator() -> Generator:
    return load_generator("vec2face_small", "cpu")


def test_nothing_asked_for(generator: Generator) -> None:
    assert SteeringOptions.read().load(generator) == (None, None)
    with pytest.raises(NonesuchError, match="go with --steer or --min-age only"):
        SteeringOptions.read(steps=3)


def test_wishes_and_a_least_age(generator: Generator) -> None:
    steerer, least_age = SteeringOptions.read(["yaw=20"], steps=0, min_age=30).load(generator, "cpu")
    assert steerer is not None
    assert least_age is not None
    assert [wish.text for wish in steerer.wishes] == ["yaw=20", "age>=30"]
    assert steerer.settings == SteerSettings(steps=0)
    assert least_age.record() == {"min_age": 30, "min_age_perceiver_sha256": steerer.perceiver.card.sha256}
    steerer, least_age = SteeringOptions.read(["yaw=20"], identity=0.5).load(generator, "cpu")
    assert steerer is not None
    assert least_age is None
    assert steerer.settings == SteerSettings(identity=0.5)


def test_ages_that_cannot_be_kept() -> None:
    with pytest.raises(NonesuchError, match="give at least 25"):
        SteeringOptions.read(min_age=24)
    with pytest.raises(NonesuchError, match="--steer age=30 goes below --min-age 30"):
        SteeringOptions.read(["age=30"], min_age=30)
