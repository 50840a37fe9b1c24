"""Training IDiff-Face through the command line: a first stage, then the diffusion on its latents."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import nonesuch
from nonesuch import create_model
from nonesuch.core.devices import one_core
from tests.conftest import Cli

STAGE = "idiff_tiny_first_stage"


def _log(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "images_per_second"} for line in lines]


@pytest.fixture(scope="module")
def faces(training_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of the planted people: encoding more of them takes long."""
    folder = tmp_path_factory.mktemp("two")
    for person in sorted((training_data / "people").iterdir())[:2]:
        shutil.copytree(person, folder / person.name)
    return folder


@pytest.fixture(scope="module")
def stage(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a first stage."""
    run = tmp_path_factory.mktemp("stage") / "run"
    return nonesuch.train_generator(run, faces, preset=STAGE, images_seen=40).weights


def _diffusion(faces: Path, stage: Path) -> list[object]:
    return ["--data", faces, "--preset", "idiff_tiny", "--first-stage", stage, "--images-seen", 24]


def test_a_first_stage_learns_with_its_discriminator(stage: Path) -> None:
    lines = _log(stage.parent)
    first, last = set(lines[0]), set(lines[-1])
    assert first == {"step", "images", "lr", "loss_pixel", "loss_perceptual", "loss_codebook"}
    assert last - first == {"loss_adversarial", "loss_discriminator"}
    assert lines[-1]["loss_pixel"] < lines[0]["loss_pixel"]
    card = json.loads(stage.with_suffix(".json").read_text())
    assert card["architecture"] == STAGE
    assert card["training_data"] == "12 photographs of 2 people from a folder."
    assert create_model(STAGE, pretrained=stage)
    assert Image.open(stage.parent / "samples.png").size == (8 * 114 - 2, 2 * 114 - 2)


def test_a_diffusion_learns_on_its_latents_and_generates(cli: Cli, faces: Path, stage: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    outcome = cli("train-generator", run, *_diffusion(faces, stage), "--context-dropout", 0.5)
    assert outcome.status == 0, outcome.err
    assert {"loss_diffusion", "loss_identity"} <= set(_log(run)[0])
    card = json.loads((run / "idiff_tiny.json").read_text())
    assert card["sizes"] == {"feature_dim": 192, "context_dropout": 0.5}
    assert card["learned_without_identity"]
    assert card["training_data"].count("12 photographs of 2 people") == 2

    latents = np.load(run / "latents.npy")
    network = create_model(STAGE, pretrained=stage).eval()
    crop = np.asarray(Image.open(sorted(faces.rglob("*.png"))[0]))
    image = torch.from_numpy(crop.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1.0
    with torch.inference_mode():
        expected = torch.cat([network.encode(image), network.encode(image.flip(3))])
    np.testing.assert_allclose(latents[:2], expected, atol=2e-3)

    tensors = load_file(run / "idiff_tiny.safetensors")
    assert torch.equal(tensors["first_stage.decoder.conv_in.weight"], load_file(stage)["decoder.conv_in.weight"])
    options = ["--generator", run / "idiff_tiny.safetensors", "--identities", 1, "--images", 3, "--no-summary"]
    assert cli("generate", tmp_path / "faces", *options).status == 0


def test_a_whole_generator_or_a_run_is_a_start(cli: Cli, faces: Path, stage: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    options = [*_diffusion(faces, stage), "--images-seen", 8]
    assert cli("train-generator", first, *options).status == 0
    before = load_file(first / "idiff_tiny.safetensors")
    for number, init in enumerate((first, first / "idiff_tiny.safetensors")):
        run = tmp_path / f"second{number}"
        assert cli("train-generator", run, *options, "--init", init, "--lr", "1e-9").status == 0
        after = load_file(run / "idiff_tiny.safetensors")
        if init.is_file():
            assert all(torch.allclose(before[name].float(), after[name].float(), atol=1e-3) for name in before)
        card = json.loads((run / "idiff_tiny.json").read_text())
        assert "from idiff_tiny (" in card["source"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--preset", "idiff_tiny"], "name its weights with --first-stage FILE"),
        (["--preset", "idiff_tiny", "--first-stage", "missing.safetensors"], "missing.safetensors"),
        (["--preset", "vec2face_tiny", "--context-dropout", "0.5"], "--context-dropout does not go with --preset vec"),
        (["--preset", STAGE, "--loss", "identity=1"], "write name=weight with a name of pixel, perceptual"),
        (
            ["--preset", "idiff_tiny", "--first-stage", "STAGE", "--adaptive"],
            "--adaptive does not go with --preset idiff",
        ),
        (["--preset", STAGE, "--loss", "pixel=0", "--loss", "perceptual=0"], "give one of them a weight"),
    ],
)
def test_wrong_options_are_one_line(
    cli: Cli, faces: Path, stage: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    given = [str(stage) if option == "STAGE" else option for option in options]
    assert said in cli("train-generator", tmp_path / "run", "--data", faces, *given).error
    assert not (tmp_path / "run").exists()


def test_another_first_stage_is_another_run(cli: Cli, faces: Path, stage: Path, tmp_path: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    options = [*_diffusion(faces, stage), "--images-seen", 8]
    assert cli("train-generator", run, *options).status == 0
    assert cli("train-generator", other, "--data", faces, "--preset", STAGE, "--images-seen", 8).status == 0
    options[options.index(stage)] = other / f"{STAGE}.safetensors"
    assert "holds a run with first stage" in cli("train-generator", run, *options).error


def test_a_generator_brings_its_first_stage(cli: Cli, faces: Path, stage: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert cli("train-generator", run, *_diffusion(faces, stage), "--images-seen", 8).status == 0
    made = run / "idiff_tiny.safetensors"
    assert cli("train-generator", tmp_path / "next", *_diffusion(faces, made), "--images-seen", 8).status == 0
    assert (tmp_path / "next" / "latents.npy").read_bytes() == (run / "latents.npy").read_bytes()
    wrong = cli("train-generator", tmp_path / "third", *_diffusion(faces, Path("vec2face_small"))).error
    assert "has no first stage" in wrong


def test_killed_it_goes_on_to_the_same_weights(cli: Cli, faces: Path, stage: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nonesuch", "train-generator", *map(str, _diffusion(faces, stage))]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    often = os.environ | {"OMP_NUM_THREADS": "1", "NONESUCH_CHECKPOINT_SECONDS": "0"}
    with subprocess.Popen([*command, str(parts)], stderr=subprocess.PIPE, text=True, env=often) as process:
        while not (parts / "state.pt").exists() and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        process.communicate(timeout=60)
    assert len(_log(parts)) < 3, "the run was not interrupted"
    with one_core(torch.device("cpu")):
        for run in (whole, parts):
            assert cli("train-generator", run, *_diffusion(faces, stage)).status == 0
    assert len(_log(whole)) == 3
    assert _log(parts) == _log(whole)
    assert (parts / "idiff_tiny.safetensors").read_bytes() == (whole / "idiff_tiny.safetensors").read_bytes()
