"""Margins: cosines between embeddings and class centres -> logits that are harder for the right class.

All take cosines in [-1, 1], (B,) to each face's own class and (B, K) to classes, and the raw embeddings' norms (B,). A
face's own class may be among the K and does not count there. They give the logits (B,) of the own and (B, K) of the
other classes for cross-entropy. The formulas are differentiated as they are. The published code of ArcFace, CosFace and
SphereFace changes the own logit under no_grad, i.e. passes gradients straight through, which `straight_through`
reproduces.
"""

import math

import torch
from torch import Tensor, nn

_ANGLE = 1e-3  # angles are kept so far from 0 and pi, as published
_EPS = 1e-6  # keeps an angle's derivative finite where cosine is 1 or -1


def angle(cosine: Tensor) -> Tensor:
    """Arc cosine in [0, pi] with a finite derivative everywhere."""
    return cosine.clamp(-1.0 + _EPS, 1.0 - _EPS).acos()


def falling_cosine(turned: Tensor) -> Tensor:
    """Cosine up to pi, continued beyond so that it keeps falling: (-1)^k cos(x) - 2k with k = floor(x / pi)."""
    rounds = (turned.detach() / math.pi).floor()
    return turned.cos() * (1.0 - 2.0 * (rounds % 2)) - 2.0 * rounds


class CombinedMargin(nn.Module):
    """cos(m1 * theta + m2) - m3 of the own class, times s (ArcFace, arXiv 1801.07698, equation 4).

    (1, 0, 0) is the normalised softmax, (1, 0.5, 0) ArcFace, (1, 0, 0.35) CosFace (arXiv 1801.09414), (1.7, 0, 0)
    SphereFace (arXiv 1704.08063). Where m1 * theta + m2 exceeds pi the cosine is continued as SphereFace does, see
    `falling_cosine`.

    Args:
        m1, m2, m3: multiplied with the angle, added to it (radians), subtracted from its cosine.
        scale: s.
        straight_through: the gradient of the own cosine passes as if there were no margin, as in the published code.
    """

    def __init__(
        self, m1: float = 1.0, m2: float = 0.0, m3: float = 0.0, scale: float = 64.0, straight_through: bool = False
    ) -> None:
        super().__init__()
        self.m1, self.m2, self.m3, self.scale, self.straight_through = m1, m2, m3, scale, straight_through

    def forward(self, own: Tensor, others: Tensor, norms: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, see the module's docstring."""
        if self.m1 == 1.0 and self.m2 == 0.0:
            moved = own - self.m3
        else:
            moved = falling_cosine(self.m1 * angle(own) + self.m2) - self.m3
        if self.straight_through:
            moved = own + (moved - own).detach()
        return self.scale * moved, self.scale * others


class CurricularMargin(nn.Module):
    """CurricularFace (arXiv 2004.00288): an angular margin, and hard classes weigh more as training goes on.

    A class j with cos_j > cos(theta + m) gets cos_j * (t + cos_j); t is the running mean of the own cosines.

    Args:
        m: added to the own angle, radians.
        scale: s.
        momentum: share of a batch in t, 0.01 as published.
    """

    t: Tensor

    def __init__(self, m: float = 0.5, scale: float = 64.0, momentum: float = 0.01) -> None:
        super().__init__()
        self.arc, self.scale, self.momentum = CombinedMargin(1.0, m, 0.0, 1.0), scale, momentum
        self.register_buffer("t", torch.zeros(()))

    def forward(self, own: Tensor, others: Tensor, norms: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, see the module's docstring."""
        if self.training:
            self.t.lerp_(own.detach().mean().to(self.t.dtype), self.momentum)
        moved, others = self.arc(own, others, norms)
        others = torch.where(others > moved[:, None], others * (self.t + others), others)
        return self.scale * moved, self.scale * others


class MagMargin(nn.Module):
    """MagFace (arXiv 2103.06627): the angular margin grows with the embedding's norm, which a penalty pulls up.

    Args:
        low_norm, high_norm: l_a and u_a; norms are clipped to them.
        low_margin, high_margin: l_m and u_m, radians.
        weight: lambda_g of the penalty g(a) = 1 / a + a / u_a^2; 35 in the paper, 20 in its code.
        scale: s.
    """

    def __init__(
        self,
        low_norm: float = 10.0,
        high_norm: float = 110.0,
        low_margin: float = 0.45,
        high_margin: float = 0.8,
        weight: float = 35.0,
        scale: float = 64.0,
    ) -> None:
        super().__init__()
        self.low_norm, self.high_norm, self.low_margin, self.high_margin = low_norm, high_norm, low_margin, high_margin
        self.weight, self.scale = weight, scale

    def forward(self, own: Tensor, others: Tensor, norms: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, see the module's docstring."""
        norms = norms.clamp(self.low_norm, self.high_norm)
        slope = (self.high_margin - self.low_margin) / (self.high_norm - self.low_norm)
        margin = self.low_margin + slope * (norms - self.low_norm)
        return self.scale * falling_cosine(angle(own) + margin), self.scale * others

    def penalty(self, norms: Tensor) -> Tensor:
        """lambda_g * mean g(a) of raw norms (B,), a scalar to be added to the loss."""
        norms = norms.clamp(self.low_norm, self.high_norm)
        return self.weight * (1.0 / norms + norms / self.high_norm**2).mean()


class AdaMargin(nn.Module):
    """AdaFace (arXiv 2204.00964): the norm, standardised over time, says how good an image is and how it is pushed.

    With n = clip((norm - mean) / (deviation / h), -1, 1): s * (cos(theta - m * n) - (m * n + m)).

    Args:
        m: 0.4.
        h: 0.333: how wide a deviation counts.
        scale: s.
        momentum: share of a batch in the running mean and deviation, 0.01 as published.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, m: float = 0.4, h: float = 0.333, scale: float = 64.0, momentum: float = 0.01) -> None:
        super().__init__()
        self.m, self.h, self.scale, self.momentum = m, h, scale, momentum
        self.register_buffer("mean", torch.tensor(20.0))
        self.register_buffer("deviation", torch.tensor(100.0))

    def forward(self, own: Tensor, others: Tensor, norms: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, see the module's docstring."""
        norms = norms.detach().clamp(1e-3, 100.0)
        if self.training and len(norms) > 1:
            self.mean.lerp_(norms.mean().to(self.mean.dtype), self.momentum)
            self.deviation.lerp_(norms.std().to(self.deviation.dtype), self.momentum)
        quality = ((norms - self.mean) / (self.deviation + 1e-3) * self.h).clamp(-1.0, 1.0)
        turned = (angle(own) - self.m * quality).clamp(_ANGLE, math.pi - _ANGLE)
        return self.scale * (turned.cos() - (self.m * quality + self.m)), self.scale * others
