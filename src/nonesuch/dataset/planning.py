"""Writing the plan: which images a dataset will hold, before any is made."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nonesuch.core import files, parquet, seeding
from nonesuch.formats.plan import IDENTITIES, PLAN, PLAN_SCHEMA, identities_schema
from nonesuch.identities.variation import stratified_sigmas


def write_plan(
    folder: Path,
    vectors: NDArray[np.float32],
    names: Sequence[str],
    images_per_identity: int,
    sigma_mix: Mapping[float, float],
    seed: int,
    images_per_shard: int,
    on_identity: Callable[[int], None] = lambda done: None,
) -> None:
    """Write `plan.parquet` and `identities.parquet` into a dataset folder, one row group per shard.

    Args:
        vectors: (N, D) raw identity vectors; row i gets label i.
        names: (N,) name of each identity, "" where it has none.
        images_per_identity: images of each.
        sigma_mix: share of images by sigma.
        seed: of the dataset; an image's seed is derived from (seed, identity, image).
        images_per_shard: a shard holds as many whole identities as fit, at least one.
        on_identity: told how many identities are planned.

    Raises:
        NonesuchError: the folder cannot be written.
    """
    per_shard = max(images_per_shard // images_per_identity, 1)
    schema = identities_schema(vectors.shape[1])
    image = np.arange(images_per_identity, dtype=np.int32)
    with (
        files.replacing(folder / PLAN) as plan_path,
        files.replacing(folder / IDENTITIES) as identities_path,
        parquet.writer(plan_path, PLAN_SCHEMA) as plan,
        parquet.writer(identities_path, schema) as identities,
    ):
        for start in range(0, len(vectors), per_shard):
            labels = range(start, min(start + per_shard, len(vectors)))
            seeds = [seeding.derive_seed(seed, label, int(number)) for label in labels for number in image]
            sigmas = [
                stratified_sigmas(sigma_mix, images_per_identity, seeding.derive_seed(seed, label)) for label in labels
            ]
            rows = {
                "identity": np.repeat(np.array(labels), images_per_identity),
                "image": np.tile(image, len(labels)),
                "seed": np.array(seeds, dtype=np.uint64),
                "sigma": np.concatenate(sigmas),
            }
            plan.write_table(pa.table(rows, PLAN_SCHEMA), row_group_size=len(seeds))
            block = vectors[labels.start : labels.stop]
            column = pa.FixedSizeListArray.from_arrays(pa.array(block.ravel(), pa.float32()), block.shape[1])
            columns = [pa.array(labels, pa.int64()), pa.array(names[labels.start : labels.stop], pa.string()), column]
            identities.write_table(pa.table(columns, schema=schema), row_group_size=len(labels))
            on_identity(labels.stop)
