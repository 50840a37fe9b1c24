"""Pictures in a folder, and the same in a tar."""

import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from nonesuch.core import images, parquet
from nonesuch.formats.plan import IDENTITIES, PLAN, PLAN_SCHEMA, identities_schema
from nonesuch.formats.shard_writer import ShardWriter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of one grey level each, their number in this list, beside files that are not pictures."""
    root = tmp_path / "faces"
    for level, name in enumerate(["bo/2.png", "bo/1.png", "al/1.png", "solo.png", ".hidden.png"]):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(images.encode(np.full((8, 8, 3), level, np.uint8), "png", 1))
    (root / "notes.txt").write_text("no image")
    return root


@pytest.fixture
def tar(folder: Path, tmp_path: Path) -> Path:
    """The folder as `tar -cf faces.tar .` packs it."""
    path = tmp_path / "faces.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(folder, arcname=".")
    return path


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """The plan and the shards of a dataset: identities 4 and 9, 7, 2, with two images each. There is no manifest."""
    root = tmp_path / "ours"
    (root / "shards").mkdir(parents=True)
    with (
        parquet.writer(root / PLAN, PLAN_SCHEMA) as plan,
        parquet.writer(root / IDENTITIES, identities_schema(2)) as who,
    ):
        for number, labels in enumerate(([9, 4], [7], [2])):
            writer = ShardWriter(root, number, ".png", "made", {"codec": "png"})
            rows = [(label, image, 10 * label + image, 0.5) for label in sorted(labels) for image in (0, 1)]
            for row in rows:
                writer.add(*row, images.encode(np.full((8, 8, 3), row[2], np.uint8), "png", 1))
            writer.complete()
            columns = dict(zip(PLAN_SCHEMA.names, zip(*rows, strict=True), strict=True))
            plan.write_table(pa.table(columns, PLAN_SCHEMA))
            vectors = [[float(label), 1.0] for label in labels]
            people = {"identity": labels, "name": [f"n{label}" for label in labels], "embedding": vectors}
            who.write_table(pa.table(people, schema=identities_schema(2)))
    return root
