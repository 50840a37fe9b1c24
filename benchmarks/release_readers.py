"""A release, read by the libraries that it is made for: mlcroissant validates and reads it, datasets loads it.

    nonesuch release faces
    CROISSANT_CACHE=$(mktemp -d) python benchmarks/release_readers.py faces

Needs the PyPI packages mlcroissant and datasets. mlcroissant keeps unpacked archives by their relative address, so that
a second dataset would be taken for the first without a cache of its own.
"""

import hashlib
import sys
from pathlib import Path

import datasets
import mlcroissant
import numpy as np
import pyarrow.parquet as pq


def main(folder: Path) -> None:
    """Print what each library found, after comparing every record with the dataset."""
    parts = [pq.read_table(path) for path in sorted((folder / "shards").glob("*.parquet"))]
    rows = {row["key"]: row for part in parts for row in part.to_pylist()}

    read = mlcroissant.Dataset(folder / "croissant.json")
    print("mlcroissant:", read.metadata.ctx.conforms_to.value, read.metadata.ctx.issues.report() or "no remark")
    seen = {}
    for record in read.records("images"):
        key = record["images/key"].decode()
        row = rows[key]
        assert (record["images/label"], record["images/seed"]) == (row["label"], row["seed"])
        assert (record["images/number"], record["images/sigma"]) == (row["image"], np.float32(row["sigma"]))
        seen[key] = hashlib.sha256(np.asarray(record["images/image"]).tobytes()).digest()
    assert seen.keys() == rows.keys()
    print(f"mlcroissant: {len(seen)} records with image, label, number, seed and sigma, as in the shards")

    loaded = datasets.load_dataset(str(folder), split="train")
    assert len(loaded) == len(rows)
    for sample in loaded:
        assert sample["cls"] == rows[sample["__key__"]]["label"]
        assert hashlib.sha256(np.asarray(sample["jpg"]).tobytes()).digest() == seen[sample["__key__"]]
    print(f"datasets {datasets.__version__}: {len(loaded)} images and labels, the same pixels")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
