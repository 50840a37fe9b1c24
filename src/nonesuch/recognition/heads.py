"""The head of a recogniser in training: class centres, a margin, cross-entropy."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nonesuch.recognition.margins import MagMargin

_DEVIATION = 0.01  # of the centres at the start, as published


class MarginHead(nn.Module):
    """Class centres whose cosines to the embeddings, behind a margin, are the logits of a cross-entropy.

    Args:
        embedding_dim: width D of the embeddings.
        classes: number C of identities.
        margin: see `nonesuch.recognition.margins`.
    """

    def __init__(self, embedding_dim: int, classes: int, margin: nn.Module) -> None:
        super().__init__()
        self.centres = nn.Parameter(_DEVIATION * torch.randn(classes, embedding_dim))
        self.margin = margin

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Loss of raw embeddings (B, D) and their classes (B,), a scalar, computed in float32 or better."""
        embeddings = embeddings if embeddings.dtype == torch.float64 else embeddings.float()
        with torch.autocast(embeddings.device.type, enabled=False):
            cosine = F.normalize(embeddings) @ F.normalize(self.centres).T
            norms = embeddings.norm(dim=1)
            loss = F.cross_entropy(self.margin(cosine.clamp(-1.0, 1.0), labels, norms), labels)
            return loss + self.margin.penalty(norms) if isinstance(self.margin, MagMargin) else loss
