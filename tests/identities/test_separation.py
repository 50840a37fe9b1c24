import numpy as np
import pytest

from nonesuch.core.seeding import Stream, derive_seed, normal, normal_rows
from nonesuch.identities import separation
from nonesuch.identities.distributions import Distribution, PcaGaussian, Sphere
from nonesuch.identities.sampling import keep_apart, one_by_one
from nonesuch.identities.separation import Separation
from nonesuch.identities.statistics import Statistics
from tests.accelerator import accelerator


def _naive(candidates: np.ndarray, max_cosine: float) -> list[int]:
    """Who stays of candidates taken in order, in float64, one after the other."""
    unit = candidates.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    kept: list[int] = []
    for row in range(len(unit)):
        if not kept or (unit[kept] @ unit[row]).max() <= max_cosine:
            kept.append(row)
    return kept


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members are compared, and put into clusters, as where there are a thousand times as many."""
    monkeypatch.setattr(separation, "_BLOCK", 37)
    monkeypatch.setattr(separation, "_WORTH_CLUSTERS", 50)
    monkeypatch.setattr(separation, "_CLUSTERS", 9)
    monkeypatch.setattr(separation, "_PROBED", 3)


def _gaussian() -> PcaGaussian:
    axes, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((12, 12)))
    spread = np.linspace(2, 0.5, 12)
    mean = np.full(12, 0.4)
    return PcaGaussian(Statistics(*(part.astype(np.float32) for part in (mean, axes, spread)), "", 1))


@pytest.mark.parametrize("distribution", [Sphere(12, 3.0), _gaussian()], ids=["sphere", "pca"])
@pytest.mark.usefixtures("small_blocks")
def test_who_stays_is_who_a_naive_loop_keeps(distribution: Distribution) -> None:
    candidates = np.stack([distribution(derive_seed(4, k)) for k in range(12_000)])
    naive = _naive(candidates, 0.7)[:300]
    for rough in (None, distribution.rough):
        kept = keep_apart(one_by_one(distribution), 300, 4, 0.7, rough=rough)
        assert np.array_equal(kept.vectors, candidates[naive])
        assert kept.seeds.tolist() == [derive_seed(4, k) for k in naive]
        assert kept.drawn == naive[-1] + 1
        unit = kept.vectors.astype(np.float64) / np.linalg.norm(kept.vectors.astype(np.float64), axis=1, keepdims=True)
        cosines = unit @ unit.T
        np.fill_diagonal(cosines, -1)
        assert kept.closest == pytest.approx(cosines.max(), abs=1e-12)


def test_pairs_near_the_limit_are_decided_in_double_precision() -> None:
    """Two vectors whose cosine misses the limit by 1e-9, which float32 cannot see, on either side."""
    first = np.array([1, 0, 0], dtype=np.float32)
    other = np.array([0.6, 0.8, 0], dtype=np.float32)
    cosine = float(other[0]) / np.linalg.norm(other.astype(np.float64))
    for limit, stays in ((cosine + 1e-9, True), (cosine - 1e-9, False)):
        kept = Separation(limit)
        kept.join(first[None])
        found = kept.screened(other[None])
        assert found.rows.tolist() == [0]
        assert found.doubtful.tolist() == [[0, 0]]
        assert kept.fit(other[None], found).tolist() == [stays]
        alone = Separation(limit)
        assert alone.admit(
            np.stack([first, other]), np.array([-1, -1]), np.zeros(2, dtype=int), np.array([9])
        ).tolist() == [True, stays]


@pytest.mark.usefixtures("small_blocks")
def test_a_sample_goes_on_where_a_smaller_one_ended() -> None:
    distribution = Sphere(12, 1.0)
    draws = one_by_one(distribution)
    whole = keep_apart(draws, 300, 4, 0.7, rough=distribution.rough)
    for count in (1, 120, 299):
        start = keep_apart(draws, count, 4, 0.7, rough=distribution.rough)
        asked: list[int] = []

        def told(seeds: list[int], asked: list[int] = asked) -> np.ndarray:
            asked.extend(seeds)
            return draws(seeds)

        grown = keep_apart(told, 300, 4, 0.7, start=start)
        assert np.array_equal(grown.vectors, whole.vectors)
        assert np.array_equal(grown.seeds, whole.seeds)
        assert (grown.drawn, grown.closest) == (whole.drawn, pytest.approx(whole.closest, abs=1e-12))
        assert not set(asked) & {derive_seed(4, k) for k in range(start.drawn)}


def test_many_draws_are_those_of_one_seed_at_a_time() -> None:
    seeds = [0, 1, 2**64 - 1, *(derive_seed(7, k) for k in range(500))]
    for count in (1, 2, 7, 64):
        rows = normal_rows(seeds, Stream.IDENTITY, count)
        expected = np.stack([normal(seed, Stream.IDENTITY, count) for seed in seeds])
        assert rows.dtype == np.float32
        assert np.abs(rows - expected).max() < 1e-4
    assert np.isfinite(normal_rows(range(20_000), Stream.IDENTITY, 64)).all()


def test_rough_draws_change_no_cosine_by_as_much_as_the_margin() -> None:
    for distribution in (Sphere(192, 7.0), _gaussian()):
        seeds = [derive_seed(8, k) for k in range(400)]
        exact = np.stack([distribution(seed) for seed in seeds]).astype(np.float64)
        rough = distribution.rough(seeds).astype(np.float64)
        for part in (exact, rough):
            part /= np.linalg.norm(part, axis=1, keepdims=True)
        assert np.abs(exact @ exact.T - rough @ exact.T).max() < separation.ROUGH / 4


@pytest.mark.usefixtures("small_blocks")
def test_a_gpu_keeps_the_same_identities() -> None:
    distribution = Sphere(12, 1.0)
    draws = one_by_one(distribution)
    with accelerator() as device:
        there = keep_apart(draws, 100, 4, 0.7, rough=distribution.rough, device=device)
    assert np.array_equal(there.vectors, keep_apart(draws, 100, 4, 0.7, rough=distribution.rough).vectors)
