"""The results of steering, as columns of a dataset."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nonesuch.steering.steerer import Steered
from nonesuch.steering.wishes import Wish

GROUP = "steering"


def steered_columns(wishes: Sequence[Wish], found: Steered) -> pa.Table:
    """A row per image.

    Returns:
        For each wish NAME (a second one of the same name is NAME_2): NAME_low and NAME_high, the accepted range, null
        where nothing was wished for, and NAME, what was found. Then identity (cosine to the identity's vector), steps,
        accepted, the vector (raw) behind the image, and the style code where the generator has one.
    """
    columns: dict[str, pa.Array] = {}
    for number, wish in enumerate(wishes):
        earlier = sum(other.name == wish.name for other in wishes[:number])
        name = wish.name if not earlier else f"{wish.name}_{earlier + 1}"
        columns[f"{name}_low"] = pa.array(found.ranges[:, number, 0], pa.float32(), from_pandas=True)
        columns[f"{name}_high"] = pa.array(found.ranges[:, number, 1], pa.float32(), from_pandas=True)
        columns[name] = pa.array(found.values[:, number], pa.float32(), from_pandas=True)
    columns["identity"] = pa.array(found.identity, pa.float32(), from_pandas=True)
    columns["steps"] = pa.array(found.steps, pa.int32())
    columns["accepted"] = pa.array(found.accepted, pa.bool_())
    columns["vector"] = _lists(found.vectors)
    if found.styles.shape[1]:
        columns["style"] = _lists(found.styles)
    return pa.table(columns)


def _lists(rows: NDArray[np.float32]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel(), pa.float32()), rows.shape[1])
