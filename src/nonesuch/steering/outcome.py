"""The results of steering a dataset's images, in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nonesuch.formats.columns import read_columns
from nonesuch.steering.columns import GROUP
from nonesuch.steering.wishes import Wish


@dataclass(frozen=True)
class SteeringOutcome:
    """The results for the images that had a wish.

    Attributes:
        columns: folder of the record.
        wishes: as they were written.
        images: how many had a wish.
        accepted: share of these that fulfil it; NaN where there are none, as are the next two.
        steps: mean gradient steps per image.
        identity: mean cosine to the identity's vector.
        younger: images that still look younger than the least age; None where none was asked for.
        all_images: of the dataset.
    """

    columns: Path
    wishes: list[str]
    images: int
    accepted: float
    steps: float
    identity: float
    younger: int | None
    all_images: int


def steering_outcome(folder: Path, wishes: Sequence[Wish], min_age: float | None) -> SteeringOutcome:
    """Count over a dataset's columns; errors as in `read_columns`."""
    found = read_columns(folder, GROUP)
    limits = [name for name in found.column_names if name.endswith(("_low", "_high"))]
    wished = np.any([found[name].is_valid().to_numpy() for name in limits], axis=0)
    asked = found.filter(pa.array(wished))
    share, steps, cosine = (
        float(pc.mean(asked[name]).as_py()) if len(asked) else float("nan")
        for name in ("accepted", "steps", "identity")
    )
    younger = None if min_age is None else int((found["age"].to_numpy() < min_age).sum())
    texts = [wish.text for wish in wishes]
    return SteeringOutcome(folder / "columns" / GROUP, texts, len(asked), share, steps, cosine, younger, len(found))
