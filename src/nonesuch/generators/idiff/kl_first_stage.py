"""A small first stage: images <-> latents an eighth as wide and high, near a standard normal instead of a codebook.

Source: latent diffusion (arXiv 2112.10752), section 3.1, the variant with a KL penalty. Pixels are folded into channels
before the first convolution and after the last, so that nothing runs at full resolution; widening is bilinear, since
nearest neighbours leave stripes that a small decoder never removes.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_FOLD = 2  # pixels a side that become channels
_MOST_LOG_VARIANCE = 10.0


class ResidualBlock(nn.Module):
    """GroupNorm, SiLU, 3x3 convolution, twice, and the input added: (B, in_width, H, W) -> (B, out_width, H, W)."""

    def __init__(self, in_width: int, out_width: int, group_width: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(in_width // group_width, in_width)
        self.conv1 = nn.Conv2d(in_width, out_width, 3, padding=1)
        self.norm2 = nn.GroupNorm(out_width // group_width, out_width)
        self.conv2 = nn.Conv2d(out_width, out_width, 3, padding=1)
        self.shortcut = nn.Conv2d(in_width, out_width, 1) if in_width != out_width else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))
        return h + self.shortcut(x)


class Widened(nn.Module):
    """Twice the resolution: bilinear, then a convolution."""

    def __init__(self, in_width: int, out_width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_width, out_width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False))


class KlFirstStage(nn.Module):
    """Images in [-1, 1] <-> latents that a diffusion model draws.

    Args:
        channels: of the latent.
        widths: channels at half, a quarter, ... of the resolution.
        encoder_blocks, decoder_blocks: residual blocks per resolution.
        group_width: channels per group of the norms; it divides every width.
    """

    def __init__(
        self,
        channels: int = 8,
        widths: Sequence[int] = (48, 96, 160),
        encoder_blocks: int = 1,
        decoder_blocks: int = 2,
        group_width: int = 16,
    ) -> None:
        super().__init__()
        self.channels, self.levels = channels, len(widths)
        folded = 3 * _FOLD**2

        def blocks(width: int, count: int) -> list[nn.Module]:
            return [ResidualBlock(width, width, group_width) for _ in range(count)]

        down: list[nn.Module] = [nn.Conv2d(folded, widths[0], 3, padding=1), *blocks(widths[0], encoder_blocks)]
        for width, narrower in pairwise(widths):
            down += [nn.Conv2d(width, narrower, 3, stride=2, padding=1), *blocks(narrower, encoder_blocks)]
        norm = nn.GroupNorm(widths[-1] // group_width, widths[-1])
        self.encoder = nn.Sequential(*down, norm, nn.SiLU(), nn.Conv2d(widths[-1], 2 * channels, 3, padding=1))

        up: list[nn.Module] = [nn.Conv2d(channels, widths[-1], 3, padding=1), *blocks(widths[-1], decoder_blocks)]
        for width, wider in pairwise(reversed(widths)):
            up += [Widened(width, wider), *blocks(wider, decoder_blocks)]
        norm = nn.GroupNorm(widths[0] // group_width, widths[0])
        self.decoder = nn.Sequential(*up, norm, nn.SiLU(), nn.Conv2d(widths[0], folded, 3, padding=1))

    @property
    def latent_factor(self) -> int:
        """Pixels a side that become one element of a latent."""
        return _FOLD * 2 ** (self.levels - 1)

    @property
    def last_layer(self) -> Tensor:
        """The weight that an adaptive loss weight looks at."""
        return self.decoder.get_parameter(f"{len(self.decoder) - 1}.weight")

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) in [-1, 1] -> mean and log-variance of the latents, each (B, channels, H / 8, W / 8)."""
        mean, log_variance = self.encoder(F.pixel_unshuffle(images, _FOLD)).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-2.0 * _MOST_LOG_VARIANCE, _MOST_LOG_VARIANCE)

    def encode(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, channels, H / 8, W / 8) latents, the mean of their distribution."""
        return self.posterior(images)[0]

    def decode(self, latents: Tensor) -> Tensor:
        """Latents -> (B, 3, H, W) images, about [-1, 1], not clipped."""
        return F.pixel_shuffle(self.decoder(latents), _FOLD)

    def forward(self, images: Tensor) -> Tensor:
        """Images -> latents -> images."""
        return self.decode(self.encode(images))

    def trained(self, images: Tensor, noise: Tensor, encoder_learns: bool = True) -> tuple[Tensor, dict[str, Tensor]]:
        """One pass of training.

        Args:
            images: (B, 3, H, W) in [-1, 1].
            noise: (B, channels, H / 8, W / 8) standard normal, which draws the latents.
            encoder_learns: False keeps the encoder as it is.

        Returns:
            The images again, and `kl`: the divergence of the latents from the standard normal, in nats per element.
        """
        with torch.set_grad_enabled(encoder_learns and torch.is_grad_enabled()):
            mean, log_variance = self.posterior(images)
        latents = mean + (0.5 * log_variance).exp() * noise
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)
        return self.decode(latents), {"kl": divergence.mean()}
