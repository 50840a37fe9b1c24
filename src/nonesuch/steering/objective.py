"""How far images are from what was asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nonesuch.perception.perceiver import Perceiver
from nonesuch.steering.wishes import Wish

# A penalty of the user's own: (B, 3, 112, 112) RGB in 0..255 -> (B,), differentiable; 0 or less is accepted.
Penalty = Callable[[Tensor], Tensor]

_COSINE_UNIT, _COSINE_ROOM = 0.1, 0.03


@dataclass(frozen=True)
class Judgement:
    """What was found in a batch.

    Attributes:
        values: (B, wishes) what each wish is about: degrees, years, points, probability.
        identity: (B,) cosine between the image's embedding and the base vector.
        loss: (B,) the quantity to minimise; gradients flow from it.
        miss: (B,) how far from acceptance, 0 where accepted.
        accepted: (B,) bool.
    """

    values: Tensor
    identity: Tensor
    loss: Tensor
    miss: Tensor
    accepted: Tensor


class Objective:
    """Wishes, an identity to hold to, and perhaps a penalty of the user's own.

    Args:
        perceiver: judges the images.
        wishes: what they should show.
        least_identity: least cosine to the base vector of an accepted image.
        penalty: any further objective, see `Penalty`.
    """

    def __init__(
        self, perceiver: Perceiver, wishes: Sequence[Wish], least_identity: float, penalty: Penalty | None = None
    ) -> None:
        self.perceiver, self.wishes = perceiver, list(wishes)
        self.least_identity, self.penalty = least_identity, penalty
        self._window = any(wish.quantity.from_window for wish in wishes)

    def judge(self, pixels: Tensor, bases: Tensor, ranges: Tensor) -> Judgement:
        """Judge images.

        Args:
            pixels: (B, 3, 112, 112) RGB in 0..255.
            bases: (B, D) the identities' vectors.
            ranges: (B, wishes, 2) accepted ranges, NaN where nothing is wished for.
        """
        seen, embeddings = self.perceiver.look(pixels, self._window)
        quality = self.perceiver.quality(embeddings)
        identity = torch.cosine_similarity(embeddings, bases)
        below = self.least_identity - identity
        loss, miss = ((below + _COSINE_ROOM) / _COSINE_UNIT).relu(), (below / _COSINE_UNIT).relu()
        values = []
        for number, wish in enumerate(self.wishes):
            what = wish.quantity
            low, high = ranges[:, number].unbind(1)
            low, high = what.as_read(low.nan_to_num(-torch.inf)), what.as_read(high.nan_to_num(torch.inf))
            raw, unit = what.read(seen, quality), what.unit
            values.append(what.value(raw))
            # The loss aims a little inside the range.
            room = (0.25 * (high - low)).clamp(max=0.3 * unit)
            loss = loss + ((low + room - raw).relu() + (raw - high + room).relu()) / unit
            miss = miss + ((low - raw).relu() + (raw - high).relu()) / unit
        if self.penalty is not None:
            own = self.penalty(pixels)
            loss, miss = loss + own.relu(), miss + own.relu()
        shown = torch.stack(values, dim=1) if values else pixels.new_zeros(len(pixels), 0)
        if self.penalty is None:
            # Nothing is asked of an image without a wish, so that it stays as it was planned.
            miss = torch.where(ranges.isnan().flatten(1).all(1), 0.0, miss)
        return Judgement(shown.detach(), identity.detach(), loss, miss.detach(), miss.detach() == 0)
