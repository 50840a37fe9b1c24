from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from nonesuch import NonesuchError
from nonesuch.core.seeding import derive_seed
from nonesuch.identities import statistics
from nonesuch.identities.distributions import PcaGaussian, Sphere
from nonesuch.identities.sampling import draw_apart


@pytest.fixture(scope="module")
def people() -> tuple[np.ndarray, list[str]]:
    """500 people with one to five vectors each, from a known Gaussian of people and some noise within each."""
    rng = np.random.default_rng(0)
    means = 3.0 + rng.standard_normal((500, 6)) * np.array([5, 4, 3, 2, 1, 0.5])
    counts = rng.integers(1, 6, 500)
    labels = np.repeat(np.arange(500), counts)
    vectors = means[labels] + rng.standard_normal((len(labels), 6)) * 0.1
    return vectors.astype(np.float32), [str(label) for label in labels]


def test_statistics_are_those_of_person_means(people: tuple[np.ndarray, list[str]], tmp_path: Path) -> None:
    vectors, labels = people
    means = np.stack([vectors[np.array(labels) == name].mean(0) for name in sorted(set(labels))])
    fitted = statistics.fit(vectors, labels, "hash")
    covariance = fitted.axes.T @ np.diag(fitted.spread**2) @ fitted.axes
    assert np.allclose(fitted.mean, means.mean(0), atol=1e-4)
    assert np.allclose(covariance, np.cov(means.T), atol=1e-3)
    statistics.save(fitted, tmp_path / "s.safetensors")
    loaded = statistics.load(tmp_path / "s.safetensors")
    assert np.array_equal(loaded.axes, fitted.axes)
    assert (loaded.embedder_sha256, loaded.people) == ("hash", 500)


def test_pca_draws_have_the_fitted_distribution(people: tuple[np.ndarray, list[str]]) -> None:
    fitted = statistics.fit(*people, "hash")
    drawn = np.stack([PcaGaussian(fitted)(seed) for seed in range(4000)])
    assert np.allclose(drawn.mean(0), fitted.mean, atol=0.3)
    assert np.allclose(np.cov(drawn.T), fitted.axes.T @ np.diag(fitted.spread**2) @ fitted.axes, atol=1.5)


def test_sphere_draws_are_uniform() -> None:
    drawn = np.stack([Sphere(3, 7.0)(seed) for seed in range(4000)])
    assert np.allclose(np.linalg.norm(drawn, axis=1), 7.0, atol=1e-4)
    assert np.allclose(drawn.mean(0), 0, atol=0.25)
    assert np.allclose(np.cov(drawn.T), np.eye(3) * 49 / 3, atol=1.0)


def test_identities_are_kept_apart_exactly_and_a_smaller_sample_is_a_prefix() -> None:
    found = draw_apart(Sphere(8, 1.0), 60, 3, 0.6)
    cosines = cosine_similarity(found)
    np.fill_diagonal(cosines, -1)
    assert 0.5 < cosines.max() <= 0.6 + 1e-6
    assert np.array_equal(found[:40], draw_apart(Sphere(8, 1.0), 40, 3, 0.6))
    assert not np.array_equal(found, draw_apart(Sphere(8, 1.0), 60, 4, 0.6))


def test_only_admitted_candidates_are_taken_and_others_stand_in_nobodys_way() -> None:
    def upper(vectors: np.ndarray) -> np.ndarray:
        return vectors[:, 0] > 0.2

    found = draw_apart(Sphere(8, 1.0), 20, 3, 0.6, admits=upper)
    assert (found[:, 0] > 0.2).all()
    assert np.array_equal(found[:7], draw_apart(Sphere(8, 1.0), 7, 3, 0.6, admits=upper))
    candidates = np.stack([Sphere(8, 1.0)(derive_seed(3, k)) for k in range(400)])
    kept: list[np.ndarray] = []
    for candidate in candidates[upper(candidates)]:
        if all(candidate @ other <= 0.6 for other in kept):
            kept.append(candidate)
    assert np.array_equal(found, np.stack(kept[:20]))


def test_too_few_admitted_candidates_are_named() -> None:
    with pytest.raises(NonesuchError, match=r"0 of 10,240 candidates were admitted"):
        draw_apart(Sphere(8, 1.0), 5, 3, 0.6, admits=lambda vectors: vectors[:, 0] > 2.0)


def test_too_many_identities_are_refused_with_the_number_that_fits() -> None:
    # On a circle, directions at least 90 degrees apart: four at most, and no more than three by greedy luck or so.
    with pytest.raises(NonesuchError, match=r"only [34] of 50 identities fit at a cosine of at most 0 "):
        draw_apart(Sphere(2, 1.0), 50, 0, 0.0)
    for count in (0, -5):
        with pytest.raises(NonesuchError, match="at least 1"):
            draw_apart(Sphere(2, 1.0), count, 0, 0.0)


def test_statistics_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(NonesuchError, match="no such statistics"):
        statistics.load(tmp_path / "absent.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"12345678")
    with pytest.raises(NonesuchError, match="not a file of identity statistics"):
        statistics.load(tmp_path / "bad.safetensors")
    with pytest.raises(NonesuchError, match="at least two people"):
        statistics.fit(np.ones((3, 4), np.float32), ["a", "a", "a"], "")
