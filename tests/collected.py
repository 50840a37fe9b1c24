"""Datasets as anyone reads them, and small images to make them of."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image


def jpeg(seed: int, size: int = 112, quality: int = 70) -> bytes:
    """A JPEG of coloured squares, no two seeds alike."""
    pixels = np.kron(np.random.default_rng(seed).integers(0, 255, (8, 8, 3)), np.ones((size // 8, size // 8, 1)))
    data = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(data, "JPEG", quality=quality, comment=f"seed {seed}")
    return data.getvalue()


def write_people(folder: Path, people: dict[str, int], size: int = 112) -> dict[str, bytes]:
    """Writes folder/PERSON/N.jpg; the bytes by name."""
    found = {}
    for row, (person, images) in enumerate(people.items()):
        (folder / person).mkdir(parents=True)
        for image in range(images):
            found[f"{person}/{image}.jpg"] = jpeg(1000 * row + image, size)
            (folder / person / f"{image}.jpg").write_bytes(found[f"{person}/{image}.jpg"])
    return found


def members(folder: Path) -> list[tuple[str, bytes]]:
    """Names and contents of all shards' members, in order, by tarfile alone."""
    found = []
    for path in sorted((folder / "shards").glob("*.tar")):
        with tarfile.open(path) as archive:
            for member in archive:
                handle = archive.extractfile(member)
                assert handle is not None
                found.append((member.name, handle.read()))
    return found


def index(folder: Path) -> list[dict[str, Any]]:
    """The rows of all shards' indices, in order."""
    paths = sorted((folder / "shards").glob("*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def images(folder: Path) -> dict[str, bytes]:
    """The images' bytes by key."""
    return {name.rsplit(".", 1)[0]: data for name, data in members(folder) if not name.endswith(".cls")}


def names(folder: Path) -> dict[int, str]:
    """The identities' names by label."""
    return {row["identity"]: row["name"] for row in pq.read_table(folder / "identities.parquet").to_pylist()}


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "dataset.json").read_text())
