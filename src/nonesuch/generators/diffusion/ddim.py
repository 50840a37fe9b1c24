"""Sampling in few steps, with any share of fresh noise (DDIM, arXiv 2010.02502, equations 12 and 16)."""

import math

from torch import Tensor

from nonesuch.generators.diffusion.samplers import Denoiser, FreshNoise, predicted_clean
from nonesuch.generators.diffusion.schedule import Visits


def ddim(denoise: Denoiser, x: Tensor, visits: Visits, fresh: FreshNoise, eta: float = 0.0) -> Tensor:
    """Standard normal x -> a sample.

    Args:
        denoise: predicts the noise.
        x: (B, C, H, W) standard normal.
        visits: the times.
        fresh: noise of each step; not called for eta 0.
        eta: 0 for none, so that x alone decides the sample; 1 for as much as ancestral sampling with the posterior's
            variance.
    """
    for step, time in enumerate(visits.times):
        now, then = float(visits.signal[step]), float(visits.signal[step + 1])
        noise = denoise(x, float(time))
        clean = predicted_clean(x, noise, now)
        sigma = eta * math.sqrt((1.0 - then) / (1.0 - now)) * math.sqrt(1.0 - now / then)
        x = math.sqrt(then) * clean + math.sqrt(max(1.0 - then - sigma**2, 0.0)) * noise
        if sigma > 0.0:
            x = x + sigma * fresh(step)
    return x
