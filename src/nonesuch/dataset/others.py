"""Identities of the same plan that an image is driven away from, where its generator asks for that."""

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import Stream, uniform
from nonesuch.formats.plan import Plan, PlanRows

_MOST = 10_000  # identities to draw from, which bounds the memory


class Others:
    """The first identities of a plan, of which each image draws another than its own by its seed.

    Args:
        plan: names the identities.

    Raises:
        NonesuchError: the plan has one identity only.
    """

    def __init__(self, plan: Plan) -> None:
        if plan.identities < 2:
            raise NonesuchError("--sampler with negative: a dataset of one identity has no other; ask for two or more")
        self._labels, self._vectors = plan.people(_MOST)

    def of(self, rows: PlanRows) -> NDArray[np.float32]:
        """(N, D) raw vectors, one for each planned image."""
        own = np.searchsorted(self._labels, rows.identity)
        own = np.where(self._labels[np.minimum(own, len(self._labels) - 1)] == rows.identity, own, len(self._labels))
        share = np.array([uniform(int(seed), Stream.OTHER, 1)[0] for seed in rows.seed])
        count = len(self._labels) - (own < len(self._labels))
        drawn = (share * count).astype(np.int64)
        return self._vectors[drawn + (drawn >= own)]
