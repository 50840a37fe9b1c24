"""Samplers against closed forms: of a normal distribution, everything a sampler asks for and gives is known."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from nonesuch.generators.diffusion.ddim import ddim
from nonesuch.generators.diffusion.ddpm import ddpm
from nonesuch.generators.diffusion.dpm_solver import dpm_solver
from nonesuch.generators.diffusion.lcm import lcm, lcm_visits
from nonesuch.generators.diffusion.samplers import Denoiser
from nonesuch.generators.diffusion.schedule import (
    TIMES,
    Visits,
    cosine,
    linear,
    scaled_linear,
    visits,
    visits_short_of_clean,
)

MEAN, STD = 0.7, 0.4


def _exact(visited: Visits) -> Denoiser:
    """The noise that is to be expected in x, where clean values are normal(MEAN, STD)."""
    signal = dict(zip(visited.times, visited.signal, strict=False))

    def denoise(x: Tensor, time: float) -> Tensor:
        now = signal[time]
        total = now * STD**2 + 1.0 - now
        return math.sqrt(1.0 - now) * (x - math.sqrt(now) * MEAN) / total

    return denoise


def _grid(steps: int, last: float = 3.0) -> Visits:
    """Times evenly spaced in half the log of the signal-to-noise ratio, up to `last`, where it ends with noise left."""
    half = np.linspace(-3.0, last, steps + 1)
    return Visits(np.arange(steps, dtype=np.float64), 1.0 / (1.0 + np.exp(-2.0 * half)))


def _flow(x: Tensor, first: float, last: float) -> Tensor:
    """Where the probability flow leads x from one share of signal to another: it keeps x's rank in the distribution."""
    spread = [math.sqrt(share * STD**2 + 1.0 - share) for share in (first, last)]
    return math.sqrt(last) * MEAN + spread[1] / spread[0] * (x - math.sqrt(first) * MEAN)


def _never(step: int) -> Tensor:
    raise AssertionError("asked for fresh noise")


X = torch.linspace(-2.0, 2.0, 9, dtype=torch.float64)[:, None, None, None]


@pytest.mark.parametrize(("sampler", "order"), [("ddim", 1), ("dpm", 2)])
def test_order_of_convergence(sampler: str, order: int) -> None:
    errors = []
    for steps in (40, 80, 160):
        grid = _grid(steps)
        found = ddim(_exact(grid), X, grid, _never) if sampler == "ddim" else dpm_solver(_exact(grid), X, grid)
        errors.append(float((found - _flow(X, grid.signal[0], grid.signal[-1])).abs().max()))
    slopes = [math.log2(errors[i] / errors[i + 1]) for i in (0, 1)]
    assert slopes == pytest.approx([order, order], abs=0.15)


@pytest.mark.parametrize("steps", [10, 25])
def test_few_steps_of_second_order_are_nearer_than_those_of_first(steps: int) -> None:
    truth = MEAN + STD * X
    reaching_clean, short_of_it = visits(cosine(), steps), visits_short_of_clean(cosine(), steps)
    first = (ddim(_exact(reaching_clean), X, reaching_clean, _never) - truth).abs().max()
    assert (dpm_solver(_exact(short_of_it), X, short_of_it) - truth).abs().max() < 0.5 * first
    assert (dpm_solver(_exact(reaching_clean), X, reaching_clean) - truth).abs().max() > first


@pytest.mark.parametrize("steps", [1, 10, 999, TIMES])
def test_no_time_is_visited_twice(steps: int) -> None:
    for visited in (visits(cosine(), steps), visits_short_of_clean(cosine(), steps)):
        assert np.all(np.diff(visited.times) < 0)
        assert visited.times[0] == TIMES - 1
    assert torch.isfinite(dpm_solver(_exact(visited), X, visited)).all()


