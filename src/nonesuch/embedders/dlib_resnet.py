"""dlib's face_recognition_resnet_model_v1 (public domain, Davis King), affine layers folded into the convolutions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# (in, out, halves the resolution) of each block.
_BLOCKS = [
    *[(32, 32, False)] * 3,
    (32, 64, True),
    *[(64, 64, False)] * 3,
    (64, 128, True),
    *[(128, 128, False)] * 2,
    (128, 256, True),
    *[(256, 256, False)] * 2,
    (256, 256, True),
]


class DlibBlock(nn.Module):
    """Two 3x3 convolutions; the skip is average-pooled where the block halves, and the smaller side zero-padded."""

    def __init__(self, in_width: int, out_width: int, down: bool) -> None:
        super().__init__()
        self.down = down
        self.conv1 = nn.Conv2d(in_width, out_width, 3, 2 if down else 1, 0 if down else 1)
        self.conv2 = nn.Conv2d(out_width, out_width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(F.relu(self.conv1(x)))
        skip = F.avg_pool2d(x, 2) if self.down else x
        size = [max(a, b) for a, b in zip(y.shape[1:], skip.shape[1:], strict=True)]
        return F.relu(_pad_to(y, size) + _pad_to(skip, size))


def _pad_to(x: Tensor, size: list[int]) -> Tensor:
    channels, height, width = (want - have for want, have in zip(size, x.shape[1:], strict=True))
    return F.pad(x, (0, width, 0, height, 0, channels)) if channels or height or width else x


class DlibResNet(nn.Module):
    """(B, 3, 150, 150) RGB in 0..255 (a dlib face chip) -> (B, 128) raw embedding."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, 3, 1, 1))
        self.stem = nn.Conv2d(3, 32, 7, 2)
        self.blocks = nn.ModuleList(DlibBlock(*sizes) for sizes in _BLOCKS)
        self.fc = nn.Linear(256, 128, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.stem((x - self.mean) / 256)), 3, 2)
        for block in self.blocks:
            x = block(x)
        return self.fc(x.mean((2, 3)))
