"""The mean of weight files."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nonesuch import average_weights, create_model, load_generator
from nonesuch.core import weights
from nonesuch.generators.vec2face.generator import Vec2FaceCard
from tests.conftest import Cli


@pytest.fixture
def two_runs(tiny_generator: Path, tmp_path: Path) -> list[Path]:
    """The tiny generator, and another of other random weights that claims the same of itself."""
    card = weights.read_card(tiny_generator, Vec2FaceCard)
    torch.manual_seed(1)
    other = tmp_path / "run2" / "tiny.safetensors"
    other.parent.mkdir()
    weights.save(other, create_model("vec2face_tiny").state_dict(), replace(card, licence="research only"))
    return [tiny_generator, other]


def test_the_mean_of_two(cli: Cli, two_runs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "mean.safetensors"
    assert cli("average-weights", *two_runs, "--out", out).status == 0
    first, second, found = (load_file(path) for path in (*two_runs, out))
    for name, tensor in found.items():
        assert torch.allclose(tensor.double(), (first[name].double() + second[name].double()) / 2)
    card = load_generator(out).card
    assert card.name == "mean"
    assert card.source.startswith("mean of ")
    assert card.licence == "none, random weights; and: research only"
    assert "run2/tiny.safetensors" in card.source
    faces = ["generate", tmp_path / "faces", "--generator", out, "--identities", 2, "--images", 2, "--no-summary"]
    assert cli(*faces).status == 0  # the statistics came along


def test_nothing_that_is_there_is_replaced(cli: Cli, two_runs: list[Path], tmp_path: Path) -> None:
    before = {path: path.read_bytes() for run in two_runs for path in run.parent.iterdir()}
    assert "Missing option '--out'" in cli("average-weights", *two_runs).error
    assert "is one of the files to read" in cli("average-weights", *two_runs, "--out", two_runs[1]).error
    # Statistics of the first come along, but not over those of other weights.
    other = two_runs[1].with_name("tiny.statistics.safetensors")
    other.write_bytes(b"others")
    mean = two_runs[1].with_name("mean.safetensors")
    assert "belongs to other weights" in cli("average-weights", *two_runs, "--out", mean).error
    assert not mean.exists()
    assert other.read_bytes() == b"others"
    assert {path: path.read_bytes() for path in before} == before


def test_python_gives_the_mean_of_the_command(cli: Cli, two_runs: list[Path], tmp_path: Path) -> None:
    (tmp_path / "by").mkdir()
    by_command, by_python = tmp_path / "mean.safetensors", tmp_path / "by" / "mean.safetensors"
    assert cli("average-weights", *two_runs, "--out", by_command).status == 0
    card = average_weights(two_runs, by_python)
    assert card == weights.read_card(by_python, Vec2FaceCard) == weights.read_card(by_command, Vec2FaceCard)
    assert by_python.read_bytes() == by_command.read_bytes()


def test_what_cannot_be_averaged(cli: Cli, two_runs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "mean.safetensors"
    assert "at least two" in cli("average-weights", two_runs[0], "--out", out).error
    assert "must end in .safetensors" in cli("average-weights", *two_runs, "--out", tmp_path / "mean.pth").error
    assert "no such file" in cli("average-weights", two_runs[0], tmp_path / "absent.safetensors", "--out", out).error
    card = weights.read_card(two_runs[1], Vec2FaceCard)
    weights.write_card(two_runs[1], replace(card, vector_scale=0.3))
    assert "differs from" in cli("average-weights", *two_runs, "--out", out).error
    assert not out.exists()
