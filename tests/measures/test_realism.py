"""Distances between sets of features against scipy, scikit-learn and brute force, and with planted differences."""

import numpy as np
import pytest
import scipy.linalg
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors

from nonesuch.core.errors import NonesuchError
from nonesuch.measures import realism as module
from nonesuch.measures.realism import frechet_distance, frechet_interval, kernel_distance, neighbourhoods


def _two(shift: float = 0.4) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(0)
    real = draws.normal(size=(400, 6)) @ draws.normal(size=(6, 6))
    return real.astype(np.float32), (0.8 * real[:300] + shift + draws.normal(size=(300, 6))).astype(np.float32)


def test_frechet_distance_is_scipys() -> None:
    real, generated = (part.astype(np.float64) for part in _two())
    one, other = np.cov(real, rowvar=False), np.cov(generated, rowvar=False)
    root = scipy.linalg.sqrtm(one @ other).real
    expected = ((real.mean(0) - generated.mean(0)) ** 2).sum() + np.trace(one + other - 2 * root)
    assert frechet_distance(real, generated) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(real, real) == pytest.approx(0.0, abs=1e-8)
    # A shift alone: the squared length of it.
    assert frechet_distance(real, real + 2.0) == pytest.approx(4.0 * 6, rel=1e-9)


def test_frechet_distance_of_fewer_images_than_dimensions() -> None:
    """The same by the other route: zeros beside the features change only the width."""
    real, generated = (part[:9].astype(np.float64) for part in _two())
    wide = [np.pad(part, ((0, 0), (0, 20))) for part in (real, generated)]
    assert frechet_distance(*wide) == pytest.approx(frechet_distance(real, generated), rel=1e-9)


def test_kernel_distance_is_scikit_learns() -> None:
    real, generated = (part[:50].astype(np.float64) for part in _two())
    kernel = {"degree": 3, "gamma": 1 / 6, "coef0": 1}
    within = [polynomial_kernel(part, **kernel) for part in (real, generated)]
    expected = sum((k.sum() - np.trace(k)) / (50 * 49) for k in within)
    expected -= 2 * polynomial_kernel(real, generated, **kernel).mean()
    found = kernel_distance(real, np.arange(50), generated, np.arange(50))
    assert found.value == pytest.approx(expected, rel=1e-9)
    assert found.low < found.value < found.high
    draws = np.random.default_rng(1)
    sets = [draws.normal(size=(1100, 6)) for _ in range(4)]
    everyone = np.arange(1100)
    same = kernel_distance(sets[0], everyone, sets[1], everyone)
    far = kernel_distance(sets[2], everyone, sets[3] + 1.0, everyone)
    assert abs(same.value) < 0.05 < far.low


@pytest.mark.parametrize("people", [20, 60])
def test_the_kernel_distances_interval_holds_what_other_people_give(people: int) -> None:
    """Three images of each person, whose spread is the people's: of 20 draws most intervals hold the true distance."""
    draws = np.random.default_rng(people)

    def drawn(count: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(count), 3)
        return shift + draws.normal(size=(count, 6))[labels] + 0.3 * draws.normal(size=(len(labels), 6)), labels

    truth = kernel_distance(*drawn(600, 0.0), *drawn(600, 0.5)).value
    found = [kernel_distance(*drawn(people, 0.0), *drawn(people, 0.5)) for _ in range(20)]
    assert sum(figure.low <= truth <= figure.high for figure in found) >= 16
    assert all(figure.low < figure.high for figure in found)


def test_neighbourhoods_by_brute_force() -> None:
    real, generated = _two()
    reach = NearestNeighbors(n_neighbors=6).fit(real).kneighbors(real)[0][:, 5]
    reach_generated = NearestNeighbors(n_neighbors=6).fit(generated).kneighbors(generated)[0][:, 5]
    distance = np.linalg.norm(generated[:, None].astype(np.float64) - real[None], axis=2)
    found = neighbourhoods(real, generated)
    assert found.precision.mean() == pytest.approx((distance <= reach).any(1).mean(), abs=0.004)
    assert found.recall.mean() == pytest.approx((distance <= reach_generated[:, None]).any(0).mean(), abs=0.004)
    assert found.density.mean() == pytest.approx((distance <= reach).sum() / (5 * 300), abs=0.01)
    assert found.coverage.mean() == pytest.approx((distance.min(0) <= reach).mean(), abs=0.004)


def test_planted_differences() -> None:
    draws = np.random.default_rng(2)
    real, twin = draws.normal(size=(2, 600, 8))
    alike = neighbourhoods(real, twin)
    assert min(alike.precision.mean(), alike.recall.mean(), alike.coverage.mean()) > 0.9
    assert alike.density.mean() == pytest.approx(1.0, abs=0.1)
    few_modes = neighbourhoods(real, real[:10].repeat(60, axis=0) + 0.01 * draws.normal(size=(600, 8)))
    assert few_modes.precision.mean() > 0.9 > 0.4 > few_modes.recall.mean()
    elsewhere = neighbourhoods(real, twin + 20.0)
    assert not any(
        part.any() for part in (elsewhere.precision, elsewhere.recall, elsewhere.density, elsewhere.coverage)
    )


def test_features_that_cannot_be_compared() -> None:
    real, generated = _two()
    with pytest.raises(NonesuchError, match="cannot be compared"):
        frechet_distance(real, generated[:, :3])
    with pytest.raises(NonesuchError, match="1 generated images are too few"):
        kernel_distance(real, np.arange(len(real)), generated[:1], np.arange(1))
    generated[3, 2] = np.nan
    with pytest.raises(NonesuchError, match="generated images hold NaN"):
        neighbourhoods(real, generated)


def test_any_block_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    real, generated = (part[:50] for part in _two())
    people = np.arange(50)
    whole, kernel = neighbourhoods(real, generated), kernel_distance(real, people, generated, people)
    monkeypatch.setattr(module, "_BLOCK", 7)
    parts = neighbourhoods(real, generated)
    for name in ("precision", "recall", "density", "coverage"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name)), name
    assert kernel_distance(real, people, generated, people).value == pytest.approx(kernel.value, rel=1e-9)


def test_the_frechet_distances_interval_is_as_wide_as_other_people_spread() -> None:
    """Three images of each of 80 people, drawn anew 20 times."""
    draws = np.random.default_rng(0)

    def drawn(shift: float) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(80), 3)
        return shift + draws.normal(size=(80, 3))[labels] + 0.3 * draws.normal(size=(240, 3)), labels

    found = [frechet_interval(*drawn(0.0), *drawn(1.0)) for _ in range(20)]
    spread = np.std([figure.value for figure in found])
    assert np.mean([figure.high - figure.low for figure in found]) == pytest.approx(2 * 1.96 * spread, rel=0.35)
    assert all(figure.low < figure.value < figure.high for figure in found)
