"""Training a recogniser through the command line, and testing what came out."""

import json
import os
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

from nonesuch import load_embedder
from nonesuch.core.devices import one_core
from nonesuch.formats.relabelling import Label
from nonesuch.formats.relabelling import write as write_manifest
from nonesuch.loop import distributed
from nonesuch.measures.similarity import normalised
from tests.conftest import Cli
from tests.people import planted_person

_STEPS = ["--preset", "tiny", "--epochs", "15"]  # 60 steps
_QUICK = os.environ | {"OMP_NUM_THREADS": "1", "NONESUCH_CHECKPOINT_SECONDS": "0.2"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    for person in range(8):
        planted_person(folder / "train", person, range(8))
        planted_person(folder / "test", person, range(8, 11))
    return folder


def test_from_images_to_a_tested_recogniser(cli: Cli, folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--data", folder / "train", "--preset", "tiny", "--licence", "test only", "--about-data", "Made up."]
    outcome = cli("recognize", "train", run, *options)
    assert outcome.status == 0, outcome.err
    assert "trained on 1,280 images" in outcome.out
    card = json.loads((run / "tiny.json").read_text())
    assert card["training_data"] == "64 images of 8 identities from train. Made up."
    assert card["licence"] == "test only"

    crops, people = [], []
    for file in sorted((folder / "test").rglob("*.png")):
        crops.append(np.asarray(Image.open(file)))
        people.append(file.parent.name)
    unit = normalised(load_embedder(run / "tiny.safetensors", "cpu").embed(np.stack(crops)))
    cosines, same = unit @ unit.T, np.equal.outer(people, people)
    np.fill_diagonal(cosines, np.nan)
    assert np.nanmean(cosines[same]) > np.nanmean(cosines[~same]) + 0.5

    figures = tmp_path / "figures.json"
    tested = cli(
        "evaluate", "--embedder", run / "tiny.safetensors", "--data", folder / "test", "--json", figures, "--no-flip"
    )
    assert tested.status == 0, tested.err
    assert json.loads(figures.read_text())["eer"]["value"] < 0.1

    before = (run / "tiny.safetensors").read_bytes()
    assert cli("recognize", "train", run, *options).status == 0
    assert (run / "tiny.safetensors").read_bytes() == before
    assert "holds a run with" in cli("recognize", "train", run, *options, "--head", "cosface").error


_HEADS = ["softmax", "sphereface", "cosface", "combined", "curricularface", "magface", "adaface", "uniface", "triplet"]


@pytest.mark.parametrize("head", _HEADS)
def test_every_head_trains(cli: Cli, folder: Path, tmp_path: Path, head: str) -> None:
    options = ["--data", folder / "train", "--preset", "tiny", "--head", head, "--epochs", "1"]
    assert cli("recognize", "train", tmp_path / "run", *options).status == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert len(lines) == 4
    assert all(np.isfinite(line["loss_head"]) for line in lines)


def test_gradients_straight_through_the_margin(cli: Cli, folder: Path, tmp_path: Path) -> None:
    """The same loss at the first step, other weights after it."""
    options = ["--data", folder / "train", "--preset", "tiny", "--epochs", "1"]
    for name, more in {"formula": [], "published": ["--straight-through"]}.items():
        assert cli("recognize", "train", tmp_path / name, *options, *more).status == 0
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("formula", "published")]
    losses = [[json.loads(line)["loss_head"] for line in log] for log in logs]
    assert losses[0][0] == losses[1][0]
    assert losses[0][1:] != losses[1][1:]
    adaface = cli("recognize", "train", tmp_path / "ada", *options, "--head", "adaface", "--straight-through")
    assert "--straight-through goes with softmax" in adaface.error


def test_under_torchrun(cli: Cli, folder: Path, tmp_path: Path) -> None:
    """Two processes train until they are stopped, and one goes on from there."""
    run = tmp_path / "run"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "nonesuch"]
    options = ["recognize", "train", str(run), "--data", str(folder / "train"), *_STEPS]
    with subprocess.Popen([*torchrun, *options], stdout=subprocess.PIPE, env=_QUICK) as process:
        while not (run / "state.pt").exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
    assert 0 < len((run / "log.jsonl").read_text().splitlines()) < 60, "the run was not interrupted"
    assert torch.load(run / "state.pt", weights_only=True)["networks"][0]["head.centres"].shape == (8, 32)
    _to_the_end(cli, folder, run)
    assert len((run / "log.jsonl").read_text().splitlines()) == 60


