"""What is known of images without looking: labels of a table, and targets that steering reached."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nonesuch.captions.facts import FACTS
from nonesuch.captions.thresholds import truths
from nonesuch.core import tables
from nonesuch.core.errors import NonesuchError
from nonesuch.formats.photographs import plain_name

_LOW, _HIGH = "_low", "_high"
_COLUMN_OF = {"gender": "male"}  # wishes for a gender name the probability of the other one


@dataclass(frozen=True)
class Labels:
    """A table of true values.

    Attributes:
        row: by name of an image, its row.
        truth: (rows, F) whether each fact holds, 1 or 0; NaN where it is not known.
    """

    row: dict[str, int]
    truth: NDArray[np.float64]

    def of(self, names: Sequence[str]) -> NDArray[np.float64]:
        """(N, F) for images by name; NaN throughout for one that the table does not name."""
        unknown = np.full((1, self.truth.shape[1]), np.nan)
        rows = [self.row.get(plain_name(name), len(self.truth)) for name in names]
        return np.concatenate([self.truth, unknown])[rows]


def read_labels(path: Path) -> Labels:
    """Labels of a table (Parquet, CSV) with a column `file` or `key`, and any of the facts' columns.

    Those are CelebA's 40 attributes, 0 or 1, in any case; `yaw` in degrees; `age` in years.

    Raises:
        NonesuchError: the table cannot be read, names no image, or none of those columns.
    """
    names = tables.column_names(path)
    key = next((name for name in ("file", "key") if name in names), None)
    if key is None:
        raise NonesuchError(f"{path}: lacks a column file or key; it has {', '.join(names)}")
    wanted = {fact.column for fact in FACTS}
    there = [name for name in names if name.lower() in wanted]
    if not there:
        raise NonesuchError(f"{path}: none of its columns is a label of captions: {', '.join(sorted(wanted))}")
    found = tables.read_columns(path, [key], numbers=there)
    columns = {name.lower(): np.array(found[name], dtype=np.float64) for name in there}
    count = len(found[key])
    return Labels(
        {plain_name(name): row for row, name in enumerate(found[key]) if name is not None}, truths(columns, count)
    )


def steered_truth(columns: pa.Table) -> NDArray[np.float64]:
    """(N, F) what accepted images of a steered dataset show: a fact that all values of the wished range share.

    Args:
        columns: of the group `steering`.
    """
    accepted = columns["accepted"].to_numpy()
    found = np.full((len(columns), len(FACTS)), np.nan)
    wishes = [name.removesuffix(_LOW) for name in columns.column_names if name.endswith(_LOW)]
    for wish in wishes:
        low, high = (columns[wish + end].to_numpy(zero_copy_only=False).astype(np.float64) for end in (_LOW, _HIGH))
        column = _COLUMN_OF.get(wish, wish)
        if wish in _COLUMN_OF:
            low, high = 1.0 - high, 1.0 - low
        there = accepted & np.isfinite(low) & np.isfinite(high)
        ends = [
            truths({column: np.where(there, value, np.nan)}, len(columns)) for value in (low, (low + high) / 2, high)
        ]
        agreed = (ends[0] == ends[1]) & (ends[1] == ends[2])
        found = np.where(agreed, ends[0], found)
    return found
