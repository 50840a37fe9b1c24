"""What images can be steered to: each quantity with its limits, its tolerance, its unit and how it is read."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nonesuch.perception.attributes import ATTRIBUTES, Perceived

# What the heads say about a batch, and its quality (B,) -> the quantity (B,), differentiable.
Reading = Callable[[Perceived, Tensor], Tensor]


@dataclass(frozen=True)
class Quantity:
    """Something that can be wished for.

    Attributes:
        low, high: limits of what a wish may name.
        tolerance: the distance from a single value that counts as reached.
        unit: what counts as a miss of 1, on the scale of `read`.
        read: takes it from what the perceiver sees; for a probability, the logit.
        is_probability: whether it is one.
        from_window: whether the perceiver gives it only at its second look.
    """

    low: float
    high: float
    tolerance: float
    unit: float
    read: Reading
    is_probability: bool = False
    from_window: bool = False

    def value(self, read: Tensor) -> Tensor:
        """What was read, on the quantity's own scale."""
        return read.sigmoid() if self.is_probability else read

    def as_read(self, value: Tensor) -> Tensor:
        """A value on the scale of `read`; probabilities up to 0 and from 1 up become -inf and +inf: no limit."""
        return torch.logit(value.clamp(0.0, 1.0)) if self.is_probability else value


def _probability(read: Reading, from_window: bool = False) -> Quantity:
    return Quantity(0.0, 1.0, 0.3, 2.0, read, is_probability=True, from_window=from_window)


def _attribute(number: int) -> Quantity:
    return _probability(lambda seen, quality: seen.attributes[:, number])


# Degrees, years, points; gender is the probability of female.
QUANTITIES: dict[str, Quantity] = {
    "yaw": Quantity(-90.0, 90.0, 3.0, 10.0, lambda seen, quality: seen.pose[:, 0]),
    "pitch": Quantity(-60.0, 60.0, 3.0, 10.0, lambda seen, quality: seen.pose[:, 1]),
    "age": Quantity(0.0, 100.0, 3.0, 10.0, lambda seen, quality: seen.years, from_window=True),
    "quality": Quantity(0.0, 100.0, 5.0, 20.0, lambda seen, quality: quality),
    "gender": _probability(lambda seen, quality: seen.gender, from_window=True),
    **{name: _attribute(number) for number, name in enumerate(ATTRIBUTES)},
}
