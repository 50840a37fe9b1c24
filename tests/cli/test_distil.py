"""Distilling an IDiff-Face to one step through the command line, on planted pictures."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nonesuch import load_generator
from nonesuch.core import weights
from nonesuch.core.weights import read_card
from nonesuch.generators.idiff.distillation import pair_seed
from nonesuch.generators.idiff.generator import IDiffCard
from nonesuch.identities import statistics
from nonesuch.identities.distributions import PcaGaussian
from nonesuch.models import weights_path
from tests.cards import write_tiny_idiff
from tests.conftest import Cli
from tests.people import planted_person

_OPTIONS = ["--preset", "idiff_tiny_fast", "--images-seen", 24, "--batch", 8, "--seed", 5]
_STEP = {"step", "images", "lr", "images_per_second"}


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    for person in range(6):
        planted_person(folder, person, range(2))
    return folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights that say they predict a velocity."""
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    return write_tiny_idiff(path, prediction="velocity", schedule="cosine", latent_scale=0.5)


def test_a_distilled_generator_draws_in_one_step(cli: Cli, faces: Path, teacher: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = ["train-generator", run, "--data", faces, *_OPTIONS, "--teacher", teacher, "--licence", "test only"]
    outcome = cli(*command)
    assert outcome.status == 0, outcome.err
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert set(lines[0]) - _STEP == {"loss_latent"}
    terms = {"latent", "pixel", "identity", "steady", "adversarial", "discriminator"}
    assert set(lines[-1]) - _STEP == {f"loss_{name}" for name in terms}
    card = json.loads((run / "idiff_tiny_fast.json").read_text())
    assert card["distilled"]
    assert card["sampling"] == {"sampler": "lcm", "steps": 1}
    assert card["prediction"] == "velocity"
    assert card["latent_scale"] == 0.5
    assert card["licence"] == "none, random weights; then: test only"
    assert "from teacher (" in card["source"]

    weights = run / "idiff_tiny_fast.safetensors"
    generator = load_generator(weights, "cpu")
    assert generator.passes == 1
    options = ["--generator", weights, "--identities", 1, "--images", 2, "--no-summary"]
    assert cli("generate", tmp_path / "faces", *options).status == 0

    drawn = (run / "pairs" / "00000.npy").stat().st_mtime_ns
    assert cli(*command).status == 0  # nothing is left to do
    assert (run / "pairs" / "00000.npy").stat().st_mtime_ns == drawn


def test_pairs_are_what_the_teacher_draws(cli: Cli, faces: Path, teacher: Path, tmp_path: Path) -> None:
    """A pair's latent decodes to the image that the teacher renders of the pair's person and seed."""
    options = [*_OPTIONS, "--images-seen", 8, "--teacher", teacher]
    assert cli("train-generator", tmp_path / "run", "--data", faces, *options).status == 0
    latents = np.load(tmp_path / "run" / "pairs" / "00000.npy")
    assert latents.shape == (12, 3, 28, 28)
    seeds = np.array([pair_seed(pair, 5) for pair in range(12)], dtype=np.uint64)
    draw = PcaGaussian(statistics.load(tmp_path / "run" / "idiff_tiny_fast.statistics.safetensors"))
    generator = load_generator(teacher, "cpu").with_sampler("ddim,steps=2")
    images = generator.render(np.stack([draw(int(seed)) for seed in seeds]), seeds, 12)
    with torch.inference_mode():
        again = generator.network.first_stage.decode(torch.from_numpy(latents).float() / 0.5)  # type: ignore[attr-defined]
    pixels = (again.clamp(-1.0, 1.0) + 1.0).permute(0, 2, 3, 1).numpy() * 127.5
    assert np.median(np.abs(pixels - images)) < 0.5  # latents are kept in half precision, which may move a code


def test_a_better_decoder_takes_the_place_of_the_teachers(cli: Cli, faces: Path, teacher: Path, tmp_path: Path) -> None:
    tensors = load_file(teacher)
    name = "first_stage.decoder.conv_out.bias"
    tensors[name] = tensors[name] + 0.25
    better = tmp_path / "better.safetensors"
    weights.save(better, tensors, dataclasses.replace(read_card(teacher, IDiffCard), training_data="Others' faces."))
    options = [*_OPTIONS, "--images-seen", 8, "--teacher", teacher, "--first-stage", better]
    assert cli("train-generator", tmp_path / "run", "--data", faces, *options).status == 0
    card = json.loads((tmp_path / "run" / "idiff_tiny_fast.json").read_text())
    assert card["training_data"].endswith(" First stage: Others' faces.")
    shipped = load_file(tmp_path / "run" / "idiff_tiny_fast.safetensors")
    for key in (key for key in tensors if key.startswith("first_stage.")):
        torch.testing.assert_close(shipped[key].float(), tensors[key].float(), rtol=2e-3, atol=1e-3)  # it stays so
    assert any(not torch.equal(shipped[key].float(), tensors[key].half().float()) for key in tensors if "unet" in key)


def test_the_decoder_of_a_first_stage_trains_on(cli: Cli, faces: Path, tmp_path: Path) -> None:
    command = ["train-generator", tmp_path / "run", "--data", faces, "--preset", "idiff_small_decoder"]
    assert "such as --first-stage idiff_small" in cli(*command).error
    assert cli(*command, "--first-stage", "idiff_small", "--images-seen", 16, "--batch", 8).status == 0
    found = load_file(tmp_path / "run" / "idiff_small_decoder.safetensors")
    before = load_file(weights_path("idiff_small"))
    moved = {key for key in found if not torch.equal(found[key], before[f"first_stage.{key}"])}
    assert moved
    assert all(key.startswith("decoder.") for key in moved)
    card = json.loads((tmp_path / "run" / "idiff_small_decoder.json").read_text())
    assert "CelebA" in card["training_data"]
    assert "Then: 12 photographs of 6 people" in card["training_data"]


def test_what_cannot_be_distilled(cli: Cli, faces: Path, teacher: Path, tmp_path: Path) -> None:
    def error(*arguments: object) -> str:
        return cli("train-generator", tmp_path / "run", "--data", faces, *_OPTIONS, *arguments).error

    assert "name it with --teacher, such as --teacher idiff_small" in error()
    assert "idiff_smal" in error("--teacher", "idiff_smal")
    noise = write_tiny_idiff(tmp_path / "noise.safetensors")
    assert "predicts the noise, from which one step learns nothing" in error("--teacher", noise)
    assert "is of the kind 'generator'" in error("--teacher", "vec2face_small")
    other = tmp_path / "other.safetensors"
    tensors = load_file(teacher)
    tensors["first_stage.encoder.conv_out.bias"] += 1.0
    weights.save(other, tensors, read_card(teacher, IDiffCard))
    assert "its encoder is another than the teacher's" in error("--teacher", teacher, "--first-stage", other)
    assert "has no first stage" in error("--teacher", teacher, "--first-stage", "vec2face_small")
    assert "name the preset that it was trained with" in error("--teacher", "idiff_small")
    assert "--teacher does not go with --preset vec2face_tiny" in error(
        "--preset", "vec2face_tiny", "--teacher", teacher
    )
