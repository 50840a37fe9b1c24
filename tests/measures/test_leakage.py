"""Leaked people are found when planted, and a clean set is silent."""

import numpy as np
import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.measures.leakage import leakage
from nonesuch.measures.similarity import normalised

WIDTH = 64


def _people(count: int, images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    labels = np.repeat(np.arange(count), images)
    vectors = draws.normal(size=(count, WIDTH))[labels] + 0.4 * draws.normal(size=(count * images, WIDTH))
    return vectors.astype(np.float32), labels


TRAINING, _ = _people(150, 4, 0)
CONTROL, CONTROL_PEOPLE = _people(100, 4, 1)


def test_a_clean_set_is_silent() -> None:
    generated, labels = _people(100, 4, 2)
    found = leakage(generated, labels, CONTROL, CONTROL_PEOPLE, TRAINING)
    cosine = normalised(generated) @ normalised(TRAINING).T
    assert np.allclose(found.generated.cosine, cosine.max(1), atol=1e-6)
    assert np.array_equal(found.generated.row, cosine.argmax(1))
    rate = found.excess[0.01]
    assert rate.low <= 0.0 <= rate.high
    assert rate.value < 0.02
    mine, theirs = found.quantiles[0.9]
    assert mine == pytest.approx(theirs, abs=0.03)


def test_leaked_people_are_found_and_shown() -> None:
    """Five of a hundred identities are people of the training set, blurred by noise of their own."""
    generated, labels = _people(100, 4, 2)
    draws = np.random.default_rng(3)
    leaked = [7, 30, 31, 66, 99]
    for number, person in enumerate(leaked):
        rows = labels == person
        generated[rows] = TRAINING[4 * number] + 0.4 * draws.normal(size=(4, WIDTH))
    found = leakage(generated, labels, CONTROL, CONTROL_PEOPLE, TRAINING)
    rate = found.excess[0.01]
    assert rate.value == pytest.approx(0.05, abs=0.02)
    assert rate.low > 0.0
    worst = found.generated.worst(20)
    assert {int(labels[image]) for image, _, _ in worst} == set(leaked)
    assert {row // 4 for _, row, _ in worst} == {0, 1, 2, 3, 4}


def test_one_leaked_image_among_many_of_an_identity() -> None:
    """What means of identities hide: a single image of each that is a training image."""
    generated, labels = _people(100, 4, 2)
    generated[::4] = TRAINING[:100] * 1.7
    found = leakage(generated, labels, CONTROL, CONTROL_PEOPLE, TRAINING)
    assert found.excess[0.01].value == pytest.approx(0.25, abs=0.02)
    means = np.stack([generated[labels == person].mean(0) for person in range(100)])
    centres = TRAINING.reshape(150, 4, WIDTH).mean(1)
    assert (normalised(means) @ normalised(centres).T).max(1).mean() < found.generated.cosine[::4].min()


def test_generated_images_are_drawn_to_the_controls_number() -> None:
    generated, labels = _people(500, 4, 4)
    found = leakage(generated, labels, CONTROL, CONTROL_PEOPLE, TRAINING)
    assert len(found.generated_rows) == len(found.control.cosine) == 400
    assert len(found.generated.cosine) == 2000
    assert len(set(labels[found.generated_rows].tolist())) == 100
    assert np.array_equal(
        found.generated_rows, leakage(generated, labels, CONTROL, CONTROL_PEOPLE, TRAINING).generated_rows
    )
    few = leakage(generated[:40], labels[:40], CONTROL, CONTROL_PEOPLE, TRAINING)
    assert len(few.generated_rows) == 40
    scarce = leakage(generated, labels, CONTROL[:40], CONTROL_PEOPLE[:40], TRAINING)
    assert scarce.thresholds == {}


def test_chance_gives_no_excess_however_few_the_control() -> None:
    """Fifty clean sets beside controls of 120 images: the excess is 0 on average, and rarely clear of it."""
    clear, values = 0, []
    for seed in range(50):
        draws = np.random.default_rng(seed)
        generated, control = draws.normal(size=(2, 120, WIDTH)).astype(np.float32)
        rate = leakage(generated, np.arange(120), control, np.arange(120), TRAINING).excess[0.01]
        values.append(rate.value)
        clear += rate.low > 0
    assert np.mean(values) == pytest.approx(0.0, abs=3 * np.std(values) / np.sqrt(50))
    assert clear <= 5


def test_an_image_that_is_not_in_the_draw_is_listed_all_the_same() -> None:
    generated, labels = _people(500, 4, 4)
    outside = np.setdiff1d(
        np.arange(2000), leakage(generated, labels, CONTROL, CONTROL_PEOPLE, TRAINING).generated_rows
    )
    generated[outside[3]] = TRAINING[17]
    found = leakage(generated, labels, CONTROL, CONTROL_PEOPLE, TRAINING)
    assert found.generated.worst(1)[0][:2] == (outside[3], 17)


def test_sets_that_cannot_be_compared() -> None:
    generated, labels = _people(3, 2, 0)
    with pytest.raises(NonesuchError, match="no training images"):
        leakage(generated, labels, CONTROL, CONTROL_PEOPLE, TRAINING[:0])
    with pytest.raises(NonesuchError, match="NaN"):
        leakage(np.full_like(generated, np.nan), labels, CONTROL, CONTROL_PEOPLE, TRAINING)
