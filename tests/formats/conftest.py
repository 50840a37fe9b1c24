"""Pictures in a folder, and the same in a tar."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

from nonesuch.core import images


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