def test_batch_norm_over_all_processes(cli: Cli, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It trains the same network by the same names; one process gives what it gives without; CPUs are refused."""
    options = ["--data", folder / "train", "--preset", "tiny", "--images-seen", "32", "--device", "cpu"]
    seen: list[str] = []
    forward = torch.nn.SyncBatchNorm.forward
    monkeypatch.setattr(torch.nn.SyncBatchNorm, "forward", lambda layer, x: seen.append("") or forward(layer, x))
    with one_core(torch.device("cpu")):
        for name, more in (("plain", []), ("synchronised", ["--sync-batch-norm"])):
            assert cli("recognize", "train", tmp_path / name, *options, *more).status == 0
            assert bool(seen) == (name == "synchronised")
    plain, synchronised = ((tmp_path / name / "tiny.safetensors").read_bytes() for name in ("plain", "synchronised"))
    assert plain == synchronised
    assert "sync batch norm" in cli("recognize", "train", tmp_path / "plain", *options, "--sync-batch-norm").error
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    refused = cli("recognize", "train", tmp_path / "other", *options, "--sync-batch-norm")
    assert "--sync-batch-norm: works on GPUs alone" in refused.error


def test_two_sources_and_people_left_out(cli: Cli, folder: Path, tmp_path: Path) -> None:
    """The same label in two sources means two people; an excluded one is left out of both."""
    names = tmp_path / "names.txt"
    names.write_text("person3\n")
    options = ["--data", folder / "train", "--data", folder / "test", "--preset", "tiny", "--epochs", "1"]
    assert cli("recognize", "train", tmp_path / "run", *options, "--exclude", names).status == 0
    card = json.loads((tmp_path / "run" / "tiny.json").read_text())
    assert card["training_data"] == "77 images of 14 identities from test, train."


def _command(folder: Path, run: Path, start: str = "") -> list[str]:
    begin = [sys.executable, "-m", "nonesuch"]
    if start:
        begin = [sys.executable, "-c", f"import sys\n{start}\nfrom nonesuch.cli.app import main\nmain()"]
    return [*begin, "recognize", "train", str(run), "--data", str(folder / "train"), *_STEPS]


def test_worker_processes_and_kept_images_change_nothing(cli: Cli, folder: Path, tmp_path: Path) -> None:
    written = []
    for name, options in {"plain": [], "fed": ["--workers", 1, "--cache"]}.items():
        train = ["recognize", "train", tmp_path / name, "--data", folder / "train", "--preset", "tiny", "--epochs", 2]
        outcome = cli(*train, *options)
        assert outcome.status == 0, outcome.err
        written.append((tmp_path / name / "tiny.safetensors").read_bytes())
    assert written[0] == written[1]
    assert not list((tmp_path / "fed").glob(".crops*"))
    made = ["--from-generator", "vec2face_small", "--workers", 1]
    told = cli("recognize", "train", tmp_path / "made", "--data", folder / "train", *made).error
    assert told.endswith("--workers: these processes read images, and --from-generator makes them; add --cache")
    assert not (tmp_path / "made").exists()


def _to_the_end(cli: Cli, folder: Path, run: Path) -> bytes:
    """The weights of the same command in this process."""
    with one_core(torch.device("cpu")):
        outcome = cli("recognize", "train", run, "--data", folder / "train", *_STEPS)
    assert outcome.status == 0, outcome.err
    return (run / "tiny.safetensors").read_bytes()


def test_killed_and_on_a_full_disk_it_goes_on_to_the_same_weights(cli: Cli, folder: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: log and card fit below it, the training state does not."""
    run = tmp_path / "run"
    with subprocess.Popen(_command(folder, run), stderr=subprocess.PIPE, env=_QUICK) as process:
        while not (run / "state.pt").exists() and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        process.communicate(timeout=60)
    assert 0 < len((run / "log.jsonl").read_text().splitlines()) < 60, "the run was not interrupted"
    state = (run / "state.pt").read_bytes()
    assert len(state) > 50_000
    of_the_killed = set(run.glob(".*.tmp"))  # it may have been killed while it wrote
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))"
    full = subprocess.run(_command(folder, run, limit), capture_output=True, text=True, env=_QUICK)
    assert full.returncode == 1
    assert [line[:7] for line in full.stderr.splitlines()] == ["error: "]
    assert "space" in full.stderr
    assert (run / "state.pt").read_bytes() == state
    assert set(run.glob(".*.tmp")) <= of_the_killed
    assert _to_the_end(cli, folder, run) == _to_the_end(cli, folder, tmp_path / "whole")


