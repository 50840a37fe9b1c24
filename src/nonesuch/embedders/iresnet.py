"""IResNet (arXiv 2004.04989) as the ArcFace family uses it, in insightface's tensor names.

Public ArcFace, MagFace and ElasticFace checkpoints of these depths load without a mapping.
"""

from torch import Tensor, nn

from nonesuch.core.images import CROP_SIZE
from nonesuch.embedders.prelu import PReLU

# Residual blocks per stage, by depth.
DEPTHS = {
    10: (1, 1, 1, 1),
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 14, 3),
    100: (3, 13, 30, 3),
    200: (6, 26, 60, 6),
}
_EPS = 1e-5


class SqueezeExcitation(nn.Module):
    """Weighs channels by the whole map's content (arXiv 1709.01507), ratio 16, without biases."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, width // 16, bias=False)
        self.fc2 = nn.Linear(width // 16, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.fc2(self.fc1(x.mean((2, 3))).relu()).sigmoid()
        return x * weights[:, :, None, None]


class IBasicBlock(nn.Module):
    """bn, conv 3x3, bn, PReLU, conv 3x3 (stride), bn; a projected skip where the shape changes.

    Squeeze-excitation sits on the skip, as in the code that HSFace was trained with.
    """

    def __init__(self, in_width: int, width: int, stride: int, squeeze: bool = False) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_width, eps=_EPS)
        self.conv1 = nn.Conv2d(in_width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width, eps=_EPS)
        self.prelu = PReLU(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width, eps=_EPS)
        self.downsample = None
        if stride != 1 or in_width != width:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_width, width, 1, stride, bias=False), nn.BatchNorm2d(width, eps=_EPS)
            )
        self.se = SqueezeExcitation(width) if squeeze else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        skip = self.se(x if self.downsample is None else self.downsample(x))
        return skip + self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(x))))))


class IResNet(nn.Module):
    """(B, 3, 112, 112) RGB in (x / 255 - 0.5) / 0.5 -> (B, embedding_dim) raw embedding.

    Args:
        depth: 18, 34, 50, 100, 200; 10 is this project's, for small machines.
        embedding_dim: width of the embedding.
        dropout: rate before the last linear layer, in training.
        widths: channels of the stages; the published ones by default.
        squeeze: with squeeze-excitation (SE-IResNet).
        stem_stride: 2 halves the input at once, for a quarter of the work; the published networks have 1.
    """

    def __init__(
        self,
        depth: int = 50,
        embedding_dim: int = 512,
        dropout: float = 0.0,
        widths: tuple[int, int, int, int] = (64, 128, 256, 512),
        stem_stride: int = 1,
        squeeze: bool = False,
    ) -> None:
        super().__init__()
        in_width = widths[0]
        self.conv1 = nn.Conv2d(3, in_width, 3, stem_stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(in_width, eps=_EPS)
        self.prelu = PReLU(in_width)
        for stage, (width, blocks) in enumerate(zip(widths, DEPTHS[depth], strict=True), start=1):
            layer = nn.Sequential(
                *(IBasicBlock(in_width if i == 0 else width, width, 2 if i == 0 else 1, squeeze) for i in range(blocks))
            )
            self.add_module(f"layer{stage}", layer)
            in_width = width
        self.bn2 = nn.BatchNorm2d(in_width, eps=_EPS)
        self.dropout = nn.Dropout(dropout)
        side = -(-CROP_SIZE // (16 * stem_stride))
        self.fc = nn.Linear(in_width * side * side, embedding_dim)
        self.features = nn.BatchNorm1d(embedding_dim, eps=_EPS)
        # insightface fixes this scale at 1: a free scale would undo the normalisation after it.
        self.features.weight.requires_grad_(False)

    def feature_maps(self, x: Tensor) -> list[Tensor]:
        """Maps after each stage: (B, 64, 56, 56), (B, 128, 28, 28), (B, 256, 14, 14), (B, 512, 7, 7) as published."""
        x = self.prelu(self.bn1(self.conv1(x)))
        maps = []
        for stage in (1, 2, 3, 4):
            x = self.get_submodule(f"layer{stage}")(x)
            maps.append(x)
        return maps

    def embed_features(self, last_map: Tensor) -> Tensor:
        """Last feature map -> (B, embedding_dim)."""
        return self.features(self.fc(self.dropout(self.bn2(last_map)).flatten(1)))

    def forward(self, x: Tensor) -> Tensor:
        return self.embed_features(self.feature_maps(x)[-1])
