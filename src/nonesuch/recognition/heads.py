"""The heads of a recogniser in training: raw embeddings (B, D) and classes (B,) -> a loss."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nonesuch.core.errors import NonesuchError
from nonesuch.loop import distributed
from nonesuch.loop.split_parameters import drawn_rows, own_rows, sharded
from nonesuch.recognition.margins import MagMargin

_DEVIATION = 0.01  # of the centres at the start, as published


def _exact(embeddings: Tensor) -> Tensor:
    return embeddings if embeddings.dtype == torch.float64 else embeddings.float()


class _Centres(nn.Module):
    """Class centres, split among the processes of a distributed run, and cosines to them.

    The faces of all processes meet the centres of each, so that a loss over all classes needs no process to hold all.
    """

    def __init__(self, embedding_dim: int, classes: int) -> None:
        super().__init__()
        if classes < distributed.world_size():
            raise NonesuchError(f"{classes} identities cannot be shared among {distributed.world_size()} processes")
        self.first = own_rows(classes).start
        self.centres = sharded(_DEVIATION * drawn_rows(classes, embedding_dim), classes)

    def cosines(self, embeddings: Tensor, columns: Tensor, centres: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cosines to the own centres (N,), cosines to these centres (N, K), and which of these are the own (N, K) bool.

        Args:
            columns: (N,) the own centre's place among `centres`; outside 0..K-1 where another process holds it.
        """
        cosine = (F.normalize(embeddings) @ F.normalize(centres).T).clamp(-1.0, 1.0)
        own = columns[:, None] == torch.arange(len(centres), device=columns.device)
        return distributed.sum_of_all((cosine * own).sum(1)), cosine, own


class MarginHead(_Centres):
    """Class centres whose cosines to the embeddings, behind a margin, are the logits of a cross-entropy.

    In a distributed run, each process holds its part of the centres (Partial FC). The loss is that of the whole batch
    over all centres, the same in each process.

    Args:
        embedding_dim: width D of the embeddings.
        classes: number C of identities.
        margin: see `nonesuch.recognition.margins`.
        share: of the class centres that takes part in a step (Partial FC, arXiv 2203.15565): those of the batch, and
            others that are drawn at each step.
    """

    def __init__(self, embedding_dim: int, classes: int, margin: nn.Module, share: float = 1.0) -> None:
        super().__init__(embedding_dim, classes)
        self.margin, self.share = margin, share

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The loss, a scalar, computed in float32 or better."""
        embeddings, columns = distributed.parts_of_all(_exact(embeddings)), distributed.parts_of_all(labels)
        columns = columns - self.first
        centres: Tensor = self.centres
        if self.training and self.share < 1.0:
            chosen, columns = self._sample(columns)
            centres = centres[chosen]
        with torch.autocast(embeddings.device.type, enabled=False):
            own, cosine, is_own = self.cosines(embeddings, columns, centres)
            norms = embeddings.norm(dim=1)
            target, others = self.margin(own, cosine, norms)
            others = others.masked_fill(is_own, -torch.inf)
            # A cross-entropy over the classes of all processes: log(1 + sum of e^(other - target)).
            highest = distributed.highest_of_all(others.detach().amax(1).clamp(min=-1e4))
            total = distributed.sum_of_all((others - highest[:, None]).exp().sum(1))
            total = total.clamp(min=torch.finfo(total.dtype).tiny)  # where there is no other class
            loss = -F.logsigmoid(target - total.log() - highest).mean()
            return loss + self.margin.penalty(norms) if isinstance(self.margin, MagMargin) else loss

    def _sample(self, columns: Tensor) -> tuple[Tensor, Tensor]:
        """This process's centres (K,) that take part, ascending, and the columns' places among them, -1 for others."""
        count = len(self.centres)
        ours = (columns >= 0) & (columns < count)
        present = torch.unique(columns[ours])
        wanted = max(round(self.share * count), len(present), 1)
        # The generator of the step draws, so that a resumed run draws the same.
        ranks = torch.rand(count).to(columns.device)
        ranks[present] = -1.0
        chosen = ranks.topk(wanted, largest=False).indices.sort().values
        return chosen, torch.where(ours, torch.searchsorted(chosen, columns), -1)


class UniFaceHead(_Centres):
    """UniFace's unified cross-entropy (ICCV 2023): one learned threshold b between own and other classes.

    log(1 + exp(-(s * (cos_own - m) - b))) + weight * sum over a share of the others of log(1 + exp(s * cos_j - b)).

    Args:
        embedding_dim, classes: as in `MarginHead`.
        m: 0.4, subtracted from the own cosine.
        scale: s.
        weight: lambda of the other classes.
        share: r, of the other classes, drawn at each step.
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
        super().__init__(embedding_dim, classes)
        self.m, self.scale, self.weight, self.share = m, scale, weight, share
        self.threshold = nn.Parameter(torch.tensor(math.log(10.0 * share * classes)))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The loss, a scalar, computed in float32 or better."""
        embeddings, labels = distributed.parts_of_all(_exact(embeddings)), distributed.parts_of_all(labels)
        with torch.autocast(embeddings.device.type, enabled=False):
            own, cosine, is_own = self.cosines(embeddings, labels - self.first, self.centres)
            pulled = F.softplus(self.threshold - self.scale * (own - self.m))
            pushed = F.softplus(self.scale * cosine - self.threshold).masked_fill(is_own, 0.0)
            if self.training and self.share < 1.0:
                pushed = pushed * (torch.rand(cosine.shape) < self.share).to(cosine)
            return pulled.mean() + self.weight * distributed.sum_of_all(pushed.sum(1)).mean()


class TripletHead(nn.Module):
    """FaceNet's triplet loss (arXiv 1503.03832) with semi-hard mining in the batch.

    For each pair of one identity, the negative is the nearest that is farther than the positive, or the farthest where
    there is none. The loss is max(0, |a - p|^2 - |a - n|^2 + margin) of unit embeddings. A batch needs identities with
    several images: the loss is 0 without a pair.

    Args:
        embedding_dim, classes: not needed; taken so that all heads are made alike.
        margin: 0.2, in squared distance.
    """

    def __init__(self, embedding_dim: int, classes: int, margin: float = 0.2) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The loss, a scalar, computed in float32 or better."""
        embeddings, labels = distributed.parts_of_all(_exact(embeddings)), distributed.parts_of_all(labels)
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
