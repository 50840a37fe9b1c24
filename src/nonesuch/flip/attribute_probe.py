"""What a frozen image encoder holds: a linear layer over a mixture of its layers (FLIP, arXiv 2407.08515)."""

import torch
from torch import Tensor, nn

from nonesuch.core.devices import autocast
from nonesuch.core.images import Pixels
from nonesuch.flip.model import FlipModel

SUMMARIES = 3  # of a layer: the class token, and mean and maximum over the places
_DEPTHS = (1 / 3, 1 / 2, 2 / 3, 1)  # layers 4, 6, 8 and 12 of 12, as published


class AttributeProbe(nn.Module):
    """A shared LayerNorm, a weight for each summary of each layer, and one linear layer.

    Args:
        layers: summarised layers.
        width: of the encoder.
        labels: yes-or-no labels.

    Shapes: (B, layers, SUMMARIES, width) -> (B, labels) logits.
    """

    def __init__(self, layers: int, width: int, labels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mixture = nn.Parameter(torch.full((layers, SUMMARIES, 1), 1.0 / (layers * SUMMARIES)))
        self.linear = nn.Linear(width, labels)

    def forward(self, summaries: Tensor) -> Tensor:
        return self.linear((self.norm(summaries) * self.mixture).sum((1, 2)))


def summarised(model: FlipModel, crops: Pixels) -> Tensor:
    """(N, 112, 112, 3) uint8 aligned crops -> (N, layers, SUMMARIES, width) float32 on the CPU.

    The layers lie a third, half, two thirds of the way and at the end; a shallow encoder has fewer different ones.
    """
    with torch.inference_mode(), autocast(model.device, model.dtype):
        states = model.layers(crops)
        depth = len(states) - 1
        chosen = sorted({round(depth * share) for share in _DEPTHS})
        parts = [torch.stack([x[:, 0], x[:, 1:].mean(1), x[:, 1:].amax(1)], dim=1) for x in (states[d] for d in chosen)]
        return torch.stack(parts, dim=1).float().cpu()