def test_ddim_with_all_the_noise_is_ancestral_sampling() -> None:
    visited = visits(linear(), TIMES)
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(X.shape, generator=generator, dtype=torch.float64) for _ in range(TIMES)]
    ancestral = ddpm(_exact(visited), X, visited, drawn.__getitem__, "posterior")
    torch.testing.assert_close(ddim(_exact(visited), X, visited, drawn.__getitem__, 1.0), ancestral)


@pytest.mark.parametrize("variance", ["beta", "posterior"])
def test_ancestral_sampling_draws_the_distribution(variance: str) -> None:
    visited = visits(linear(), TIMES)
    generator = torch.Generator().manual_seed(1)

    def fresh(step: int) -> Tensor:
        return torch.randn(20_000, 1, 1, 1, generator=generator)

    found = ddpm(_exact(visited), fresh(0), visited, fresh, "beta" if variance == "beta" else "posterior")
    assert float(found.mean()) == pytest.approx(MEAN, abs=0.01)
    assert float(found.std()) == pytest.approx(STD, abs=0.01)


def test_ancestral_steps_are_the_published_recursion() -> None:
    """Step by step with the betas themselves, and no noise in the last two."""
    betas = np.linspace(1e-4, 0.02, TIMES)
    kept = np.cumprod(1.0 - betas)
    visited = visits(linear(), TIMES)
    denoise, x = _exact(visited), X
    drawn = torch.randn(TIMES, *X.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for step, time in enumerate(reversed(range(TIMES))):
        mean = (x - betas[time] / math.sqrt(1.0 - kept[time]) * denoise(x, float(time))) / math.sqrt(1.0 - betas[time])
        x = mean + (math.sqrt(betas[time]) * drawn[step] if time > 1 else 0.0)
    torch.testing.assert_close(ddpm(_exact(visited), X, visited, drawn.__getitem__), x)


def test_a_latent_consistency_model_jumps_and_adds_noise_again() -> None:
    """Where clean values are all MEAN, each jump lands there; what is kept of x is less than a millionth."""
    signal = scaled_linear()
    visited = lcm_visits(signal, 4)
    assert visited.times.tolist() == [999, 759, 499, 259]
    drawn = torch.randn(4, *X.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    heard: list[Tensor] = []

    def denoise(x: Tensor, time: float) -> Tensor:
        heard.append(x)
        now = signal[int(time)]
        return (x - math.sqrt(now) * MEAN) / math.sqrt(1.0 - now)

    found = lcm(denoise, X, visited, drawn.__getitem__)
    torch.testing.assert_close(found, torch.full_like(found, MEAN), atol=1e-6, rtol=0)
    for step, time in enumerate((759, 499, 259), start=1):
        then = signal[time]
        again = math.sqrt(then) * MEAN + math.sqrt(1.0 - then) * drawn[step - 1]
        torch.testing.assert_close(heard[step], again, atol=1e-6, rtol=0)
    assert lcm_visits(signal, 1).times.tolist() == [999]
    assert lcm_visits(signal, 50).times.tolist() == list(range(999, 0, -20))


def test_schedules() -> None:
    for signal in (linear(), cosine(), scaled_linear()):
        assert signal.shape == (TIMES,)
        assert (np.diff(signal) < 0).all()
    assert scaled_linear()[0] == pytest.approx(1 - 0.00085)
    assert scaled_linear()[-1] == pytest.approx(0.0046602, rel=1e-4)  # known of Stable Diffusion 1
    assert linear()[0] == pytest.approx(1 - 1e-4)
    assert linear()[-1] == pytest.approx(4.0358e-05, rel=1e-3)  # known for betas of 1e-4 to 0.02
    assert cosine()[499] == pytest.approx(math.cos((0.5 + 0.008) / 1.008 * math.pi / 2) ** 2, rel=1e-3)
    few = visits(linear(), 4)
    assert few.times.tolist() == [999, 666, 333, 0]
    assert few.signal[-1] == 1.0
    assert visits(linear(), TIMES).times.tolist() == list(reversed(range(TIMES)))
    assert visits(linear(), 1).times.tolist() == [999]
