"""The convolutional half of a Vec2Face: a 7x7 feature map becomes a 112x112 image.

Source: Vec2Face (arXiv 2409.02979), whose decoder follows VQGAN (arXiv 2012.09841) without attention.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _group_norm(width: int, group_width: int | None) -> nn.GroupNorm:
    return nn.GroupNorm(32 if group_width is None else width // group_width, width, eps=1e-6)


class ResidualBlock(nn.Module):
    """GroupNorm, swish, 3x3 convolution, twice; convolutions without bias.

    Where the widths differ, the published block returns ``h + nin_shortcut(h)``: the skip starts at the second
    convolution's output ``h``, not at the input.

    Args:
        in_width, out_width: channels.
        group_width: see `ImageDecoder`.
        condition_dim: width of a vector that scales and shifts the second norm's output; 0 for none, as published.

    Shapes: (B, in_width, H, W) and (B, condition_dim) -> (B, out_width, H, W).
    """

    def __init__(self, in_width: int, out_width: int, group_width: int | None, condition_dim: int) -> None:
        super().__init__()
        self.norm1 = _group_norm(in_width, group_width)
        self.conv1 = nn.Conv2d(in_width, out_width, 3, padding=1, bias=False)
        self.norm2 = _group_norm(out_width, group_width)
        self.conv2 = nn.Conv2d(out_width, out_width, 3, padding=1, bias=False)
        self.nin_shortcut = nn.Conv2d(out_width, out_width, 1, bias=False) if in_width != out_width else None
        self.condition = nn.Linear(condition_dim, 2 * out_width) if condition_dim else None
        if self.condition is not None:
            nn.init.zeros_(self.condition.weight)
            nn.init.zeros_(self.condition.bias)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        h = self.norm2(self.conv1(F.silu(self.norm1(x))))
        if self.condition is not None:
            scale, shift = self.condition(condition)[:, :, None, None].chunk(2, dim=1)
            h = h * (1.0 + scale) + shift
        h = self.conv2(F.silu(h))
        return x + h if self.nin_shortcut is None else h + self.nin_shortcut(h)


class Upsample(nn.Module):
    """Nearest-neighbour x2, then a 3x3 convolution: (B, in_width, H, W) -> (B, out_width, 2H, 2W).

    Without gradients it is computed at the lower resolution: each of the four outputs of a pixel sees only 2x2
    different inputs, so four 2x2 convolutions, whose kernels are sums of the 3x3 kernel's entries, give the same with
    4/9 of the arithmetic. Their backward pass is slower than the plain one, so training takes the plain one.
    """

    # Row a: which of the 3 kernel rows fall on the first and on the second input row, for output row a.
    folds: Tensor

    def __init__(self, in_width: int, out_width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_width, out_width, 3, padding=1)
        folds = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
        self.register_buffer("folds", folds, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.folded(x)

    def folded(self, x: Tensor) -> Tensor:
        """The same map from the lower resolution: (B, in_width, H, W) -> (B, out_width, 2H, 2W)."""
        batch, _, height, width = x.shape
        out = self.conv.out_channels
        assert self.conv.bias is not None
        kernels = torch.einsum("aij,bkl,ocjl->abocik", self.folds, self.folds, self.conv.weight).flatten(0, 2)
        kernels = kernels.contiguous(memory_format=torch.channels_last)
        parts = F.conv2d(x, kernels, self.conv.bias.repeat(4), padding=1)
        parts = parts.permute(0, 2, 3, 1).unflatten(3, (2, 2, out))
        result = parts.new_empty(batch, height, 2, width, 2, out)
        for a in (0, 1):
            for b in (0, 1):
                result[:, :, a, :, b] = parts[:, a : a + height, b : b + width, a, b]
        return result.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


class Level(nn.Module):
    """One resolution: residual blocks, then (except at the finest level) an upsampling."""

    def __init__(
        self,
        in_width: int,
        width: int,
        blocks: int,
        next_width: int | None,
        group_width: int | None,
        condition_dim: int,
    ) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            ResidualBlock(in_width if i == 0 else width, width, group_width, condition_dim) for i in range(blocks)
        )
        self.upsample = None if next_width is None else Upsample(width, next_width)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        for block in self.block:
            x = block(x, condition)
        return x if self.upsample is None else self.upsample(x)


class Middle(nn.Module):
    """Two residual blocks at the coarsest resolution (the published decoder has no attention here)."""

    def __init__(self, width: int, group_width: int | None, condition_dim: int) -> None:
        super().__init__()
        self.block_1 = ResidualBlock(width, width, group_width, condition_dim)
        self.block_2 = ResidualBlock(width, width, group_width, condition_dim)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        return self.block_2(self.block_1(x, condition), condition)


class ImageDecoder(nn.Module):
    """VQGAN-style decoder: (B, in_width, 7, 7) -> (B, 3, 7 * 2**(levels-1), same), about [-1, 1], not clipped.

    Args:
        in_width: channels of the feature map.
        widths: channels per level, finest first (published: 128, 128, 256, 256, 512).
        blocks: residual blocks per level, finest first (published: 2 each).
        narrow_upsample: let the upsampling convolution change the width, which spares most of its cost (small
            preset); published models keep the width there and change it in the next level's first block.
        group_width: channels per group of every GroupNorm; None for 32 groups, as published. Groups of fewer than
            16 channels are several times slower in bfloat16 on a CPU.
        condition_dim: width of a vector that modulates every residual block; 0 for none, as published.
    """

    def __init__(
        self,
        in_width: int,
        widths: Sequence[int],
        blocks: Sequence[int],
        narrow_upsample: bool,
        group_width: int | None,
        condition_dim: int,
    ) -> None:
        super().__init__()
        if len(widths) != len(blocks):
            raise ValueError(f"widths and blocks name {len(widths)} and {len(blocks)} levels")
        coarsest = widths[-1]
        self.conv_in = nn.Conv2d(in_width, coarsest, 3, padding=1)
        self.mid = Middle(coarsest, group_width, condition_dim)
        levels: list[Level] = []
        current = coarsest
        for i in reversed(range(len(widths))):
            next_width = None if i == 0 else (widths[i - 1] if narrow_upsample else widths[i])
            levels.insert(0, Level(current, widths[i], blocks[i], next_width, group_width, condition_dim))
            current = next_width or widths[i]
        self.up = nn.ModuleList(levels)
        self.norm_out = _group_norm(widths[0], group_width)
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, feature_map: Tensor, condition: Tensor | None = None) -> Tensor:
        x = self.mid(self.conv_in(feature_map), condition)
        for level in reversed(self.up):
            x = level(x, condition)
        return self.conv_out(F.silu(self.norm_out(x)))
