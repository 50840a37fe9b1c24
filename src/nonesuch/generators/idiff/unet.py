"""The U-Net of IDiff-Face: a noisy latent, its time and an identity context -> the noise in it.

Source: IDiff-Face (arXiv 2308.04995, ICCV 2023). Tensor names are the published ones, so that official checkpoints load
without a mapping. Variants of the same family share every other part: without a context, with the context scaling and
shifting every residual block (AdaGN) instead of attended to, and ours for short trainings, with it added to the time.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nonesuch.generators.idiff.winograd import Convolution3x3

Conditioning = Literal["attention", "adagn", "time", "none"]

_GROUPS = 32
_EPS = 1e-5
_HEAD_WIDTH = 32
_CONTEXT_TOKENS = 32


def _group_norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(_GROUPS, width, eps=_EPS)


def _zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """A layer whose block changes nothing before it has learned to."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class TimeEmbedding(nn.Module):
    """(B,) times -> (B, 4 * width): a sinusoid, cosines first, through two linear layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.lin1 = nn.Linear(width, 4 * width)
        self.lin2 = nn.Linear(4 * width, 4 * width)

    def forward(self, times: Tensor) -> Tensor:
        half = self.width // 2
        steps = torch.arange(half, dtype=torch.float32, device=times.device)
        angles = times.float()[:, None] * torch.exp(-math.log(10_000.0) / half * steps)
        return self.lin2(F.silu(self.lin1(torch.cat([angles.cos(), angles.sin()], dim=1))))


class NamedNorm(nn.Module):
    """GroupNorm under the published name."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = _group_norm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x)


class ResidualBlock(nn.Module):
    """Two convolutions; the time scales and shifts what enters the second: (B, in, H, W), (B, T) -> (B, out, H, W).

    With a `context_width` the context does so too (AdaGN).
    """

    def __init__(self, in_width: int, out_width: int, time_width: int, context_width: int = 0) -> None:
        super().__init__()
        self.norm1 = _group_norm(in_width)
        self.conv1 = Convolution3x3(in_width, out_width)
        self.time_emb = nn.Sequential(nn.SiLU(), nn.Linear(time_width, out_width))
        self.context_emb = nn.Sequential(nn.SiLU(), nn.Linear(context_width, out_width)) if context_width else None
        self.scale_emb = nn.Linear(out_width, out_width)
        self.shift_emb = nn.Linear(out_width, out_width)
        self.norm2 = NamedNorm(out_width)
        self.conv2 = _zeroed(Convolution3x3(out_width, out_width))
        self.shortcut = nn.Conv2d(in_width, out_width, 1) if in_width != out_width else nn.Identity()

    def forward(self, x: Tensor, time: Tensor, context: Tensor | None) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        told = self.time_emb(time)
        if self.context_emb is not None:
            told = told + self.context_emb(context)
        scale, shift = self.scale_emb(told)[:, :, None, None], self.shift_emb(told)[:, :, None, None]
        h = self.norm2(h) * (1.0 + scale) + shift
        return self.conv2(F.silu(h)) + self.shortcut(x)


