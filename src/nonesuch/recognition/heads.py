"""The heads of a recogniser in training: raw embeddings (B, D) and classes (B,) -> a loss."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nonesuch.recognition.margins import MagMargin, own_cosines

_DEVIATION = 0.01  # of the centres at the start, as published


def _exact(embeddings: Tensor) -> Tensor:
    return embeddings if embeddings.dtype == torch.float64 else embeddings.float()


class MarginHead(nn.Module):
    """Class centres whose cosines to the embeddings, behind a margin, are the logits of a cross-entropy.

    Args:
        embedding_dim: width D of the embeddings.
        classes: number C of identities.
        margin: see `nonesuch.recognition.margins`.
        share: of the class centres that takes part in a step (Partial FC, arXiv 2203.15565): those of the batch, and
            others drawn anew at each step.
    """

    def __init__(self, embedding_dim: int, classes: int, margin: nn.Module, share: float = 1.0) -> None:
        super().__init__()
        self.centres = nn.Parameter(_DEVIATION * torch.randn(classes, embedding_dim))
        self.margin, self.share = margin, share

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The loss, a scalar, computed in float32 or better."""
        embeddings = _exact(embeddings)
        centres: Tensor = self.centres
        if self.training and self.share < 1.0:
            chosen, labels = self._sample(labels)
            centres = centres[chosen]
        with torch.autocast(embeddings.device.type, enabled=False):
            cosine = F.normalize(embeddings) @ F.normalize(centres).T
            norms = embeddings.norm(dim=1)
            loss = F.cross_entropy(self.margin(cosine.clamp(-1.0, 1.0), labels, norms), labels)
            return loss + self.margin.penalty(norms) if isinstance(self.margin, MagMargin) else loss

    def _sample(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Classes (K,) that take part, ascending, and the labels' places among these."""
        count = len(self.centres)
        present = torch.unique(labels)
        wanted = max(round(self.share * count), len(present))
        # The generator of the step draws, so that a resumed run draws the same.
        ranks = torch.rand(count).to(labels.device)
        ranks[present] = -1.0
        chosen = ranks.topk(wanted, largest=False).indices.sort().values
        return chosen, torch.searchsorted(chosen, labels)


class UniFaceHead(nn.Module):
    """UniFace's unified cross-entropy (ICCV 2023): one learned threshold b between own and other classes.

    log(1 + exp(-(s * (cos_own - m) - b))) + weight * sum over a share of the others of log(1 + exp(s * cos_j - b)).

    Args:
        embedding_dim, classes: as in `MarginHead`.
        m: .4, taken from the own cosine.
        scale: s.
        weight: lambda of the other classes.
        share: r, of the other classes, drawn anew at each step.
    """

    def __init__(
        self,
        embedding_dim: int,
        classes: int,
        m: float = 0.4,
        scale: float = 64.0,
        weight: float = 1.0,
        share: float = 1.0,
    ) -> None:
        super().__init__()
        self.m, self.scale, self.weight, self.share = m, scale, weight, share
        self.centres = nn.Parameter(_DEVIATION * torch.randn(classes, embedding_dim))
        self.threshold = nn.Parameter(torch.tensor(math.log(10.0 * share * classes)))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The loss, a scalar, computed in float32 or better."""
        embeddings = _exact(embeddings)
        with torch.autocast(embeddings.device.type, enabled=False):
            cosine = F.normalize(embeddings) @ F.normalize(self.centres).T
            own = F.softplus(self.threshold - self.scale * (own_cosines(cosine, labels) - self.m))
            others = F.softplus(self.scale * cosine - self.threshold)
            counted = torch.ones_like(cosine).scatter(1, labels[:, None], 0.0)
            if self.training and self.share < 1.0:
                counted = counted * (torch.rand(cosine.shape) < self.share).to(cosine)
            return own.mean() + self.weight * (others * counted).sum(1).mean()


class TripletHead(nn.Module):
    """FaceNet's triplet loss (arXiv 1503.03832) with semi-hard mining in the batch.

    For each pair of one identity the negative is the nearest that is farther than the positive, or where there is none
    the farthest: max(0, |a - p|^2 - |a - n|^2 + margin) of unit embeddings. A batch needs identities with several
    images: 0 without a pair.

    Args:
        embedding_dim, classes: not needed; taken so that all heads are made alike.
        margin: .2, in squared distance.
    """

    def __init__(self, embedding_dim: int, classes: int, margin: float = 0.2) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The loss, a scalar, computed in float32 or better."""
        embeddings = _exact(embeddings)
        with torch.autocast(embeddings.device.type, enabled=False):
            unit = F.normalize(embeddings)
            distance = (2.0 - 2.0 * unit @ unit.T).clamp(min=0.0)
            same = labels[:, None] == labels[None]
            anchors, positives = torch.nonzero(same & ~torch.eye(len(labels), dtype=torch.bool, device=same.device)).T
            if not len(anchors) or same.all():
                return embeddings.sum() * 0.0
            near = distance[anchors, positives]
            others = distance[anchors].masked_fill(same[anchors], torch.inf)
            farther = others.masked_fill(others <= near[:, None], torch.inf).min(1).values
            farthest = others.masked_fill(others.isinf(), -torch.inf).max(1).values
            negative = torch.where(farther.isfinite(), farther, farthest)
            return (near - negative + self.margin).relu().mean()


def symmetry(left: Tensor, right: Tensor) -> Tensor:
    """SymFace's term (arXiv 2409.11816): mean of 1 - cosine of the embeddings (B, D) of a face's mirrored halves."""
    return 1.0 - F.cosine_similarity(_exact(left), _exact(right)).mean()


def mirrored_halves(images: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 3, H, W) faces -> two faces, each half completed by its own mirror image, in the orientation of the left."""
    half = images.shape[3] // 2
    left, right = images[..., :half], images[..., -half:].flip(3)
    return torch.cat([left, left.flip(3)], dim=3), torch.cat([right, right.flip(3)], dim=3)
