"""The files that list a dataset's images once its shards are there: the plan's two, and the manifest."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nonesuch.core import files, parquet
from nonesuch.dataset.collected.contents import Contents
from nonesuch.dataset.collected.provenance import with_parts
from nonesuch.formats.manifest import Manifest, Part, ShardRecord
from nonesuch.formats.plan import IDENTITIES, PLAN, PLAN_SCHEMA, identities_schema
from nonesuch.formats.shards import TAR_HASH, read_index, shard_files


def write_listing(folder: Path, draft: Manifest, contents: Contents, shards: int) -> Manifest:
    """Write `plan.parquet` and `identities.parquet` from the shards' indices; returns the manifest of the whole.

    Raises:
        NonesuchError: an index is damaged, or the disk is full.
    """
    labels_of = np.array([person.label for person in contents.people])
    first = contents.vectors([0])
    schema = identities_schema(None if first is None else first.shape[1])
    images, identities = Counter[int](), Counter[int]()
    records: list[ShardRecord] = []
    with (
        files.replacing(folder / PLAN) as plan_path,
        files.replacing(folder / IDENTITIES) as identities_path,
        parquet.writer(plan_path, PLAN_SCHEMA) as plan,
        parquet.writer(identities_path, schema) as people,
    ):
        for number in range(shards):
            place = shard_files(folder, number)
            index = read_index(place.index)
            rows = index.select(["label", "image", "seed", "sigma"]).rename_columns(PLAN_SCHEMA.names)
            plan.write_table(rows.cast(PLAN_SCHEMA), row_group_size=len(rows))
            labels = np.unique(index["label"].to_numpy())
            people.write_table(
                _people(contents, np.searchsorted(labels_of, labels), schema), row_group_size=len(labels)
            )
            parts = index["part"].to_numpy()
            images.update(parts.tolist())
            identities.update(np.unique(np.stack([parts, index["label"].to_numpy()]), axis=1)[0].tolist())
            records.append(
                {
                    "tar": f"shards/{place.tar.name}",
                    "images": len(index),
                    "identities": len(labels),
                    "sha256": index.schema.metadata[TAR_HASH].decode(),
                }
            )
    counted: list[Part] = [
        {**part, "identities": identities[number], "images": images[number]}
        for number, part in enumerate(draft.made_from)
    ]
    whole = replace(
        draft,
        identities=sum(record["identities"] for record in records),
        images=sum(record["images"] for record in records),
        plan_sha256=files.sha256(folder / PLAN),
        identities_sha256=files.sha256(folder / IDENTITIES),
        shards=records,
        complete=True,
    )
    return with_parts(whole, counted)


def _people(contents: Contents, places: NDArray[np.int64], schema: pa.Schema) -> pa.Table:
    """The rows of `identities.parquet` of identities, by their places among the contents'."""
    chosen = [contents.people[place] for place in places]
    columns = [
        pa.array([person.label for person in chosen], pa.int64()),
        pa.array([person.name for person in chosen], pa.string()),
    ]
    if (vectors := contents.vectors(places.tolist())) is not None:
        columns.append(pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float32()), vectors.shape[1]))
    return pa.table(columns, schema=schema)
