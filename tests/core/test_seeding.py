import numpy as np
import pytest
import scipy.stats

from nonesuch.core import seeding
from nonesuch.core.seeding import Stream


def test_draws_are_those_published_plans_were_made_with() -> None:
    # A change of any of these changes every image of every plan.
    assert seeding.derive_seed(0) == 9890005910001298333
    assert seeding.derive_seed(7, 3, 1) == 16815631946817903953
    assert seeding.uniform(7, Stream.MASK_NOISE, 2).tolist() == [0.551791328987202, 0.0208967681298744]
    assert seeding.normal(7, Stream.IDENTITY, 2) == pytest.approx([-1.4074039469957724, 1.5169981901902105], rel=1e-14)
    assert seeding.permutation(7, Stream.TRAINING_ORDER, 6).tolist() == [2, 3, 1, 0, 5, 4]


def test_uniform_equals_numpys_generator() -> None:
    ours = seeding.uniform(99, Stream.IDENTITY, 100)
    theirs = np.random.Generator(np.random.Philox(key=[99, int(Stream.IDENTITY)])).random(100)
    assert np.array_equal(ours, theirs)


def test_uniform_draws_of_many_seeds_are_those_of_each() -> None:
    seeds = [0, 99, 2**64 - 1]
    each = np.stack([seeding.uniform(seed, Stream.AUGMENTATION, 7) for seed in seeds])
    assert np.array_equal(seeding.uniform_each(seeds, Stream.AUGMENTATION, 7), each)


@pytest.mark.parametrize("count", [1, 2, 7, 20_001])
def test_normal_is_standard_normal(count: int) -> None:
    drawn = seeding.normal(5, Stream.PERTURBATION, count)
    assert drawn.shape == (count,)
    if count > 1000:
        assert scipy.stats.kstest(drawn, "norm").pvalue > 0.01
        assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.03


def test_truncated_normal_equals_scipys_inversion() -> None:
    for seed in range(50):
        share = seeding.uniform(seed, Stream.MASK_RATIO, 1)[0]
        expected = scipy.stats.truncnorm.ppf(share, (0.1 - 0.15) / 0.25, (1 - 0.15) / 0.25, loc=0.15, scale=0.25)
        assert seeding.truncated_normal(seed, Stream.MASK_RATIO, 0.15, 0.25, 0.1, 1.0) == pytest.approx(expected)


def test_truncated_normal_stays_inside_far_from_the_mean() -> None:
    assert 20.0 <= seeding.truncated_normal(1, Stream.MASK_RATIO, 0.0, 1.0, 20.0, 21.0) <= 21.0


@pytest.mark.parametrize("block", [3, 1 << 20])
def test_of_equal_draws_the_first_one_comes_first(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On any processor: a sort that is not stable may order them as it likes."""
    draws = np.random.default_rng(0).integers(0, 2**63, 1000).astype(np.uint64)
    draws[700] = draws[3]
    expected = sorted(range(1000), key=lambda row: (int(draws[row]), row))
    monkeypatch.setattr(seeding, "_raw", lambda *_: draws.copy())
    monkeypatch.setattr(seeding, "_BLOCK", block)
    assert seeding.permutation(0, Stream.TRAINING_ORDER, 1000).tolist() == expected


def test_permutation_holds_each_once_and_differs_by_seed() -> None:
    orders = [seeding.permutation(seed, Stream.TRAINING_ORDER, 100) for seed in (1, 2)]
    assert all(sorted(order) == list(range(100)) for order in orders)
    assert not np.array_equal(*orders)


def test_streams_and_seeds_are_independent() -> None:
    one = seeding.uniform(1, Stream.MASK_NOISE, 4000)
    other_stream = seeding.uniform(1, Stream.MASK_RATIO, 4000)
    other_seed = seeding.uniform(2, Stream.MASK_NOISE, 4000)
    for other in (other_stream, other_seed):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.05
    assert len({seeding.derive_seed(0, identity, image) for identity in range(100) for image in range(100)}) == 10_000


def _splitmix(state: int) -> int:
    """SplitMix64's finalizer in whole numbers of Python, as its authors' Java has it."""
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
    return state ^ (state >> 31)


def test_rows_of_uniform_draws_are_those_of_splitmix() -> None:
    golden = 0x9E3779B97F4A7C15
    seeds = np.array([0, 1, 2**63, 2**64 - 1], dtype=np.uint64)
    found = seeding.uniform_rows(seeds, Stream.CAPTION, 5)
    for row, seed in zip(found.tolist(), seeds.tolist(), strict=True):
        start = _splitmix(seed ^ _splitmix(int(Stream.CAPTION) * golden % 2**64))
        assert row == [(_splitmix((start + step * golden) % 2**64) >> 11) * 2.0**-53 for step in range(1, 6)]


def test_rows_of_uniform_draws_are_uniform_and_belong_to_their_seed() -> None:
    seeds = np.arange(20_000, dtype=np.uint64)
    found = seeding.uniform_rows(seeds, Stream.CAPTION, 8)
    assert np.abs(np.histogram(found, 20, (0, 1))[0] / found.size - 0.05).max() < 0.002
    assert np.abs(np.corrcoef(found.T) - np.eye(8)).max() < 0.03
    assert np.array_equal(seeding.uniform_rows(seeds[7:9], Stream.CAPTION, 8), found[7:9])
    assert not np.array_equal(seeding.uniform_rows(seeds[7:9], Stream.OTHER, 8), found[7:9])
