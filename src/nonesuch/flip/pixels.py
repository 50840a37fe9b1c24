"""What FLIP of published size sees: pixels, as CLIP prepares them."""

import torch.nn.functional as F
from torch import Tensor

from nonesuch.core.rand_augment import DRAWS_EACH, rand_augmented

_OPERATIONS, _MAGNITUDE = 2, 15.0  # RandAugment(2, 5) of a code base that counts to 10; ours counts to 30
_AMONG = ("identity", "brightness", "sharpness", "equalize", "shear x", "shear y", "shift x", "shift y", "rotate")
DRAWS = _OPERATIONS * DRAWS_EACH

_MEAN = (0.48145466, 0.4578275, 0.40821073)  # of CLIP's training images
_SPREAD = (0.26862954, 0.26130258, 0.27577711)


def prepared(pixels: Tensor, side: int) -> Tensor:
    """(B, 3, H, W) RGB in 0..255 -> (B, 3, side, side), resized bicubically and standardised; nothing is cut off."""
    sized = F.interpolate(pixels, (side, side), mode="bicubic", antialias=True, align_corners=False)
    mean, spread = (sized.new_tensor(values)[:, None, None] for values in (_MEAN, _SPREAD))
    return (sized.clamp(0.0, 255.0) / 255.0 - mean) / spread


def disturbed(pixels: Tensor, draws: Tensor) -> Tensor:
    """Changed copies of (B, 3, H, W) RGB in 0..255, as FLIP is trained on; draws (B, DRAWS) of [0, 1)."""
    return (rand_augmented(pixels / 127.5 - 1.0, draws, _OPERATIONS, _MAGNITUDE, _AMONG) + 1.0) * 127.5
