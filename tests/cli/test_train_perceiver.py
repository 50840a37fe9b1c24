"""Training perception heads through the command line."""

import csv
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nonesuch import load_perceiver
from nonesuch.perception.attributes import ATTRIBUTES
from tests.conftest import Cli
from tests.people import faces_of_no_one


@pytest.fixture(scope="module")
def tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty-two faces, every second one darkened; `smiling` says which ones are dark."""
    path = tmp_path_factory.mktemp("faces") / "faces.tar"
    crops = faces_of_no_one(32, 77)
    crops[::2] = crops[::2] // 4
    with tarfile.open(path, "w") as archive, path.with_suffix(".csv").open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["file", "split", "age", "gender", "ethnicity", *ATTRIBUTES])
        for number, crop in enumerate(crops):
            encoded = io.BytesIO()
            Image.fromarray(crop).save(encoded, "PNG")
            member = tarfile.TarInfo(f"{number:02d}.png")
            member.size = len(encoded.getvalue())
            archive.addfile(member, io.BytesIO(encoded.getvalue()))
            dark = number % 2 == 0
            attributes = [int(dark) if name == "smiling" else 0 for name in ATTRIBUTES]
            writer.writerow([member.name, "test" if number >= 24 else "train", 60 if dark else 20, 1, 2, *attributes])
    return path


def test_planted_labels_are_learned(cli: Cli, tar: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--data", tar, "--preset", "perceiver_tiny", "--images-seen", 320, "--licence", "test only"]
    outcome = cli("train-perceiver", run, *options, "--about-data", "Made up.")
    assert outcome.status == 0, outcome.err
    card = json.loads((run / "perceiver_tiny.json").read_text())
    assert card["licence"] == "test only"
    assert card["training_data"] == (
        "24 photographs from faces.tar (pose: 0; age, gender and ethnicity: 24; 40 attributes: 24). Made up."
    )
    assert len(card["quality_norms"]) == 101
    assert (np.diff(card["quality_norms"]) > 0).all()
    crops = faces_of_no_one(12, 78)
    perceiver = load_perceiver(run / "perceiver_tiny.safetensors", "cpu")
    light, dark = perceiver.perceive(crops), perceiver.perceive(crops // 4)
    assert (dark["smiling"] > 0.5).mean() > 0.8
    assert (light["smiling"] < 0.5).mean() > 0.8
    assert dark["age"].mean() > light["age"].mean() + 15
    assert set(light["ethnicity"]) == {"Asian"}
    assert set(light["gender"]) == {"female"}

    # Repeating the command finds the run done and changes nothing; other settings are refused.
    before = (run / "perceiver_tiny.safetensors").read_bytes()
    assert cli("train-perceiver", run, *options, "--about-data", "Made up.").status == 0
    assert (run / "perceiver_tiny.safetensors").read_bytes() == before
    assert "holds a run with share 1.0, not 0.5" in cli("train-perceiver", run, *options, "--data-share", 0.5).error


def test_shares_are_drawn_by_the_seed(cli: Cli, tar: Path, tmp_path: Path) -> None:
    counts = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        options = ["--preset", "perceiver_tiny", "--images-seen", 8, "--data-share", 0.6, "--seed", seed]
        assert cli("train-perceiver", tmp_path / name, "--data", tar, *options).status == 0
        settings = json.loads((tmp_path / name / "settings.json").read_text())
        counts.append(settings["what"]["data"])
    assert counts[0] == counts[1] != counts[2]


def test_wrong_inputs(cli: Cli, tmp_path: Path, tar: Path) -> None:
    error = cli("train-perceiver", tmp_path / "run", "--data", tmp_path / "absent.tar").error
    assert "absent.tar: no such file" in error
    alone = tmp_path / "alone.tar"
    alone.write_bytes(tar.read_bytes())
    assert "no table of labels beside it" in cli("train-perceiver", tmp_path / "run", "--data", alone).error
    assert not (tmp_path / "run").exists()
