from collections import Counter

import numpy as np
import pytest

from nonesuch import NonesuchError
from nonesuch.identities.variation import parse_sigma_mix, perturb, stratified_sigmas

SIGMA_MIX = parse_sigma_mix("0.3:40,0.5:40,0.7:20")


@pytest.mark.parametrize(("count", "expected"), [(10, (4, 4, 2)), (50, (20, 20, 10)), (5, (2, 2, 1)), (20, (8, 8, 4))])
def test_every_identity_has_the_mix(count: int, expected: tuple[int, int, int]) -> None:
    for seed in range(5):
        found = Counter(np.round(stratified_sigmas(SIGMA_MIX, count, seed), 3).tolist())
        assert tuple(found[float(np.float32(sigma).round(3))] for sigma in (0.3, 0.5, 0.7)) == expected


@pytest.mark.parametrize("count", [1, 2, 3, 7, 11, 13])
def test_counts_that_do_not_divide(count: int) -> None:
    totals: Counter[float] = Counter()
    for seed in range(600):
        sigmas = stratified_sigmas(SIGMA_MIX, count, seed)
        assert len(sigmas) == count
        totals.update(np.round(sigmas.astype(float), 3).tolist())
        for sigma, share in SIGMA_MIX.items():
            assert abs((np.isclose(sigmas, sigma)).sum() - share * count) < 1
    if count > 1:  # leftovers go to either large share alike
        assert totals[0.3] == pytest.approx(totals[0.5], rel=0.15)


SIGMA_MIX = parse_sigma_mix("0.3:40,0.5:40,0.7:20")


def test_sigmas_are_mixed_in_order() -> None:
    firsts = {float(stratified_sigmas(SIGMA_MIX, 10, seed)[0]) for seed in range(40)}
    assert len(firsts) == 3


@pytest.mark.parametrize(("sigma", "cosine"), [(0.3, 0.958), (0.5, 0.894), (0.7, 0.819)])
def test_published_cosines_at_the_published_norm(sigma: float, cosine: float) -> None:
    """512 dimensions, norm 22.6: the figures of the paper's setting. A scale of 1/5 must not change them."""
    rng = np.random.default_rng(0)
    for scale in (1.0, 0.2):
        found = []
        for seed in range(100):
            base = rng.standard_normal(512)
            base = (base * 22.6 / np.linalg.norm(base) / scale).astype(np.float32)
            moved = perturb(base, sigma, seed, scale)
            assert np.linalg.norm(moved) == pytest.approx(np.linalg.norm(base), rel=1e-5)
            found.append(moved @ base / np.linalg.norm(base) ** 2)
        assert np.mean(found) == pytest.approx(cosine, abs=0.005)


def test_no_perturbation_is_the_base_itself() -> None:
    base = np.arange(1, 5, dtype=np.float32)
    assert np.array_equal(perturb(base, 0.0, 1, 1.0), base)


def test_sigma_option() -> None:
    assert SIGMA_MIX == {0.3: 0.4, 0.5: 0.4, 0.7: 0.2}
    assert parse_sigma_mix("0.2") == {0.2: 1.0}
    for wrong in ("", "a", "0.3:", "0.3:1:2,x", "-0.1", "0.3:-1,0.2:2", "nan", "0.3:0"):
        with pytest.raises(NonesuchError, match="--sigma"):
            parse_sigma_mix(wrong)
