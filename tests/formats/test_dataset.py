"""Datasets of ours, read as photographs and by shard and row."""

from pathlib import Path

import numpy as np
import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.formats.dataset import read_identities
from nonesuch.formats.manifest import MANIFEST
from nonesuch.formats.readers import find
from tests.conftest import Cli


@pytest.fixture
def dataset(cli: Cli, tiny_generator: Path, tmp_path: Path) -> Path:
    """Three identities with two images each, in two shards."""
    folder = tmp_path / "faces"
    options = ["--identities", "3", "--images", "2", "--shard-images", "4", "--no-summary"]
    outcome = cli("generate", folder, "--generator", tiny_generator, *options)
    assert outcome.status == 0, outcome.err
    return folder


def test_photographs_and_rows_are_the_same_images(dataset: Path) -> None:
    found = find(dataset)
    names = [f"{identity:07d}/{image:05d}.jpg" for identity in range(3) for image in range(2)]
    assert [item.name for item in found] == names
    assert [item.identity for item in found] == [name[:7] for name in names]
    assert find(dataset, split="train") == found
    pixels = np.concatenate([person.images for person in read_identities(dataset, 3, 2)])
    assert np.array_equal(np.stack([item.read() for item in found]), pixels)


def test_it_is_read_as_a_dataset_by_its_manifest_alone(dataset: Path) -> None:
    assert (dataset / "contact_sheet.png").is_file()
    assert len(find(dataset)) == 6
    (dataset / MANIFEST).unlink()
    assert [item.name for item in find(dataset)] == ["contact_sheet.png"]


def test_a_dataset_without_a_shard_yet(dataset: Path) -> None:
    for tar in (dataset / "shards").glob("*.tar"):
        tar.unlink()
    with pytest.raises(NonesuchError, match="holds no images"):
        find(dataset)
