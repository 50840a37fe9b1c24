"""Quotas: which share of the identities shows what, in the perceiver's eyes."""

import re
from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nonesuch.core.conditions import rows_that_meet
from nonesuch.core.devices import exact, one_core
from nonesuch.core.errors import NonesuchError
from nonesuch.identities.plain_images import PlainImages
from nonesuch.perception.perceiver import Perceiver

_QUOTA = re.compile(r"\s*(?P<share>\d+\.?\d*|\.\d+)\s*%\s*:\s*(?P<condition>.+)", re.DOTALL)


class Quotas:
    """Groups of identities by what their plain image shows, and how many of each are wanted.

    An identity belongs to the first quota whose condition its plain image meets (see `plain_images`); to the rest where
    it meets none. The rest gets what the shares leave.

    Args:
        texts: `SHARE%: CONDITION` each; the condition is SQL over `nonesuch.perception.perceiver.COLUMNS`, such as
            "30%: ethnicity = 'Asian' and gender = 'female' and age between 20 and 60".
        images: which renders the images.
        perceiver: which judges them.

    Raises:
        NonesuchError: a text or a condition cannot be read, or the shares are more than 100% together.
    """

    def __init__(self, texts: Sequence[str], images: PlainImages, perceiver: Perceiver) -> None:
        self._images, self._perceiver = images, perceiver
        self.shares, self.conditions = [], []
        for text in texts:
            found = _QUOTA.fullmatch(text)
            if found is None:
                raise NonesuchError(f'--quota {text!r}: write it as SHARE%: CONDITION, such as "30%: age >= 60"')
            self.shares.append(float(found["share"]) / 100)
            self.conditions.append(found["condition"].strip())
        if sum(self.shares) > 1 + 1e-9:
            raise NonesuchError(f"--quota: the shares are {100 * sum(self.shares):g}% together; 100% at most")

    def record(self) -> dict[str, Any]:
        """What determines the groups, JSON-ready."""
        texts = [f"{100 * share:g}%: {what}" for share, what in zip(self.shares, self.conditions, strict=True)]
        return {"quotas": texts, "quotas_perceiver_sha256": self._perceiver.card.sha256}

    def room(self, count: int) -> NDArray[np.int64]:
        """(quotas + 1,) how many of `count` identities each group gets, to the nearest whole number; the rest last."""
        ends = np.rint(np.cumsum(self.shares) * count).astype(np.int64)
        return np.diff(ends, prepend=0, append=count)

    def groups(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """(N, D) raw identity vectors -> (N,) the group of each, as in `room`."""
        images = self._images(vectors)
        with exact(), one_core(self._perceiver.embedder.device):
            seen = self._perceiver.perceive(images)
        groups = np.full(len(vectors), len(self.conditions))
        for group in reversed(range(len(self.conditions))):
            with duckdb.connect() as connection:
                connection.register("seen", pa.table(seen))
                met = rows_that_meet(connection, ["seen"], len(vectors), self.conditions[group], "--quota")
            groups[met] = group
        return groups

    def missing(self, room: NDArray[np.int64]) -> str:
        """In words, which groups have room left."""
        names = [*(repr(condition) for condition in self.conditions), "the rest"]
        return "; ".join(f"{left} of {name}" for left, name in zip(room, names, strict=True) if left)
