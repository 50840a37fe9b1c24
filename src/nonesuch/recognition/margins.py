"""Margins: cosines between embeddings and class centres -> logits that are harder for the right class.

All take cosines (B, C) in [-1, 1], the column (B,) of each row's own class (-1 where it is not among the columns), and
the raw embeddings' norms (B,), and give logits (B, C) for cross-entropy. The formulas are differentiated as they stand;
the published code of ArcFace, CosFace and SphereFace changes the own logit under no_grad, i.e. passes gradients straight
through, which `straight_through` reproduces.
"""

import math

import torch
from torch import Tensor, nn

_EPS = 1e-6  # keeps an angle's derivative finite where cosine is 1 or -1


def angle(cosine: Tensor) -> Tensor:
    """Arc cosine in [0, pi] with a finite derivative everywhere."""
    return cosine.clamp(-1.0 + _EPS, 1.0 - _EPS).acos()


def replaced(cosine: Tensor, own: Tensor, values: Tensor) -> Tensor:
    """A copy of (B, C) with the own class's entry of each row replaced by (B,) values, where there is one."""
    here = own >= 0
    at = own.clamp(min=0)[:, None]
    return cosine.scatter(1, at, torch.where(here, values, cosine.gather(1, at)[:, 0])[:, None])


def own_cosines(cosine: Tensor, own: Tensor) -> Tensor:
    """(B,) the own class's entry of each row; arbitrary where there is none."""
    return cosine.gather(1, own.clamp(min=0)[:, None])[:, 0]


class CombinedMargin(nn.Module):
    """cos(m1 * theta + m2) - m3 of the own class, times s (ArcFace, arXiv 1801.07698, equation 4).

    (1, 0, 0) is the normalised softmax, (1, .5, 0) ArcFace, (1, 0, .35) CosFace (arXiv 1801.09414), (1.7, 0, 0)
    SphereFace (arXiv 1704.08063). Where m1 * theta + m2 exceeds pi the cosine is continued so that it goes on falling:
    by psi(x) = (-1)^k cos(x) - 2k, k = floor(x / pi), as SphereFace does.

    Args:
        m1, m2, m3: multiplied with the angle, added to it (radians), taken from its cosine.
        scale: s.
        straight_through: the gradient of the own cosine passes as if there were no margin, as in the published code.
    """

    def __init__(
        self, m1: float = 1.0, m2: float = 0.0, m3: float = 0.0, scale: float = 64.0, straight_through: bool = False
    ) -> None:
        super().__init__()
        self.m1, self.m2, self.m3, self.scale, self.straight_through = m1, m2, m3, scale, straight_through

    def forward(self, cosine: Tensor, own: Tensor, norms: Tensor) -> Tensor:
        """Logits, see the module's docstring."""
        mine = own_cosines(cosine, own)
        if self.m1 == 1.0 and self.m2 == 0.0:
            moved = mine - self.m3
        else:
            turned = self.m1 * angle(mine) + self.m2
            rounds = (turned.detach() / math.pi).floor()
            moved = turned.cos() * (1.0 - 2.0 * (rounds % 2)) - 2.0 * rounds - self.m3
        if self.straight_through:
            moved = mine + (moved - mine).detach()
        return self.scale * replaced(cosine, own, moved)
