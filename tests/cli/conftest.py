"""What the tests of the training commands share."""

import csv
import tarfile
from pathlib import Path

import pytest

import nonesuch
from nonesuch.core import weights
from nonesuch.embedders.embedder import EmbedderCard
from tests.filling import fill
from tests.people import planted_person


@pytest.fixture(scope="session")
def training_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Planted people in people/, the same with made-up ages in people.tar, and iresnet.safetensors to adapt."""
    folder = tmp_path_factory.mktemp("data")
    for person in range(6):
        planted_person(folder / "people", person, range(6))
    files = sorted((folder / "people").rglob("*.png"))
    with tarfile.open(folder / "people.tar", "w") as archive, (folder / "people.csv").open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["file", "age", "gender", "ethnicity"])
        for number, file in enumerate(files):
            name = file.relative_to(folder / "people").as_posix()
            archive.add(file, arcname=name)
            writer.writerow([name, 20 + number, number % 2, number % 5])
    network = nonesuch.create_model("iresnet_tiny")
    fill(network)
    about = {"name": "iresnet", "licence": "MIT", "source": "filled", "training_data": "None.", "sha256": ""}
    card = EmbedderCard(architecture="iresnet_tiny", embedding_dim=32, **about)
    weights.save(folder / "iresnet.safetensors", network.state_dict(), card)
    return folder
