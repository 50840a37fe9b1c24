"""3x3 convolutions of wide, small maps with 2.25 times fewer multiplications, for sampling on a CPU.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (arXiv 1509.09308), F(2x2, 3x3).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Measured on a CPU with AVX-512: below this width, or above this side, moving the tiles costs more than it saves.
_LEAST_WIDTH = 256
_LARGEST_SIDE = 8


class Convolution3x3(nn.Conv2d):
    """A 3x3 convolution of stride 1 and padding 1, with the tensors of `torch.nn.Conv2d`.

    Where no gradients are asked for, wide small float32 maps on a CPU go through Winograd's algorithm; its results
    differ from the plain sum by rounding alone. The transformed kernels are kept, 16 numbers in place of 9.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)
        self._kept: tuple[tuple[int, int], Tensor] | None = None

    def forward(self, input: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H, W)."""
        if not self._pays(input):
            return super().forward(input)
        found = winograd(input, self._kernels())
        return found if self.bias is None else found.add_(self.bias[:, None, None])

    def _pays(self, x: Tensor) -> bool:
        return (
            not torch.is_grad_enabled()
            and x.device.type == "cpu"
            and x.dtype == torch.float32 == self.weight.dtype
            and not torch.is_autocast_enabled("cpu")
            and min(self.in_channels, self.out_channels) >= _LEAST_WIDTH
            and max(x.shape[2:]) <= _LARGEST_SIDE
        )

    def _kernels(self) -> Tensor:
        """The transformed kernels, made anew when the weights have changed."""
        of = (self.weight.data_ptr(), self.weight._version)
        if self._kept is None or self._kept[0] != of:
            self._kept = of, transformed(self.weight.detach())
        return self._kept[1]

    def __getstate__(self) -> dict[str, Any]:
        """Without the transformed kernels: a copy makes its own."""
        return {**self.__dict__, "_kept": None}


def transformed(weight: Tensor) -> Tensor:
    """(out, in, 3, 3) kernels -> (16, in, out), what `winograd` takes."""
    matrix = weight.new_tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]])
    return torch.einsum("ai,bj,ocij->abco", matrix, matrix, weight).flatten(0, 1).contiguous()


def winograd(x: Tensor, kernels: Tensor) -> Tensor:
    """The convolution of padding 1 without its bias, without gradients: (B, in, H, W) -> (B, out, H, W).

    Args:
        x: float32 maps.
        kernels: (16, in, out), see `transformed`.
    """
    batch, height, width, high, wide = len(x), *x.shape[2:], -(-x.shape[2] // 2), -(-x.shape[3] // 2)
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1 + width % 2, 1, 1 + height % 2))
    tiles = x.new_empty(4, 4, batch, high, wide, x.shape[1])
    rows = [padded[:, i : i + 2 * high - 1 : 2] for i in range(4)]
    for a, row in enumerate((rows[0] - rows[2], rows[1] + rows[2], rows[2] - rows[1], rows[1] - rows[3])):
        parts = [row[:, :, i : i + 2 * wide - 1 : 2] for i in range(4)]
        torch.sub(parts[0], parts[2], out=tiles[a, 0])
        torch.add(parts[1], parts[2], out=tiles[a, 1])
        torch.sub(parts[2], parts[1], out=tiles[a, 2])
        torch.sub(parts[1], parts[3], out=tiles[a, 3])
    summed = torch.bmm(tiles.flatten(0, 1).flatten(1, 3), kernels).view(4, 4, batch, high, wide, -1)
    found = x.new_empty(batch, high, 2, wide, 2, kernels.shape[2])
    for k, part in enumerate((summed[0] + summed[1] + summed[2], summed[1] - summed[2] - summed[3])):
        torch.add(part[0] + part[1], part[2], out=found[:, :, k, :, 0])
        torch.sub(part[1] - part[2], part[3], out=found[:, :, k, :, 1])
    return found.flatten(3, 4).flatten(1, 2)[:, :height, :width].permute(0, 3, 1, 2)
