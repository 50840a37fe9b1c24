"""FLIP (arXiv 2407.08515): an image encoder, a text encoder, a space that both share, and a judge of pairs."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nonesuch.flip.text import TextEncoder
from nonesuch.flip.vision import VisionEncoder

TEMPERATURE = 0.07  # that training begins with


class Flip(nn.Module):
    """Images and texts as unit vectors of one space, and the logits of a text belonging to an image.

    Tensor names are those that the authors publish, without momentum twins and queues.

    Args:
        image: arguments of `VisionEncoder`.
        text: arguments of `TextEncoder`, but for `image_width`.
        dim: of the joint space.

    Shapes: images (B, channels, side, side) -> (B, dim); tokens (B, L) int64 -> (B, dim).
    """

    def __init__(self, image: dict[str, Any], text: dict[str, Any], dim: int = 256) -> None:
        super().__init__()
        self.visual_encoder = VisionEncoder(**image)
        self.text_encoder = TextEncoder(**text, image_width=image["width"])
        self.vision_proj = nn.Linear(image["width"], dim)
        self.text_proj = nn.Linear(text["width"], dim)
        self.itm_head = nn.Linear(text["width"], 2)
        self.temp = nn.Parameter(torch.tensor(TEMPERATURE))

    def image_vectors(self, places: Tensor) -> Tensor:
        """Output of the image encoder (B, 1 + places, width) -> (B, dim) unit vectors."""
        return F.normalize(self.vision_proj(places[:, 0]).float(), dim=1)

    def text_vectors(self, read: Tensor) -> Tensor:
        """What stands for each text (B, width), as `TextEncoder.first` gives it -> (B, dim) unit vectors."""
        return F.normalize(self.text_proj(read).float(), dim=1)

    def match(self, tokens: Tensor, places: Tensor) -> Tensor:
        """Tokens (B, L) that begin with [ENC], and image encodings -> (B, 2) logits: another's text, this one's."""
        return self.itm_head(self.text_encoder.first(tokens, places)).float()

    def forward(self, images: Tensor, tokens: Tensor) -> Tensor:
        """Cosines of images and texts, row by row: (B,)."""
        return (
            self.image_vectors(self.visual_encoder(images)) * self.text_vectors(self.text_encoder.first(tokens))
        ).sum(1)
