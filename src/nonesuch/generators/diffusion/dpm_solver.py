"""Sampling of second order, which reuses the previous step (DPM-Solver++ 2M, arXiv 2211.01095, algorithm 2)."""

import math

from torch import Tensor

from nonesuch.generators.diffusion.samplers import Denoiser, predicted_clean
from nonesuch.generators.diffusion.schedule import Visits


def dpm_solver(denoise: Denoiser, x: Tensor, visits: Visits) -> Tensor:
    """Standard normal x -> a sample, without fresh noise.

    The first step is of first order, having no predecessor, and so is the one that ends without noise, where the second
    order's weight has no limit.

    Args:
        denoise: predicts the noise.
        x: (B, C, H, W) standard normal.
        visits: the times.
    """
    previous: Tensor | None = None
    width = 0.0  # of the previous step, in half the logarithm of the signal-to-noise ratio
    for step, time in enumerate(visits.times):
        now, then = float(visits.signal[step]), float(visits.signal[step + 1])
        clean = predicted_clean(x, denoise(x, float(time)), now)
        if then == 1.0:
            return clean
        wider = _half_log_snr(then) - _half_log_snr(now)
        target = clean
        if previous is not None:
            ratio = wider / (2.0 * width)
            target = (1.0 + ratio) * clean - ratio * previous
        x = math.sqrt((1.0 - then) / (1.0 - now)) * x - math.sqrt(then) * math.expm1(-wider) * target
        previous, width = clean, wider
    return x


def _half_log_snr(signal: float) -> float:
    return 0.5 * math.log(signal / (1.0 - signal))
