"""Ancestral sampling: every time is visited, and each step adds noise (DDPM, arXiv 2006.11239, algorithm 2)."""

import math
from typing import Literal

from torch import Tensor

from nonesuch.generators.diffusion.samplers import Denoiser, FreshNoise
from nonesuch.generators.diffusion.schedule import Visits

Variance = Literal["beta", "posterior"]
_QUIET = {"beta": 2, "posterior": 1}  # last steps without noise: IDiff-Face leaves it out of two


def ddpm(denoise: Denoiser, x: Tensor, visits: Visits, fresh: FreshNoise, variance: Variance = "beta") -> Tensor:
    """Standard normal x -> a sample.

    Args:
        denoise: predicts the noise.
        x: (B, C, H, W) standard normal.
        visits: the times; between those that are left out, one step stands for all of them.
        fresh: noise of each step.
        variance: of a step's noise: beta, as IDiff-Face publishes it, or the posterior's.
    """
    for step, time in enumerate(visits.times):
        now, then = float(visits.signal[step]), float(visits.signal[step + 1])
        alpha = now / then
        x = (x - (1.0 - alpha) / math.sqrt(1.0 - now) * denoise(x, float(time))) / math.sqrt(alpha)
        if step < len(visits) - _QUIET[variance]:
            squared = 1.0 - alpha if variance == "beta" else (1.0 - alpha) * (1.0 - then) / (1.0 - now)
            x = x + math.sqrt(squared) * fresh(step)
    return x
