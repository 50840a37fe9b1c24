"""What FLIP of published size sees: pixels, as CLIP prepares them."""

import torch.nn.functional as F
from torch import Tensor

_MEAN = (0.48145466, 0.4578275, 0.40821073)  # of CLIP's training images
_SPREAD = (0.26862954, 0.26130258, 0.27577711)


def prepared(pixels: Tensor, side: int) -> Tensor:
    """(B, 3, H, W) RGB in 0..255 -> (B, 3, side, side), resized bicubically and standardised; nothing is cut off."""
    sized = F.interpolate(pixels, (side, side), mode="bicubic", antialias=True, align_corners=False)
    mean, spread = (sized.new_tensor(values)[:, None, None] for values in (_MEAN, _SPREAD))
    return (sized.clamp(0.0, 255.0) / 255.0 - mean) / spread