def test_wrong_inputs(cli: Cli, folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    flat = folder / "train" / "person0"
    assert "no identity has two images" in cli("recognize", "train", run, "--data", flat, "--preset", "tiny").error
    data = ["--data", folder / "train", "--preset", "tiny"]
    assert (
        "--backbone dlib_resnet: not one of" in cli("recognize", "train", run, *data, "--backbone", "dlib_resnet").error
    )
    few = ["--data", folder / "test", "--preset", "tiny", "--head", "triplet", "--batch", "4"]
    # Of 23 others two show the same person: six others make 0.52 of one, five 0.43.
    assert "give --batch 7 or more" in cli("recognize", "train", run, *few).error
    assert "fewer than one batch" in cli("recognize", "train", run, *data, "--batch", "100").error
    names = tmp_path / "names.txt"
    names.write_text("nobody\n")
    assert "leaves out none of 64 images" in cli("recognize", "train", run, *data, "--exclude", names).error
    large = tmp_path / "large"
    for person in ("a", "b"):
        (large / person).mkdir(parents=True)
        for image in range(16):
            Image.new("RGB", (64, 64)).save(large / person / f"{image}.png")
    assert "64x64" in cli("recognize", "train", run, "--data", large, "--preset", "tiny").error


def test_a_dataset_through_a_manifest_of_cleaning(cli: Cli, tiny_generator: Path, tmp_path: Path) -> None:
    """Trained on what the manifest keeps, under its identities, beside another source and without whom a list names."""
    faces, manifest, run = tmp_path / "faces", tmp_path / "cleaned.parquet", tmp_path / "run"
    make = ["--generator", tiny_generator, "--identities", 4, "--images", 3, "--shard-images", 6, "--no-summary"]
    assert cli("generate", faces, *make).status == 0
    kept = {"0000003/00002": 3, "0000001/00000": 0, "0000001/00001": 1, "0000000/00001": 0, "0000002/00000": 2}
    rows = [(f"{key}.jpg", Label(f"{label:07d}", key[:7])) for key, label in kept.items()]
    write_manifest(manifest, faces, rows, {})
    (tmp_path / "names.txt").write_text("0000002\n")
    options = ["--data", manifest, "--preset", "tiny", "--batch", 4, "--epochs", 1, "--exclude", tmp_path / "names.txt"]
    outcome = cli("recognize", "train", run, *options)
    assert outcome.status == 0, outcome.err
    expected = [("0000000/00001.jpg", "0000000"), ("0000001/00000.jpg", "0000000"), ("0000001/00001.jpg", "0000001")]
    expected.append(("0000003/00002.jpg", "0000003"))
    table = pq.read_table(run / "images.parquet")
    assert list(zip(table["file"].to_pylist(), table["identity"].to_pylist(), strict=True)) == expected
    card = json.loads((run / "tiny.json").read_text())
    assert card["training_data"] == "4 images of 3 identities from cleaned.parquet."
    outcome = cli("recognize", "train", tmp_path / "both", *options, "--data", faces, "--workers", 1, "--cache")
    assert outcome.status == 0, outcome.err
    # The list of names leaves the identity out of the dataset, too.
    card = json.loads((tmp_path / "both" / "tiny.json").read_text())
    assert card["training_data"] == "13 images of 6 identities from cleaned.parquet, faces."
    write_manifest(manifest, faces, [*rows, ("0000004/00000.jpg", Label("0000000", "0000000"))], {})
    refused = cli("recognize", "train", tmp_path / "other", *options)
    assert "faces lacks 1 of its images, the first is 0000004/00000.jpg; make cleaned.parquet again" in refused.error
