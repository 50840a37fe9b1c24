"""Named sizes of IResNet and ViT besides the published depths. The tiny ones are for tests."""

from typing import Any

# Arguments of `nonesuch.embedders.iresnet.IResNet`: mini takes 0.11 GFLOP (multiply-adds) an image. With fewer than 16
# channels, torch 2.13 crashes on a CPU, in the backward pass of a convolution with channels-last weights.
IRESNETS: dict[str, dict[str, Any]] = {
    "iresnet_tiny": {"depth": 10, "embedding_dim": 32, "widths": (16, 16, 16, 32), "stem_stride": 2},
    "iresnet_mini": {"depth": 10, "embedding_dim": 256, "widths": (32, 64, 128, 256), "stem_stride": 2},
}

# Arguments of `nonesuch.embedders.vit.FaceViT`.
VITS: dict[str, dict[str, Any]] = {
    "vit_tiny": {"dim": 16, "depth": 1, "heads": 2, "patch": 28, "embedding_dim": 32},
    "vit_small": {"dim": 512, "depth": 12, "heads": 8},
    "vit_base": {"dim": 512, "depth": 24, "heads": 8},
}
