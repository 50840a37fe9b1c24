"""The results of steering a dataset's images, in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nonesuch.formats.columns import column_names, column_parts
from nonesuch.steering.columns import GROUP
from nonesuch.steering.wishes import Wish

_MEANS = ("accepted", "steps", "identity")  # columns


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
    """Count over a dataset's columns; errors as in `column_parts`."""
    limits = [name for name in column_names(folder, GROUP) if name.endswith(("_low", "_high"))]
    ages = [] if min_age is None else ["age"]
    images = asked = younger = 0
    sums = np.zeros(len(_MEANS))
    for part in column_parts(folder, GROUP, [*limits, *_MEANS, *ages]):
        wished = np.any([part[name].is_valid().to_numpy() for name in limits], axis=0)
        images, asked = images + len(part), asked + int(wished.sum())
        sums += [part[name].to_numpy()[wished].sum(dtype=np.float64) for name in _MEANS]
        younger += 0 if min_age is None else int((part["age"].to_numpy() < min_age).sum())
    share, steps, cosine = (sums / asked).tolist() if asked else [float("nan")] * len(_MEANS)
    texts = [wish.text for wish in wishes]
    young = None if min_age is None else younger
    return SteeringOutcome(folder / "columns" / GROUP, texts, asked, share, steps, cosine, young, images)
