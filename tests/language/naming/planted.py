"""Planted people: faces that are near to their person's vector, and captions that name them among others."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nonesuch.core import parquet
from nonesuch.identities.table import OF_PHOTOGRAPHS, PHOTOGRAPHS, table_metadata

FIRST = ("Ann", "Bo", "Cleo", "Dag", "Eve", "Finn", "Gro", "Hal", "Ida", "Jon", "Kim", "Leo")
LAST = ("Abel", "Birk", "Coy", "Dahl", "Eik", "Falk", "Grue", "Holm", "Ims", "Juul", "Krog", "Lund")
PEOPLE = [f"{first} {last}" for first, last in zip(FIRST, LAST, strict=True)]
WIDTH = 24


def write_vectors(path: Path, files: list[str], vectors: list[Any], faces: list[int], sha256: str = "ab") -> None:
    """A table as `nonesuch embed --face all` writes it."""
    count = len(files)
    columns = {
        "file": files,
        "identity": files,
        "embedding": [None if vector is None else vector.tolist() for vector in vectors],
        "detected": [vector is not None for vector in vectors],
        "faces": faces,
        "face": faces,
        "unclear": [False] * count,
    }
    schema = OF_PHOTOGRAPHS.with_metadata(table_metadata("planted", sha256, PHOTOGRAPHS))
    parquet.write_table(pa.table(columns, schema=schema), path)


def write_records(path: Path, records: list[dict[str, Any]]) -> None:
    """JSON lines."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def plant(folder: Path, images: int, seed: int = 0, held_out: float = 0.0) -> list[dict[str, Any]]:
    """Writes vectors.parquet and records.jsonl; returns the records.

    Each image shows one or two of the people, and sometimes a stranger whom its caption does not name; its caption also
    names up to one person who is not in it.
    """
    rng = np.random.default_rng(seed)
    people = rng.normal(size=(len(PEOPLE), WIDTH))
    files, vectors, faces, records = [], [], [], []
    for image in range(images):
        drawn = rng.permutation(len(PEOPLE))
        shown = drawn[: rng.integers(1, 3)]
        seen: list[tuple[str | None, Any]] = [(PEOPLE[person], people[person]) for person in shown]
        if rng.random() < 0.15:
            seen.append((None, rng.normal(size=WIDTH)))
        absent = drawn[len(shown) : len(shown) + rng.integers(0, 2)]
        for number, (_, vector) in enumerate(seen, 1):
            files.append(f"{image}.jpg")
            vectors.append((vector + 0.35 * rng.normal(size=WIDTH)).astype(np.float32))
            faces.append(number)
        records.append(
            {
                "image": f"{image}.jpg",
                "names": sorted(PEOPLE[person] for person in [*shown, *absent]),
                "truth": [name for name, _ in seen],
                "split": "test" if rng.random() < held_out else "train",
            }
        )
    write_vectors(folder / "vectors.parquet", files, vectors, faces)
    write_records(folder / "records.jsonl", records)
    return records
