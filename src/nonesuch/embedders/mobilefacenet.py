"""MobileFaceNet (arXiv 1804.07573) with its batch norm folded into the convolutions.

Tensor names are those of the shipped weight file: `<layer>.conv.{weight,bias}`, `<layer>.act.weight`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nonesuch.embedders.prelu import PReLU

# (in, middle, out, stride) of each inverted-residual block.
_BLOCKS = [
    (64, 128, 64, 2),
    *[(64, 128, 64, 1)] * 4,
    (64, 256, 128, 2),
    *[(128, 256, 128, 1)] * 6,
    (128, 512, 128, 2),
    *[(128, 256, 128, 1)] * 2,
]


class ConvAct(nn.Module):
    """Convolution with bias, then (optionally) a per-channel PReLU.

    3x3 layers of stride 2 pad 0 at the top and left and 1 at the bottom and right, as TensorFlow's SAME does.
    """

    def __init__(
        self, in_width: int, out_width: int, kernel: int = 1, stride: int = 1, groups: int = 1, act: bool = True
    ) -> None:
        super().__init__()
        self.pad_end = kernel == 3 and stride == 2
        padding = 1 if kernel == 3 and stride == 1 else 0
        self.conv = nn.Conv2d(in_width, out_width, kernel, stride, padding, groups=groups)
        self.act = PReLU(out_width) if act else None

    def forward(self, x: Tensor) -> Tensor:
        if self.pad_end and self.conv.groups > 1 and x.device.type == "cpu":
            # The backward pass of this one shape is 18 times slower in bfloat16 than in float32 (oneDNN 3.12).
            with torch.autocast("cpu", enabled=False):
                y = self.conv(F.pad(x.float(), (0, 1, 0, 1))).to(x.dtype)
        else:
            y = self.conv(F.pad(x, (0, 1, 0, 1)) if self.pad_end else x)
        return y if self.act is None else self.act(y)


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depthwise, 1x1 projection; a skip where neither size nor width changes."""

    def __init__(self, in_width: int, middle: int, out_width: int, stride: int) -> None:
        super().__init__()
        self.expand = ConvAct(in_width, middle)
        self.dw = ConvAct(middle, middle, 3, stride, groups=middle)
        self.project = ConvAct(middle, out_width, act=False)
        self.skip = stride == 1 and in_width == out_width

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.dw(self.expand(x)))
        return x + y if self.skip else y


class MobileFaceNet(nn.Module):
    """(B, 3, 112, 112) RGB in (x - 127.5) / 128 -> (B, embedding_dim) raw embedding, before L2 normalisation."""

    def __init__(self, embedding_dim: int = 192) -> None:
        super().__init__()
        self.stem = ConvAct(3, 64, 3, 2)
        self.stem_dw = ConvAct(64, 64, 3, groups=64)
        self.stem_pw = ConvAct(64, 64, act=False)
        self.blocks = nn.ModuleList(InvertedResidual(*sizes) for sizes in _BLOCKS)
        self.head = ConvAct(128, 512)
        self.gdc = ConvAct(512, 512, 7, groups=512, act=False)
        self.gdc_pw = ConvAct(512, 512, act=False)
        self.linear = ConvAct(512, embedding_dim, act=False)

    def feature_maps(self, x: Tensor) -> list[Tensor]:
        """Maps after the stem and each resolution: (B, 64, 56, 56), (B, 64, 28, 28), (B, 128, 14, 14), (B, 128, 7, 7).

        Each is the last map of its resolution; the embedding is computed from the last one.
        """
        x = self.stem_pw(self.stem_dw(self.stem(x)))
        maps = []
        for block, (_, _, _, stride) in zip(self.blocks, _BLOCKS, strict=True):
            if stride == 2:
                maps.append(x)
            x = block(x)
        return [*maps, x]

    def embed_features(self, last_map: Tensor) -> Tensor:
        """(B, 128, 7, 7) last feature map -> (B, embedding_dim)."""
        return self.linear(self.gdc_pw(self.gdc(self.head(last_map)))).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.embed_features(self.feature_maps(x)[-1])
