"""`nonesuch flip attributes` on planted pictures: it tells what can be seen, and not what was drawn."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

import nonesuch
from nonesuch.flip.attribute_probe import AttributeProbe, summarised
from nonesuch.perception.attributes import ATTRIBUTES
from tests.conftest import Cli
from tests.people import faces_of_no_one, planted_person

PEOPLE, IMAGES, TRAINED = 4, 30, 20


@pytest.fixture(scope="module")
def tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four people who are patterns; the first two wear glasses. Whether an image smiles is drawn. No one is bald."""
    folder = tmp_path_factory.mktemp("attributes")
    draws = np.random.default_rng(1).integers(0, 2, (PEOPLE, IMAGES))
    lines = [",".join(("file", "split", *(name.title() for name in ATTRIBUTES)))]
    with tarfile.open(folder / "faces.tar", "w") as tar:
        for person in range(PEOPLE):
            planted_person(folder, person, range(IMAGES))
            for image in range(IMAGES):
                name = f"person{person}/{image:02d}.png"
                tar.add(folder / name, name)
                held = dict.fromkeys(ATTRIBUTES, 0) | {"eyeglasses": int(person < 2), "smiling": draws[person, image]}
                split = "train" if image < TRAINED else "test"
                lines.append(",".join([name, split, *(str(held[attribute]) for attribute in ATTRIBUTES)]))
    (folder / "faces.csv").write_text("\n".join(lines))
    return folder / "faces.tar"


def test_what_is_seen_is_told(cli: Cli, tar: Path, tmp_path: Path) -> None:
    options = ("--epochs", 60, "--batch", 16)
    outcome = cli("flip", "attributes", tar, *options, "--json", tmp_path / "first.json")
    assert outcome.status == 0, outcome.err
    assert "trained on 80 photographs, measured on 40" in outcome.out
    found = json.loads((tmp_path / "first.json").read_text())
    assert found["probe"]["eyeglasses"] == {"accuracy": 1.0, "balanced": 1.0}
    assert found["usual"]["eyeglasses"]["balanced"] == 0.5
    assert 0.2 < found["probe"]["smiling"]["balanced"] < 0.8
    assert found["probe"]["bald"] == {"accuracy": 1.0, "balanced": None}
    known = [value["accuracy"] for value in found["probe"].values()]
    assert found["means"]["probe"]["accuracy"] == pytest.approx(sum(known) / 40)
    assert cli("flip", "attributes", tar, *options, "--json", tmp_path / "again.json").status == 0
    assert (tmp_path / "first.json").read_bytes() == (tmp_path / "again.json").read_bytes()


def test_the_input_is_the_encoders_layers() -> None:
    model = nonesuch.load_flip(device="cpu")
    crops = faces_of_no_one(3, seed=2)
    found = summarised(model, crops)
    places = model.encode_images(crops)
    assert found.shape == (3, 2, 3, places.shape[2])
    # The last layer, once normalised, is what the encoder gives.
    norm = model.network.visual_encoder.vision_model.post_layrnorm
    with torch.inference_mode():
        assert torch.allclose(norm(found[:, -1, 0]), places[:, 0], atol=1e-4)


def test_the_layer_is_a_weighted_sum() -> None:
    torch.manual_seed(0)
    probe, summaries = AttributeProbe(2, 8, 5).double(), torch.randn(4, 2, 3, 8, dtype=torch.float64)
    torch.nn.init.normal_(probe.mixture)
    total = sum(
        probe.mixture[layer, kind] * torch.nn.functional.layer_norm(summaries[:, layer, kind], (8,))
        for layer in range(2)
        for kind in range(3)
    )
    assert torch.allclose(probe(summaries), total @ probe.linear.weight.T + probe.linear.bias)


def test_wrong_inputs_end_in_one_line(cli: Cli, tar: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.tar"
    alone.write_bytes(tar.read_bytes())
    assert "no table of labels beside it" in cli("flip", "attributes", alone).error
    table = (tar.parent / "faces.csv").read_text()
    (tmp_path / "alone.csv").write_text(table.replace(",test,", ",train,"))
    assert "in the split test" in cli("flip", "attributes", alone).error
    ages = [f"{line.split(',')[0]},{line.split(',')[1]},30,1,1" for line in table.split("\n")[1:]]
    (tmp_path / "alone.csv").write_text("\n".join(["file,split,age,gender,ethnicity", *ages]))
    assert "does not name CelebA's 40 attributes" in cli("flip", "attributes", alone).error
    outcome = cli("flip", "attributes", tar, "--json", tmp_path / "none" / "found.json")
    assert "there is no folder" in outcome.error
    assert "training" not in outcome.err  # before the work, not after it
    assert "--lr" in cli("flip", "attributes", tar, "--lr", 0).err
