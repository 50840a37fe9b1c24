"""Training through the command line, on generated faces."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from nonesuch import create_model, load_embedder
from nonesuch.core.devices import one_core
from nonesuch.training.generator_data import vector_scale
from tests.conftest import Cli, succeed
from tests.formats.test_lmdb_records import npy, write
from tests.people import faces_of_no_one

_OPTIONS = ["--preset", "vec2face_tiny", "--images-seen", 64, "--batch", 8]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve people who don't exist, two images each."""
    folder = tmp_path_factory.mktemp("faces")
    for number, image in enumerate(faces_of_no_one(12, 31, images=2)):
        path = folder / f"person{number // 2:02d}" / f"{number % 2}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
    return folder


def _log(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "images_per_second"} for line in lines]


def test_a_run_leaves_weights_that_generate(cli: Cli, faces: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    outcome = cli(
        "train-generator", run, "--data", faces, *_OPTIONS, "--licence", "test only", "--about-data", "Made up."
    )
    assert outcome.status == 0, outcome.err
    first, last = set(_log(run)[0]), set(_log(run)[-1])
    terms = ("pixel", "ssim", "perceptual", "token", "identity", "style", "prior_identity")
    assert first == {"step", "images", "lr"} | {f"loss_{name}" for name in terms}
    assert last - first == {"loss_adversarial", "loss_prior_adversarial", "loss_discriminator"}
    assert [line["images"] for line in _log(run)] == list(range(8, 65, 8))
    card = json.loads((run / "vec2face_tiny.json").read_text())
    assert card["licence"] == "test only"
    assert card["training_data"] == "24 photographs of 12 people from a folder. Made up."
    assert card["embedder"] == "mobilefacenet"
    assert card["vector_scale"] == vector_scale(card["vector_norm"], 192)
    assert all(
        tensor.dtype.itemsize == 2
        for name, tensor in load_file(run / "vec2face_tiny.safetensors").items()
        if "position_ids" not in name
    )
    assert Image.open(run / "samples.png").size == (8 * 114 - 2, 2 * 114 - 2)

    options = ["--generator", run / "vec2face_tiny.safetensors", "--identities", 3, "--images", 2, "--no-summary"]
    assert cli("generate", tmp_path / "faces", *options).status == 0


def test_continuing_starts_from_the_given_weights(cli: Cli, faces: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    short = [*_OPTIONS, "--images-seen", 16]
    assert cli("train-generator", first, "--data", faces, *short).status == 0
    card = first / "vec2face_tiny.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"vector_scale": 0.25}))
    options = [*short, "--init", first / "vec2face_tiny.safetensors", "--lr", "1e-9"]
    assert cli("train-generator", second, "--data", faces, *options).status == 0
    cards = [json.loads((folder / "vec2face_tiny.json").read_text()) for folder in (first, second)]
    assert cards[0]["vector_scale"] == cards[1]["vector_scale"] == 0.25
    before, after = (load_file(run / "vec2face_tiny.safetensors") for run in (first, second))
    assert all(np.allclose(before[name].float(), after[name].float(), atol=1e-3) for name in before)
    assert "with init" in cli("train-generator", second, "--data", faces, *short, "--lr", "1e-9").error


def test_continuing_a_run_takes_all_its_networks(cli: Cli, faces: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    options = [*_OPTIONS, "--images-seen", 16, "--adversarial-from", 0, "--adaptive"]
    assert cli("train-generator", first, "--data", faces, *options).status == 0
    assert cli("train-generator", second, "--data", faces, *options, "--init", first, "--lr", "1e-9").status == 0
    states = [torch.load(run / "state.pt", weights_only=True)["networks"] for run in (first, second)]
    assert len(states[0]) == 2
    for before, after in zip(*states, strict=True):
        assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)


def test_a_style_code_may_join_later(cli: Cli, faces: Path, tmp_path: Path) -> None:
    network = create_model("vec2face_tiny", style_dim=0)
    torch.save(network.state_dict(), tmp_path / "plain.pth")
    options = [*_OPTIONS, "--images-seen", 8, "--lr", "1e-9", "--init", tmp_path / "plain.pth"]
    assert cli("train-generator", tmp_path / "run", "--data", faces, *options).status == 0
    made = load_file(tmp_path / "run" / "vec2face_tiny.safetensors")
    assert torch.allclose(made["norm.weight"].float(), network.state_dict()["norm.weight"], atol=1e-3)
    assert "style_row.0.weight" in made


def test_nothing_to_continue_from(cli: Cli, faces: Path, tmp_path: Path) -> None:
    def error(*arguments: object) -> str:
        return cli("train-generator", tmp_path / "run", "--data", faces, *_OPTIONS, *arguments).error

    (tmp_path / "empty").mkdir()
    assert "no such file" in error("--init", tmp_path / "missing.safetensors")
    assert "state.pt: no such file" in error("--init", tmp_path / "empty")
    torch.save({"network": {}}, tmp_path / "empty" / "state.pt")
    assert "name a weight file instead" in error("--init", tmp_path / "empty")
    assert "--lpips goes with --vgg" in error("--lpips", tmp_path / "lpips.pth")
    assert "be a multiple of 3" in error("--accumulate", 3)


def test_the_published_lmdb_brings_its_vectors(cli: Cli, faces: Path, tmp_path: Path) -> None:
    paths = sorted(faces.rglob("*.png"))[:8]
    crops = np.stack([np.asarray(Image.open(path)) for path in paths])
    vectors = 1.01 * load_embedder("mobilefacenet", "cpu").embed(crops)
    records = [[path.read_bytes(), npy(vectors[row]), row // 2] for row, path in enumerate(paths)]
    data = write(tmp_path / "set.lmdb", records)
    assert cli("train-generator", tmp_path / "run", "--data", data, *_OPTIONS, "--images-seen", 8).status == 0
    table = pq.read_table(tmp_path / "run" / "vectors.parquet")
    assert np.array_equal(np.stack(table["embedding"].to_numpy()), vectors)
    assert table["identity"].to_pylist() == [str(row // 2) for row in range(8)]


def test_people_can_be_left_out(cli: Cli, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "names.txt").write_text("person03\nperson07\n")
    monkeypatch.setenv("NONESUCH_DATA", str(faces))
    options = [*_OPTIONS, "--images-seen", 8, "--exclude", tmp_path / "names.txt"]
    assert cli("train-generator", tmp_path / "run", *options).status == 0
    card = json.loads((tmp_path / "run" / "vec2face_tiny.json").read_text())
    assert card["training_data"].startswith("20 photographs of 10 people")
    (tmp_path / "names.txt").write_text("Person_With_A_Typo\n")
    assert "leaves out none of 24" in cli("train-generator", tmp_path / "other", *options).error


def test_the_scale_keeps_the_meaning_of_sigma() -> None:
    assert vector_scale(70.0, 192) == 0.2
    assert vector_scale(22.6, 512) == 1.0
    assert vector_scale(0.5, 128) == 1.0


def test_a_folder_of_another_run_is_left_as_it_is(cli: Cli, faces: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert cli("train-generator", run, "--data", faces, *_OPTIONS, "--images-seen", 8).status == 0
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    elsewhere = tmp_path / "other"
    for path in sorted(faces.rglob("*.png")):  # as many photographs of the same names, of other people
        copy = elsewhere / path.relative_to(faces)
        copy.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(copy)
    outcome = cli("train-generator", run, "--data", elsewhere, *_OPTIONS, "--images-seen", 8)
    assert "holds a run with other images: person00/0.png is new or has changed" in outcome.error
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_a_run_that_never_began_does_not_hold_its_folder(cli: Cli, faces: Path, tmp_path: Path) -> None:
    run, large = tmp_path / "run", tmp_path / "large"
    large.mkdir()
    Image.new("RGB", (300, 200)).save(large / "a.png")
    assert (
        "not an aligned 112x112 crop"
        in cli("train-generator", run, "--data", large, *_OPTIONS, "--images-seen", 8).error
    )
    assert cli("train-generator", run, "--data", faces, *_OPTIONS, "--images-seen", 8).status == 0


def test_loss_weights_are_options(cli: Cli, faces: Path, tmp_path: Path) -> None:
    options = [*_OPTIONS, "--images-seen", 8, "--loss", "pixel=0", "--loss", "identity=2"]
    assert cli("train-generator", tmp_path / "run", "--data", faces, *options).status == 0
    assert "loss_pixel" not in _log(tmp_path / "run")[0]
    for wrong in ("beauty=1", "pixel=much", "pixel"):
        outcome = cli("train-generator", tmp_path / "other", "--data", faces, *_OPTIONS, "--loss", wrong)
        assert f"--loss {wrong}: write name=weight" in outcome.error


_ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}


def _arguments(faces: Path, run: Path) -> list[str]:
    return ["train-generator", str(run), "--data", str(faces), *map(str, _OPTIONS), "--images-seen", "40"]


@pytest.fixture(scope="module")
def whole(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was not stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with one_core(torch.device("cpu")):
        succeed(*_arguments(faces, folder))
    return folder


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])  # SIGINT: tests/loop/test_trainer.py
def test_stopped_at_a_random_moment_it_goes_on_to_the_same_weights(
    cli: Cli, faces: Path, whole: Path, tmp_path: Path, stop: signal.Signals
) -> None:
    parts = tmp_path / "parts"
    marker = "state.pt" if stop == signal.SIGKILL else "log.jsonl"
    often = _ONE_THREAD | {"NONESUCH_CHECKPOINT_SECONDS": "0.2"}
    command = [sys.executable, "-m", "nonesuch", *_arguments(faces, parts)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=often) as process:
        while not (parts / marker).exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(random.Random(int(stop)).uniform(0.05, 0.6))
        process.send_signal(stop)
        message = process.communicate(timeout=60)[1]
    assert len(_log(parts)) < len(_log(whole)), "the run was not interrupted"
    assert (parts / "state.pt").exists()
    if stop != signal.SIGKILL:
        assert process.returncode == 130
        assert "interrupted; run the same command again to resume" in message
    with one_core(torch.device("cpu")):
        outcome = cli(*_arguments(faces, parts))
    assert outcome.status == 0, outcome.err
    assert _log(parts) == _log(whole)
    weights = "vec2face_tiny.safetensors"
    assert (parts / weights).read_bytes() == (whole / weights).read_bytes()
