"""The first stage of IDiff-Face: images <-> latents, a quarter as wide and high.

Source: VQGAN (arXiv 2012.09841) and latent diffusion (arXiv 2112.10752), whose VQ-f4 for FFHQ at 256 pixels IDiff-Face
takes as it is. Tensor names are the published ones.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_COMMITMENT = 0.25


def _group_norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, width, eps=1e-6)


class ResidualBlock(nn.Module):
    """GroupNorm, swish, 3x3 convolution, twice, and the input added: (B, in_width, H, W) -> (B, out_width, H, W)."""

    def __init__(self, in_width: int, out_width: int) -> None:
        super().__init__()
        self.norm1 = _group_norm(in_width)
        self.conv1 = nn.Conv2d(in_width, out_width, 3, padding=1)
        self.norm2 = _group_norm(out_width)
        self.conv2 = nn.Conv2d(out_width, out_width, 3, padding=1)
        self.nin_shortcut = nn.Conv2d(in_width, out_width, 1) if in_width != out_width else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        return self.conv2(F.silu(self.norm2(h))) + self.nin_shortcut(x)


class Attention(nn.Module):
    """One head of self-attention over the map: (B, C, H, W) -> the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = _group_norm(width)
        self.q = nn.Conv2d(width, width, 1)
        self.k = nn.Conv2d(width, width, 1)
        self.v = nn.Conv2d(width, width, 1)
        self.proj_out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = (layer(h).flatten(2).transpose(1, 2) for layer in (self.q, self.k, self.v))
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        return x + self.proj_out(attended.unflatten(2, x.shape[2:]))


class Middle(nn.Module):
    """Attention between two residual blocks, at the coarsest resolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block_1 = ResidualBlock(width, width)
        self.attn_1 = Attention(width)
        self.block_2 = ResidualBlock(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class Downsample(nn.Module):
    """Half the resolution, padded to the right and below."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Twice the resolution: nearest neighbours, then a convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """Residual blocks of one resolution, then a change of resolution under its published name, where there is one."""

    def __init__(self, in_width: int, width: int, blocks: int, name: str = "", change: nn.Module | None = None) -> None:
        super().__init__()
        self.block = nn.ModuleList(ResidualBlock(in_width if i == 0 else width, width) for i in range(blocks))
        if change is not None:
            self.add_module(name, change)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        for name, change in self.named_children():
            x = x if name == "block" else change(x)
        return x


class Encoder(nn.Module):
    """(B, 3, H, W) -> (B, channels, H / f, W / f), f = 2 ** (levels - 1)."""

    def __init__(self, channels: int, width: int, multipliers: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, width, 3, padding=1)
        levels: list[nn.Module] = []
        current = width
        for i, multiplier in enumerate(multipliers):
            change = Downsample(width * multiplier) if i < len(multipliers) - 1 else None
            levels.append(Level(current, width * multiplier, blocks, "downsample", change))
            current = width * multiplier
        self.down = nn.ModuleList(levels)
        self.mid = Middle(current)
        self.norm_out = _group_norm(current)
        self.conv_out = nn.Conv2d(current, channels, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.conv_in(images)
        for level in self.down:
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class Decoder(nn.Module):
    """(B, channels, h, w) -> (B, 3, f * h, f * w)."""

    def __init__(self, channels: int, width: int, multipliers: Sequence[int], blocks: int) -> None:
        super().__init__()
        current = width * multipliers[-1]
        self.conv_in = nn.Conv2d(channels, current, 3, padding=1)
        self.mid = Middle(current)
        levels: list[nn.Module] = []
        for i in reversed(range(len(multipliers))):
            change = Upsample(width * multipliers[i]) if i else None
            levels.insert(0, Level(current, width * multipliers[i], blocks + 1, "upsample", change))
            current = width * multipliers[i]
        self.up = nn.ModuleList(levels)
        self.norm_out = _group_norm(current)
        self.conv_out = nn.Conv2d(current, 3, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        x = self.mid(self.conv_in(latents))
        for level in reversed(self.up):
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class Codebook(nn.Module):
    """The vectors that latents are rounded to."""

    def __init__(self, codes: int, channels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(codes, channels)
        nn.init.uniform_(self.embedding.weight, -1.0 / codes, 1.0 / codes)

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h, w) -> the nearest codes in their places, and these codes' (B, h, w) int64 indices."""
        rows = latents.movedim(1, 3)
        weight = self.embedding.weight
        distances = rows.square().sum(3, keepdim=True) + weight.square().sum(1) - 2.0 * rows @ weight.T
        indices = distances.argmin(3)
        return self.embedding(indices).movedim(3, 1), indices


class IDiffFirstStage(nn.Module):
    """Images in [-1, 1] <-> latents that a diffusion model draws.

    Args:
        channels: of the latent.
        codes: size of the codebook.
        width: channels at full resolution.
        multipliers: of the width at each resolution, finest first.
        blocks: residual blocks per resolution of the encoder; the decoder has one more.
    """

    def __init__(
        self,
        channels: int = 3,
        codes: int = 8192,
        width: int = 128,
        multipliers: Sequence[int] = (1, 2, 4),
        blocks: int = 2,
    ) -> None:
        super().__init__()
        self.channels, self.latent_factor = channels, 2 ** (len(multipliers) - 1)
        self.encoder = Encoder(channels, width, multipliers, blocks)
        self.quant_conv = nn.Conv2d(channels, channels, 1)
        self.quantize = Codebook(codes, channels)
        self.post_quant_conv = nn.Conv2d(channels, channels, 1)
        self.decoder = Decoder(channels, width, multipliers, blocks)

    @property
    def last_layer(self) -> Tensor:
        """The weight that an adaptive loss weight looks at."""
        return self.decoder.conv_out.weight

    def encode(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, channels, H / 4, W / 4) latents, not yet codes; these are diffused."""
        return self.quant_conv(self.encoder(images))

    def quantise(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Latents -> the nearest codes in their places, and the codes' (B, H / 4, W / 4) int64 indices."""
        return self.quantize(latents)

    def decode(self, latents: Tensor) -> Tensor:
        """Latents, rounded to codes here -> (B, 3, H, W) images, about [-1, 1], not clipped."""
        return self.decoder(self.post_quant_conv(self._rounded(latents)))

    def _rounded(self, latents: Tensor) -> Tensor:
        """Codes, which a gradient passes as if nothing were rounded (arXiv 1711.00937)."""
        codes, _ = self.quantise(latents)
        return latents + (codes - latents).detach() if latents.requires_grad else codes

    def trained(self, images: Tensor, noise: Tensor, encoder_learns: bool = True) -> tuple[Tensor, dict[str, Tensor]]:
        """One pass of training.

        Args:
            images: (B, 3, H, W) in [-1, 1].
            noise: not used; a codebook draws nothing.
            encoder_learns: False keeps the encoder as it is.

        Returns:
            The images again, and `codebook`: the squared distance of latents from their codes, moving the codes, and a
            quarter of it moving the latents.
        """
        with torch.set_grad_enabled(encoder_learns and torch.is_grad_enabled()):
            latents = self.encode(images).float()
        codes, _ = self.quantise(latents)
        distance = F.mse_loss(codes, latents.detach()) + _COMMITMENT * F.mse_loss(latents, codes.detach())
        return self.decode(latents), {"codebook": distance}

    def forward(self, images: Tensor) -> Tensor:
        """Images -> latents -> images."""
        return self.decode(self.encode(images))
