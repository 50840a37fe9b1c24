"""What samplers share: how the noise is predicted, what is left without it, and where fresh noise comes from."""

import math
from collections.abc import Callable

from torch import Tensor

# (B, C, H, W) noisy latents and their time -> the noise in them, same shape, guidance applied.
Denoiser = Callable[[Tensor, float], Tensor]
# Number of the step -> (B, C, H, W) standard normal, of each image's own seed.
FreshNoise = Callable[[int], Tensor]


def predicted_clean(x: Tensor, noise: Tensor, signal: float) -> Tensor:
    """The latents that are left of noisy ones without their predicted noise (DDPM, arXiv 2006.11239, equation 15).

    Args:
        x: (B, C, H, W) noisy latents.
        noise: (B, C, H, W) the standard normal noise predicted in them.
        signal: alpha-bar at their time, above 0.
    """
    return (x - math.sqrt(1.0 - signal) * noise) / math.sqrt(signal)
