"""A small dataset and its audit, made once; tests release copies."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import succeed


@pytest.fixture(scope="session")
def made(tiny_generator: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the dataset `faces` in two shards and its audit `faces-audit`."""
    root = tmp_path_factory.mktemp("release")
    options = ["--identities", 4, "--images", 3, "--shard-images", 6, "--seed", 5, "--no-summary"]
    succeed("generate", root / "faces", "--generator", tiny_generator, *options)
    succeed("audit", root / "faces", "--embedder", "mobilefacenet", "--out", root / "faces-audit")
    return root


@pytest.fixture
def faces(made: Path, tmp_path: Path) -> Path:
    """A copy of the dataset."""
    shutil.copytree(made / "faces", tmp_path / "faces")
    return tmp_path / "faces"
