"""FLIP's losses, those of ALBEF (arXiv 2107.07651) and BLIP (arXiv 2201.12086): contrast and matching."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_NEVER = -1e4  # a logit of what is left out
_LEAST = 1e-4  # added to each weight of a hard negative, so that none is impossible


class Said(NamedTuple):
    """What texts say of images, to tell whose is whose.

    Attributes:
        number: (N,) int64, equal where two texts are.
        states: (N,) int64, a bit for each fact that the text states; 0 where that is not known.
        holds: (N,) int64, a bit for each fact that holds for the text's own image.
        person: (N,) int64, equal where the images show one person.
    """

    number: Tensor
    states: Tensor
    holds: Tensor
    person: Tensor


def belonging(texts: Said, images: Said) -> Tensor:
    """(T, I) bool: texts that are true of images, because the image's own text is equal or all that is stated holds."""
    equal = texts.number[:, None] == images.number[None, :]
    missing = texts.states[:, None] & ~images.holds[None, :]
    return equal | ((missing == 0) & (texts.states != 0)[:, None])


def contrast(logits: Tensor, teacher: Tensor, belongs: Tensor, apart: Tensor, alpha: float) -> Tensor:
    """Cross-entropy of each row with soft targets (ALBEF, equation 6).

    Args:
        logits: (B, N) similarities divided by the temperature.
        teacher: (B, N) those of the momentum encoders.
        belongs: (B, N) bool, at least one in each row.
        apart: (B, N) bool, what is left out: neither right nor wrong; nothing that belongs.
        alpha: share of the teacher in the target; the rest is spread over what belongs.

    Returns:
        The mean over rows, a scalar.
    """
    logits, teacher = logits.masked_fill(apart, _NEVER), teacher.masked_fill(apart, _NEVER)
    hard = belongs.to(logits.dtype) / belongs.sum(1, keepdim=True)
    target = alpha * teacher.softmax(1) + (1.0 - alpha) * hard
    return -(logits.log_softmax(1) * target).sum(1).mean()


def hard_negatives(logits: Tensor, belongs: Tensor, draws: Tensor) -> Tensor:
    """(B,) int64: for each row a column that does not belong, the more probable the more alike it looks.

    Args:
        logits: (B, N) similarities divided by the temperature.
        belongs: (B, N) bool, columns that must not be drawn.
        draws: (B,) of [0, 1).

    Where everything belongs, the column is drawn evenly; `matching` must not count it.
    """
    weights = (logits.softmax(1) + _LEAST).masked_fill(belongs, 0.0)
    weights = torch.where((weights.sum(1) > 0)[:, None], weights, 1.0).double().cumsum(1)
    column = torch.searchsorted(weights, draws.double()[:, None] * weights[:, -1:], right=True)[:, 0]
    return column.clamp(max=logits.shape[1] - 1)


def matching(logits: Tensor, belongs: Tensor, counts: Tensor) -> Tensor:
    """Cross-entropy of pairs that belong together or not, over those that count.

    Args:
        logits: (N, 2).
        belongs: (N,) int64, 1 for a text and its own image.
        counts: (N,) bool.
    """
    each = F.cross_entropy(logits, belongs, reduction="none")
    return (each * counts).sum() / counts.sum().clamp(min=1)
