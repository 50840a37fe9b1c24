"""Leaked people are found when planted, and a clean set is silent."""

import numpy as np
import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.measures.leakage import Leakage, Search, leakage, least_control, search
from nonesuch.measures.similarity import normalised

WIDTH = 64


def _people(count: int, images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    labels = np.repeat(np.arange(count), images)
    vectors = draws.normal(size=(count, WIDTH))[labels] + 0.4 * draws.normal(size=(count * images, WIDTH))
    return vectors.astype(np.float32), labels


TRAINING, _ = _people(150, 4, 0)
CONTROL, CONTROL_PEOPLE = _people(100, 4, 1)


def _judged(
    generated: np.ndarray, labels: np.ndarray, control: np.ndarray = CONTROL, people: np.ndarray = CONTROL_PEOPLE
) -> tuple[Search, Leakage]:
    mine = search(generated, TRAINING)
    return mine, leakage(mine, labels, search(control, TRAINING), people)


def test_a_clean_set_is_silent() -> None:
    generated, labels = _people(100, 4, 2)
    mine, found = _judged(generated, labels)
    cosine = normalised(generated) @ normalised(TRAINING).T
    assert np.allclose(mine.cosine, cosine.max(1), atol=1e-6)
    assert np.array_equal(mine.row, cosine.argmax(1))
    rate = found.excess[0.01]
    assert rate.low <= 0.0 <= rate.high
    assert rate.value < 0.02
    generated_below, theirs = found.quantiles[0.9]
    assert generated_below == pytest.approx(theirs, abs=0.03)


def test_leaked_people_are_found_and_shown() -> None:
    """Five of a hundred identities are people of the training set, blurred by noise of their own."""
    generated, labels = _people(100, 4, 2)
    draws = np.random.default_rng(3)
    leaked = [7, 30, 31, 66, 99]
    for number, person in enumerate(leaked):
        rows = labels == person
        generated[rows] = TRAINING[4 * number] + 0.4 * draws.normal(size=(4, WIDTH))
    mine, found = _judged(generated, labels)
    rate = found.excess[0.01]
    assert rate.value == pytest.approx(0.05, abs=0.02)
    assert rate.low > 0.0
    worst = mine.worst(20)
    assert {int(labels[image]) for image, _, _ in worst} == set(leaked)
    assert {row // 4 for _, row, _ in worst} == {0, 1, 2, 3, 4}


def test_one_leaked_image_among_many_of_an_identity() -> None:
    """What means of identities hide: a single image of each that is a training image."""
    generated, labels = _people(100, 4, 2)
    generated[::4] = TRAINING[:100] * 1.7
    mine, found = _judged(generated, labels)
    assert found.excess[0.01].value == pytest.approx(0.25, abs=0.02)
    means = np.stack([generated[labels == person].mean(0) for person in range(100)])
    centres = TRAINING.reshape(150, 4, WIDTH).mean(1)
    assert (normalised(means) @ normalised(centres).T).max(1).mean() < mine.cosine[::4].min()


def test_every_image_is_judged_however_small_the_control() -> None:
    """Ten of 2,000 identities leak, 0.5%; the control has 100 images. The excess is the same as beside 4,000."""
    generated, labels = _people(2000, 4, 4)
    draws = np.random.default_rng(3)
    leaked = draws.permutation(2000)[:10]
    for number, person in enumerate(leaked):
        generated[labels == person] = TRAINING[4 * number] + 0.4 * draws.normal(size=(4, WIDTH))
    mine = search(generated, TRAINING)
    control, people = _people(1000, 4, 5)
    for size in (100, 4000):
        found = leakage(mine, labels, search(control[:size], TRAINING), people[:size])
        share = (mine.cosine > found.thresholds[0.01]).mean() - 0.01
        assert found.excess[0.01].value == pytest.approx(share)
        seen = mine.cosine[np.isin(labels, leaked)] > found.thresholds[0.01]
        assert seen.mean() > 0.9


def test_a_control_that_tells() -> None:
    """Small controls leave the interval above the bound. The size that is said to tell, by their median, is a rough
    one: controls really drawn of that size, or of twice it, end the interval near the bound."""
    generated, labels = _people(1500, 1, 4)
    mine = search(generated, TRAINING)

    def judged(size: int, seeds: range) -> list[Leakage]:
        controls = [_people(size, 1, seed) for seed in seeds]
        return [leakage(mine, labels, search(control, TRAINING), people) for control, people in controls]

    small = judged(300, range(10, 15))
    assert np.mean([found.excess[0.01].high for found in small]) > 0.015
    telling = int(np.median([found.telling or 0 for found in small]))
    assert telling >= least_control(0.01) == 381
    assert np.mean([found.excess[0.01].high for found in judged(2 * telling, range(20, 25))]) < 0.01
    assert np.mean([found.excess[0.01].high for found in judged(telling // 4, range(20, 25))]) > 0.01
    assert judged(50, range(1))[0].telling == least_control(0.01)


def test_a_few_clean_identities_do_not_tell() -> None:
    """No image of 40 identities is beyond: 9% of such identities may still be."""
    generated, labels = _people(40, 4, 2)
    _, found = _judged(generated * 1.0, labels, *_people(400, 4, 7))
    far = Search(np.full(160, -0.5, dtype=np.float32), np.zeros(160, dtype=np.int64))
    rate = leakage(far, labels, search(CONTROL, TRAINING), CONTROL_PEOPLE)
    assert rate.excess[0.01].value == -0.01
    assert rate.excess[0.01].high == pytest.approx(1 - 0.025 ** (1 / 40) - 0.01)
    assert rate.telling is None
    assert found.excess[0.01].high > 0.01


def test_chance_gives_no_excess_however_few_the_control() -> None:
    """Thirty clean sets beside controls of 120 images: the excess is 0 on average, and rarely clear of it."""
    clear, values = 0, []
    for seed in range(30):
        draws = np.random.default_rng(seed)
        generated, control = draws.normal(size=(2, 120, WIDTH)).astype(np.float32)
        rate = _judged(generated, np.arange(120), control, np.arange(120))[1].excess[0.01]
        values.append(rate.value)
        clear += rate.low > 0
    assert np.mean(values) == pytest.approx(0.0, abs=3 * np.std(values) / np.sqrt(30))
    assert clear <= 4


def test_sets_that_cannot_be_compared() -> None:
    generated, _ = _people(3, 2, 0)
    with pytest.raises(NonesuchError, match="no training images"):
        search(generated, TRAINING[:0])
    with pytest.raises(NonesuchError, match="no images"):
        search(generated[:0], TRAINING)
    with pytest.raises(NonesuchError, match="NaN"):
        search(np.full_like(generated, np.nan), TRAINING)


@pytest.mark.parametrize(
    ("size", "quantiles", "shares"),
    [
        (98, [0.5, 0.9], []),
        (99, [0.5, 0.9], [0.01]),
        (100, [0.5, 0.9, 0.99], [0.01]),
        (998, [0.5, 0.9, 0.99], [0.01]),
        (1000, [0.5, 0.9, 0.99, 0.999], [0.01, 0.001]),
    ],
)
def test_a_control_gives_no_figure_that_it_is_too_small_for(
    size: int, quantiles: list[float], shares: list[float]
) -> None:
    control = Search(np.linspace(-1, 1, size, dtype=np.float32), np.zeros(size, dtype=np.int64))
    found = leakage(control, np.arange(size), control, np.arange(size))
    assert list(found.quantiles) == quantiles
    assert list(found.thresholds) == list(found.excess) == shares
