"""Steering with the default generator."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from nonesuch import load_embedder, load_generator, load_perceiver
from nonesuch.core.errors import NonesuchError
from nonesuch.generators.generator import Generator, Latent, to_grey_levels
from nonesuch.identities import statistics
from nonesuch.identities.distributions import PcaGaussian
from nonesuch.identities.sampling import draw_apart
from nonesuch.measures.similarity import normalised
from nonesuch.models import ASSETS
from nonesuch.perception.perceiver import Perceiver
from nonesuch.steering.steerer import Steered, Steerer, SteerSettings
from nonesuch.steering.wishes import parse_wish

SEEDS = np.arange(100, 106, dtype=np.uint64)
WISHES = ["yaw=15", "smiling=choice(0,1)"]


@pytest.fixture(scope="module")
def generator() -> Generator:
    return load_generator("vec2face_small", "cpu")


@pytest.fixture(scope="module")
def perceiver() -> Perceiver:
    return load_perceiver(device="cpu")


@pytest.fixture(scope="module")
def bases() -> np.ndarray:
    draw = PcaGaussian(statistics.load(ASSETS / "vec2face_small.statistics.safetensors"))
    return draw_apart(draw, len(SEEDS), 3, 0.541)


@pytest.fixture(scope="module")
def steered(generator: Generator, perceiver: Perceiver, bases: np.ndarray) -> Steered:
    steerer = Steerer(generator, perceiver, [parse_wish(wish) for wish in WISHES], SteerSettings(steps=12))
    return steerer.steer(bases, bases, SEEDS, micro_batch=4)


def _tried(
    generator: Generator, perceiver: Perceiver, bases: np.ndarray, wishes: Sequence[str], steps: int = 3, **more: object
) -> Steered:
    steerer = Steerer(generator, perceiver, list(map(parse_wish, wishes)), SteerSettings(steps=steps), **more)  # type: ignore[arg-type]
    return steerer.steer(bases[:3], bases[:3], SEEDS[:3], micro_batch=2)


def test_accepted_images_show_what_was_wished_for(steered: Steered, perceiver: Perceiver, bases: np.ndarray) -> None:
    good = steered.accepted
    assert good.sum() >= 3
    seen = perceiver.perceive(steered.images)
    shown = np.stack([seen["yaw"], seen["smiling"]], axis=1)
    # The stored image is rounded to grey levels, the checked one was not.
    assert np.abs(shown - steered.values).max() < 0.5
    inside = (shown >= steered.ranges[..., 0] - 0.5) & (shown <= steered.ranges[..., 1] + 0.5)
    assert inside[good].all()
    embedded = normalised(load_embedder("mobilefacenet", "cpu").embed(steered.images))
    cosines = (embedded * normalised(bases)).sum(1)
    assert np.allclose(cosines, steered.identity, atol=0.01)
    assert (cosines[good] >= 0.69).all()
    assert np.allclose(np.linalg.norm(steered.vectors, axis=1), np.linalg.norm(bases, axis=1), rtol=1e-4)


def test_the_image_is_that_of_its_vector_and_style(steered: Steered, generator: Generator) -> None:
    latent = Latent(torch.from_numpy(steered.styles), generator.draw(SEEDS).fixed)
    with torch.inference_mode():
        pixels = generator.forward(torch.from_numpy(steered.vectors), latent)
    again = to_grey_levels(pixels.permute(0, 2, 3, 1).numpy())
    assert np.abs(again.astype(int) - steered.images).max() <= 1


def test_an_image_is_its_own_whatever_its_neighbours(
    steered: Steered, generator: Generator, perceiver: Perceiver, bases: np.ndarray
) -> None:
    steerer = Steerer(generator, perceiver, [parse_wish(wish) for wish in WISHES], SteerSettings(steps=12))
    chosen = [4, 1]
    alone = steerer.steer(bases[chosen], bases[chosen], SEEDS[chosen], micro_batch=4)
    for name in ("images", "vectors", "styles", "values", "steps", "accepted"):
        assert np.array_equal(getattr(alone, name), getattr(steered, name)[chosen]), name


def test_without_steps_images_stay_as_they_are(generator: Generator, perceiver: Perceiver, bases: np.ndarray) -> None:
    found = _tried(generator, perceiver, bases, ["yaw=40"], steps=0)
    plain = to_grey_levels(generator.render(bases[:3], SEEDS[:3], 2))
    # Other kernels run with gradients: a pixel in fifty thousand is rounded to the neighbouring level.
    assert np.abs(found.images.astype(int) - plain).max() <= 1
    assert (found.images != plain).mean() < 1e-3
    assert not found.accepted.any()


def test_nothing_wished_for_is_there_at_once(generator: Generator, perceiver: Perceiver, bases: np.ndarray) -> None:
    steerer = Steerer(generator, perceiver, [parse_wish("1%: yaw=40")], SteerSettings(identity=0.99))
    found = steerer.steer(bases[:3], bases[:3], SEEDS[:3], micro_batch=2)
    assert (found.identity < 0.99).all()
    assert found.accepted.all()
    assert not found.steps.any()


def test_the_unreachable_ends_with_the_nearest_try(
    generator: Generator, perceiver: Perceiver, bases: np.ndarray
) -> None:
    done: list[int] = []
    steerer = Steerer(generator, perceiver, [parse_wish("age=100")], SteerSettings(steps=3))
    found = steerer.steer(bases[:3], bases[:3], SEEDS[:3], micro_batch=2, on_done=done.append)
    assert not found.accepted.any()
    assert done[-1] == 3
    assert (found.steps <= 3).all()
    unsteered = perceiver.perceive(to_grey_levels(generator.render(bases[:3], SEEDS[:3], 2)))["age"]
    assert (found.values[:, 0] > unsteered + 0.5).any()
    assert (found.values[:, 0] >= unsteered - 0.5).all()


def test_a_penalty_of_the_users_own(generator: Generator, perceiver: Perceiver, bases: np.ndarray) -> None:
    plain = to_grey_levels(generator.render(bases[:3], SEEDS[:3], 2)).mean((1, 2, 3))
    most = float(plain.max()) - 10.0

    def too_light(pixels: Tensor) -> Tensor:
        return (pixels.mean((1, 2, 3)) - most) / 20.0

    found = _tried(generator, perceiver, bases, [], steps=15, penalty=too_light)
    assert found.accepted[plain.argmax()]
    assert (found.images[found.accepted].mean((1, 2, 3)) <= most + 0.5).all()


def test_a_penalty_that_is_not_a_number_accepts_nothing(
    generator: Generator, perceiver: Perceiver, bases: np.ndarray
) -> None:
    found = _tried(generator, perceiver, bases, ["yaw=40"], penalty=lambda pixels: pixels.mean((1, 2, 3)) * torch.nan)
    assert not found.accepted.any()
    assert not found.steps.any()


def test_no_images(generator: Generator, perceiver: Perceiver, bases: np.ndarray) -> None:
    found = Steerer(generator, perceiver, [parse_wish("yaw=4")]).steer(bases[:0], bases[:0], SEEDS[:0])
    assert found.images.shape == (0, 112, 112, 3)
    assert found.accepted.shape == (0,)


def test_contradictions_and_bad_settings(generator: Generator, perceiver: Perceiver) -> None:
    with pytest.raises(NonesuchError, match="contradict each other"):
        Steerer(generator, perceiver, [parse_wish("yaw=-30"), parse_wish("yaw=30")])
    with pytest.raises(NonesuchError, match="at least 0"):
        SteerSettings(steps=-1)
    with pytest.raises(NonesuchError, match="a cosine lies between"):
        SteerSettings(identity=2.0)


def test_inputs_that_do_not_fit(generator: Generator, perceiver: Perceiver, bases: np.ndarray) -> None:
    steerer = Steerer(generator, perceiver, [parse_wish("yaw=4")])
    with pytest.raises(NonesuchError, match=r"2 vectors do not go with seeds of shape \(3,\)"):
        steerer.steer(bases[:2], bases[:3], SEEDS[:3])
    with pytest.raises(NonesuchError, match="--micro-batch 0: not in the range 1<=x"):
        steerer.steer(bases[:3], bases[:3], SEEDS[:3], micro_batch=0)
    with pytest.raises(NonesuchError, match="takes vectors of width 192"):
        steerer.steer(bases[:3, :5], bases[:3, :5], SEEDS[:3])
