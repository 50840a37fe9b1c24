"""What samplers share: how the noise is predicted, and where fresh noise comes from."""

from collections.abc import Callable

from torch import Tensor

# (B, C, H, W) noisy latents and their time -> the noise in them, same shape, guidance applied.
Denoiser = Callable[[Tensor, float], Tensor]
# Number of the step -> (B, C, H, W) standard normal, of each image's own seed.
FreshNoise = Callable[[int], Tensor]
