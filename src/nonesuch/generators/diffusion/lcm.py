"""Sampling in two to four steps by weights distilled for it (latent consistency models, arXiv 2310.04378, algorithm 3).

LCM-LoRA (arXiv 2311.05556) makes such weights of those of a Stable Diffusion.
"""

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.generators.diffusion.samplers import Denoiser, FreshNoise, predicted_clean
from nonesuch.generators.diffusion.schedule import Visits, visits_of

MOST_STEPS = 50  # times that distillation saw
_DATA_STD = 0.5
_TIME_SCALE = 10.0  # as published: times are multiplied by it before they weigh the two parts of a prediction


def lcm_visits(signal: NDArray[np.float64], steps: int) -> Visits:
    """Evenly spaced ones of the times that distillation saw, from the noisiest on.

    Args:
        signal: (T,) alpha-bar of every time.
        steps: 1 to 50.
    """
    seen = (np.arange(MOST_STEPS, 0, -1) * (len(signal) // MOST_STEPS) - 1).astype(np.float64)
    return visits_of(signal, seen[np.floor(np.arange(steps) * (MOST_STEPS / steps)).astype(np.int64)])


def lcm(denoise: Denoiser, x: Tensor, visits: Visits, fresh: FreshNoise) -> Tensor:
    """Standard normal x -> a sample: each step jumps to a clean latent, and all but the last add noise again.

    Args:
        denoise: predicts the noise.
        x: (B, C, H, W) standard normal.
        visits: the times.
        fresh: noise of each step but the last.
    """
    for step, time in enumerate(visits.times):
        now, then = float(visits.signal[step]), float(visits.signal[step + 1])
        clean = predicted_clean(x, denoise(x, float(time)), now)
        far = _TIME_SCALE * float(time)
        total = far**2 + _DATA_STD**2
        clean = far / math.sqrt(total) * clean + _DATA_STD**2 / total * x
        if step == len(visits) - 1:
            break
        x = math.sqrt(then) * clean + math.sqrt(1.0 - then) * fresh(step)
    return clean
