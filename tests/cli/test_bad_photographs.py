"""A bad photograph does not end a training for good: it is named at the start, and a run goes on without it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from nonesuch.formats.readers import find
from tests.cli.trainings import arguments_of, options_of
from tests.conftest import Cli


@pytest.fixture
def ours(training_data: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(training_data, tmp_path / "data"))


def _spoil(source: Path, name: str) -> None:
    """Other bytes in the place of an image, as a failing disk gives them: the size stays."""
    photograph = next(item for item in find(source) if item.name == name)
    size = photograph.container.stat().st_size if photograph.size < 0 else photograph.size
    with photograph.container.open("r+b") as file:
        file.seek(photograph.offset)
        file.write(np.random.default_rng(0).bytes(size))


@pytest.mark.parametrize("command", ["recognize train", "recognize adapt", "train-perceiver"])
def test_all_bad_ones_are_named_before_the_first_step(cli: Cli, ours: Path, tmp_path: Path, command: str) -> None:
    options, run = options_of(ours, command) | {"images_seen": 8}, tmp_path / "run"
    options.pop("data_share", None)
    bad = ["person1/02.png", "person3/00.png", "person3/05.png"]
    for name in bad:
        _spoil(options["data"], name)
    outcome = cli(*command.split(), run, *arguments_of(options))
    assert outcome.status == 1
    assert "3 of 36 images cannot be used; the first: " in outcome.error
    assert "person1/02.png" in outcome.error
    assert f"leave them out with --exclude {run / 'bad_images.txt'}" in outcome.error
    assert sorted((run / "bad_images.txt").read_text().split()) == bad
    assert not (run / "log.jsonl").exists()
    mended = cli(*command.split(), run, *arguments_of(options), "--exclude", run / "bad_images.txt")
    assert mended.status == 0, mended.err


@pytest.mark.parametrize("command", ["recognize train", "recognize adapt", "train-perceiver", "train-generator"])
def test_a_run_is_saved_and_goes_on_without_the_bad_one(cli: Cli, ours: Path, tmp_path: Path, command: str) -> None:
    options, run = options_of(ours, command), tmp_path / "run"
    assert cli(*command.split(), run, *arguments_of(options | {"images_seen": 8})).status == 0
    listed = pq.read_table(run / "images.parquet")
    number = len(listed)
    assert number == (36 if "data_share" not in options else number)
    bad = listed["file"][0].as_py()
    _spoil(options["data"], bad)
    options["images_seen"] = 48
    failed = cli(*command.split(), run, *arguments_of(options))
    assert failed.status == 1
    assert bad in failed.error
    log = [json.loads(line)["images"] for line in (run / "log.jsonl").read_text().splitlines()]
    if command != "train-perceiver":  # which reads some anew for the scale of quality, before the first step
        assert f"(saved at {log[-1]} images; once this is mended, the same command goes on)" in failed.error
    assert torch.load(run / "state.pt", weights_only=True)["seen"] == log[-1]
    (tmp_path / "bad.txt").write_text("person0\n")  # and everybody else of that name: a class without images
    gone = sum(name.startswith("person0/") for name in listed["file"].to_pylist())
    resumed = cli(*command.split(), run, *arguments_of(options), "--exclude", tmp_path / "bad.txt")
    assert resumed.status == 0, resumed.err
    assert f"{gone} of its {number} images are left out now" in resumed.err
    log = [json.loads(line)["images"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert log == list(range(8, 49, 8))


def test_images_that_were_not_there_are_refused(cli: Cli, ours: Path, tmp_path: Path) -> None:
    options, run = options_of(ours, "recognize train") | {"images_seen": 8}, tmp_path / "run"
    assert cli("recognize", "train", run, *arguments_of(options)).status == 0
    shutil.copy(ours / "people/person1/00.png", ours / "people/person1/99.png")
    outcome = cli("recognize", "train", run, *arguments_of(options))
    assert "holds a run with other images: person1/99.png is new or has changed" in outcome.error