class Attention(nn.Module):
    """Multi-head attention: (B, N, C) looks at (B, M, D) -> (B, N, C). The softmax is in float32, as published.

    The weights are those of 1x1 convolutions, as published; as products of matrices they are faster.
    """

    def __init__(self, width: int, context_width: int) -> None:
        super().__init__()
        self.heads = width // _HEAD_WIDTH
        self.to_q = nn.Conv1d(width, width, 1)
        self.to_k = nn.Conv1d(context_width, width, 1)
        self.to_v = nn.Conv1d(context_width, width, 1)
        self.proj_out = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        q, k, v = (
            _product(layer, part).unflatten(2, (self.heads, _HEAD_WIDTH)).transpose(1, 2)
            for layer, part in ((self.to_q, x), (self.to_k, context), (self.to_v, context))
        )
        return _product(self.proj_out, F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


def _product(layer: nn.Conv1d, rows: Tensor) -> Tensor:
    """A 1x1 convolution of (B, N, C) rows."""
    return F.linear(rows, layer.weight[:, :, 0], layer.bias)


def _rows(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H * W, C), without a copy where channels are last in memory."""
    return x.flatten(2).transpose(1, 2)


def _as_map(rows: Tensor, like: Tensor) -> Tensor:
    """The reverse, of the height and width of `like`."""
    return rows.transpose(1, 2).unflatten(2, like.shape[2:])


class SelfAttention(nn.Module):
    """Attention within the map alone, of the variants whose attention has no context."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = _group_norm(width)
        self.attention = Attention(width, width)

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        rows = _rows(self.norm(x))
        return x + _as_map(self.attention(rows, rows), x)


class CrossAttention(nn.Module):
    """A transformer block on the map that also looks at the context: (B, C, H, W), (B, D) -> (B, C, H, W)."""

    def __init__(self, width: int, context_width: int) -> None:
        super().__init__()
        self.context_width = context_width
        self.x_norm = _group_norm(width)
        self.x_proj_in = nn.Conv2d(width, width, 1)
        self.c_norm = _group_norm(context_width)
        self.c_proj_in = nn.Linear(context_width, context_width * _CONTEXT_TOKENS)
        self.self_attention = Attention(width, width)
        self.cross_attention = Attention(width, context_width)
        self.ff = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.x_proj_out = _zeroed(nn.Conv2d(width, width, 1))

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        assert context is not None
        tokens = self.c_norm(self.c_proj_in(context).unflatten(1, (self.context_width, _CONTEXT_TOKENS)))
        rows = _rows(self.x_proj_in(x))

        def normed() -> Tensor:
            return _rows(self.x_norm(_as_map(rows, x)))

        looking = normed()
        rows = rows + self.self_attention(looking, looking)
        rows = rows + self.cross_attention(normed(), tokens.transpose(1, 2))
        rows = rows + self.ff(normed())
        return x + self.x_proj_out(_as_map(rows, x))


class Level(nn.Module):
    """A residual block, and attention where the level has it."""

    def __init__(self, residual: ResidualBlock, attention: nn.Module | None) -> None:
        super().__init__()
        self.res = residual
        self.attn = attention

    def forward(self, x: Tensor, time: Tensor, context: Tensor | None) -> Tensor:
        x = self.res(x, time, context)
        return x if self.attn is None else self.attn(x, context)


class Down(nn.Module):
    """Half the resolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, x: Tensor, time: Tensor, context: Tensor | None) -> Tensor:
        return self.conv(x)


class Up(nn.Module):
    """Twice the resolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(width, width, 4, stride=2, padding=1)

    def forward(self, x: Tensor, time: Tensor, context: Tensor | None) -> Tensor:
        return self.conv(x)


class Middle(nn.Module):
    """Two residual blocks with attention between them, at the coarsest resolution."""

    def __init__(self, first: ResidualBlock, attention: nn.Module, second: ResidualBlock) -> None:
        super().__init__()
        self.res1, self.attn, self.res2 = first, attention, second

    def forward(self, x: Tensor, time: Tensor, context: Tensor | None) -> Tensor:
        return self.res2(self.attn(self.res1(x, time, context), context), time, context)


class IDiffUNet(nn.Module):
    """Noisy latent, time and context -> predicted noise.

    Args:
        channels: of the latent.
        width: channels at full resolution.
        multipliers: cumulative, one per resolution: the published (1, 2, 2, 2) makes widths 96, 192, 384, 768.
        blocks: residual blocks per resolution going down; one more going up.
        attended: whether each resolution has attention going down, the same resolution's blocks going up as well.
        feature_dim: width of the identity vectors; 0 where `conditioning` is "none".
        context_width: width that they are projected to.
        context_dropout: contextual partial dropout: share of the projected context's elements that training leaves out.
        conditioning: "attention", "adagn" or "none" as published, or "time".
        context_scale: what vectors of length 1 are multiplied by; the square root of their width makes each element
            about 1, from which a short training learns faster.
    """

    def __init__(
        self,
        channels: int = 3,
        width: int = 96,
        multipliers: Sequence[int] = (1, 2, 2, 2),
        blocks: int = 2,
        attended: Sequence[bool] = (False, True, True, True),
        feature_dim: int = 512,
        context_width: int = 256,
        context_dropout: float = 0.25,
        conditioning: Conditioning = "attention",
        context_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.feature_dim, self.conditioning, self.context_scale = feature_dim, conditioning, context_scale
        time_width = 4 * width
        widths = [width * math.prod(multipliers[: i + 1]) for i in range(len(multipliers))]

        def attention(of: int) -> nn.Module:
            return CrossAttention(of, context_width) if conditioning == "attention" else SelfAttention(of)

        def residual(into: int, out: int) -> ResidualBlock:
            return ResidualBlock(into, out, time_width, context_width if conditioning == "adagn" else 0)

        self.image_proj = nn.Conv2d(channels, width, 3, padding=1)
        self.time_emb = TimeEmbedding(width)
        if conditioning != "none":
            self.context_emb = nn.Linear(feature_dim, time_width if conditioning == "time" else context_width)
        self.context_dropout = nn.Dropout(context_dropout)
        down: list[nn.Module] = []
        skips, current = [width], width
        for i, out in enumerate(widths):
            for _ in range(blocks):
                down.append(Level(residual(current, out), attention(out) if attended[i] else None))
                current = out
                skips.append(current)
            if i < len(widths) - 1:
                down.append(Down(current))
                skips.append(current)
        self.down = nn.ModuleList(down)
        self.middle = Middle(residual(current, current), attention(current), residual(current, current))
        up: list[nn.Module] = []
        for i in reversed(range(len(widths))):
            for block in range(blocks + 1):
                out = widths[max(i - 1, 0)] if block == blocks else widths[i]
                up.append(Level(residual(current + skips.pop(), out), attention(out) if attended[i] else None))
                current = out
            if i:
                up.append(Up(current))
        self.up = nn.ModuleList(up)
        self.norm = _group_norm(current)
        self.final = _zeroed(nn.Conv2d(current, channels, 3, padding=1))

    def forward(self, x: Tensor, t: Tensor, context: Tensor | None = None, known: Tensor | None = None) -> Tensor:
        """Predict the noise.

        Args:
            x: (B, channels, H, W) noisy latents; H and W divide by 2 ** (resolutions - 1).
            t: (B,) times, 0 to 999 (published), whole or not.
            context: (B, feature_dim) identity vectors of length 1; None for no identity, which is the zero context.
            known: (B,) bool, False for rows whose context is the zero context all the same; None for none of them.

        Returns:
            (B, channels, H, W).
        """
        time = self.time_emb(t)
        embedded = self._embedded(context, known, len(x))
        if self.conditioning == "time" and embedded is not None:
            time, embedded = time + embedded, None
        x = self.image_proj(x)
        kept = [x]
        for layer in self.down:
            x = layer(x, time, embedded)
            kept.append(x)
        x = self.middle(x, time, embedded)
        for layer in self.up:
            x = (
                layer(x, time, embedded)
                if isinstance(layer, Up)
                else layer(torch.cat([x, kept.pop()], dim=1), time, embedded)
            )
        return self.final(F.silu(self.norm(x)))

    def _embedded(self, context: Tensor | None, known: Tensor | None, count: int) -> Tensor | None:
        if self.conditioning == "none":
            return None
        if context is None:
            weight = self.context_emb.weight
            return weight.new_zeros(count, len(weight))
        embedded = self.context_emb(context * self.context_scale)
        if known is not None:
            embedded = embedded * known[:, None]
        return self.context_dropout(embedded)
