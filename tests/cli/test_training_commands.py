"""What the four training commands have in common: options, Python functions, processes."""

import inspect
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import pytest

import nonesuch
from nonesuch.cli.generator_training import train_generator
from nonesuch.cli.perceiver_training import train_perceiver
from nonesuch.cli.recognition import adapt, train
from nonesuch.loop.runs import Trained
from tests.cli.trainings import arguments_of, options_of
from tests.conftest import Cli

_COMMANDS: dict[str, tuple[click.Command, str]] = {
    "train-generator": (train_generator, "train_generator"),
    "train-perceiver": (train_perceiver, "train_perceiver"),
    "recognize train": (train, "train_recogniser"),
    "recognize adapt": (adapt, "adapt_recogniser"),
}
# What all four take, in this order.
_SHARED = [
    *("out", "data", "exclude", "allow_unknown"),
    *("images_seen", "epochs", "batch", "accumulate", "lr", "licence", "about_data", "seed", "device", "dtype"),
]


@pytest.mark.parametrize("name", _COMMANDS)
def test_shared_options_have_one_order_and_the_functions_have_their_names_and_defaults(name: str) -> None:
    command, function = _COMMANDS[name]
    names = [parameter.name for parameter in command.params]
    assert [shared for shared in names if shared in _SHARED] == _SHARED
    arguments = inspect.signature(getattr(nonesuch, function)).parameters
    assert set(names) == set(arguments) - {"on_progress", "on_skipped"}
    needed = [parameter for parameter in command.params if parameter.required and parameter.name != "out"]
    line = ["run", *(part for parameter in needed for part in (parameter.opts[0], "given"))]
    parsed = command.make_context(name, line).params
    for parameter in command.params:
        default = arguments[parameter.name].default
        if parameter.required:
            assert default is inspect.Parameter.empty, parameter.name
        elif parameter.multiple:
            assert not parsed[parameter.name], parameter.name
            assert not default, parameter.name
        else:
            assert parsed[parameter.name] == default, parameter.name


@pytest.mark.parametrize("name", _COMMANDS)
def test_python_gives_the_weights_of_the_command(cli: Cli, training_data: Path, tmp_path: Path, name: str) -> None:
    options = options_of(training_data, name)
    outcome = cli(*name.split(), tmp_path / "command", *arguments_of(options))
    assert outcome.status == 0, outcome.err
    told: list[tuple[str, int, int]] = []

    def on_progress(what: str, done: int, total: int, note: str = "") -> None:
        told.append((what, done, total))

    function: Callable[..., Trained] = getattr(nonesuch, _COMMANDS[name][1])
    trained = function(tmp_path / "python", **options, on_progress=on_progress)
    assert trained.images_seen == 24
    assert told[-1] == ("training", 24, 24)
    by_command = tmp_path / "command" / trained.weights.name
    for suffix in (".safetensors", ".json"):
        assert trained.weights.with_suffix(suffix).read_bytes() == by_command.with_suffix(suffix).read_bytes()
    assert trained.weights.parent == tmp_path / "python"
    assert f"{by_command}: trained on 24 images" in outcome.out


@pytest.mark.parametrize("name", _COMMANDS)
def test_conflicts_are_found_before_anything_is_loaded(cli: Cli, tmp_path: Path, name: str) -> None:
    absent = arguments_of({"data": tmp_path / "absent"} | ({"embedder": "absent"} if name == "recognize adapt" else {}))
    both = cli(*name.split(), tmp_path / "run", *absent, "--images-seen", 8, "--epochs", 1)
    assert "--images-seen and --epochs both say how long to train" in both.error
    function = getattr(nonesuch, _COMMANDS[name][1])
    more = {"embedder": "absent"} if name == "recognize adapt" else {}
    for wrong, says in [
        ({"batch": 0}, "--batch 0"),
        ({"epochs": -1.0}, "--epochs -1"),
        ({"seed": -1}, "--seed -1"),
        ({"data": []}, "name at least one source with --data"),
    ]:
        with pytest.raises(nonesuch.NonesuchError, match=says):
            function(tmp_path / "run", **{"data": tmp_path / "absent", **more, **wrong})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "wrong", "says"),
    [
        ("train-generator", {"lpips": "a"}, "--lpips goes with --vgg"),
        ("train-generator", {"vgg": "a"}, "--vgg needs --lpips"),
        ("train-generator", {"adaptive": True, "loss": {"pixel": 0, "ssim": 0, "perceptual": 0}}, "--adaptive weighs"),
        ("train-generator", {"preset": "vec2face_vast"}, "--preset vec2face_vast: not one of"),
        ("train-perceiver", {"data_share": 1.5}, "--data-share 1.5"),
        ("recognize train", {"class_share": 0.0}, "--class-share 0"),
        ("recognize train", {"head": "triplet", "class_share": 0.5}, "--class-share goes with"),
        ("recognize train", {"head": "triplet", "scale": 3.0}, "--scale 3"),
        ("recognize train", {"head": "bighead"}, "--head bighead"),
        ("recognize train", {"backbone": "bigbone"}, "--backbone bigbone"),
        ("recognize train", {"head": "adaface", "straight_through": True}, "--straight-through goes with"),
        ("recognize train", {"where": "quality > 1", "from_generator": "x"}, "--where goes by columns"),
        ("recognize adapt", {"rank": 0, "embedder": "absent"}, "--rank 0"),
    ],
)
def test_each_functions_own_conflicts_too(tmp_path: Path, name: str, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(nonesuch.NonesuchError, match=says):
        getattr(nonesuch, _COMMANDS[name][1])(tmp_path / "run", tmp_path / "absent", **wrong)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", _COMMANDS)
def test_the_environment_names_the_data_and_lists_leave_people_out(
    cli: Cli, training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    options = {**options_of(training_data, name), "images_seen": 8}
    monkeypatch.setenv("NONESUCH_DATA", f"{options.pop('data')}{os.pathsep}")
    options.pop("data_share", None)
    for person in (1, 4):
        (tmp_path / f"{person}.txt").write_text(f"person{person}\n")
    lists = ["--exclude", tmp_path / "1.txt", "--exclude", tmp_path / "4.txt"]
    outcome = cli(*name.split(), tmp_path / "run", *arguments_of(options), *lists)
    assert outcome.status == 0, outcome.err
    card = next(path for path in (tmp_path / "run").glob("*.json") if path.name != "settings.json")
    assert "24 " in json.loads(card.read_text())["training_data"]  # of 36


@pytest.mark.parametrize("name", _COMMANDS)
def test_a_misspelt_name_leaves_nobody_in_unseen(cli: Cli, training_data: Path, tmp_path: Path, name: str) -> None:
    names = tmp_path / "names.txt"
    names.write_bytes(b"\xef\xbb\xbfperson1/\r\n./person4\t7\r\npreson2\r\n")
    options = {**options_of(training_data, name), "images_seen": 8}
    options.pop("data_share", None)
    arguments = [*name.split(), tmp_path / "run", *arguments_of(options), "--exclude", names]
    refused = cli(*arguments)
    assert refused.status == 1
    told = "1 of 3 names match nothing, the first is 'preson2'; correct the list, or give --allow-unknown"
    assert told in refused.error
    outcome = cli(*arguments, "--allow-unknown")
    assert outcome.status == 0, outcome.err
    assert "note: --exclude: 1 of 3 names match nothing, the first is 'preson2'" in outcome.err
    card = next(path for path in (tmp_path / "run").glob("*.json") if path.name != "settings.json")
    assert "24 " in json.loads(card.read_text())["training_data"]  # of 36


def test_epochs_count_the_data(cli: Cli, training_data: Path, tmp_path: Path) -> None:
    for name in ("train-generator", "train-perceiver", "recognize train", "recognize adapt"):
        options = options_of(training_data, name) | {"epochs": 0.5}
        options = {key: value for key, value in options.items() if key not in ("images_seen", "data_share")}
        run = tmp_path / name.replace(" ", "-")
        assert cli(*name.split(), run, *arguments_of(options)).status == 0
        assert json.loads((run / "settings.json").read_text())["settings"]["images"] == 18  # of 36


_FILES = {"settings.json", "images.parquet", "log.jsonl", "state.pt", ".lock"}


_LEFT = {
    "train-perceiver": {"perceiver_tiny.safetensors", "perceiver_tiny.json"},
    "train-generator": {
        "vec2face_tiny.safetensors",
        "vec2face_tiny.json",
        "vec2face_tiny.statistics.safetensors",
        "vectors.parquet",
        "samples.png",
    },
    "recognize adapt": {"adapted.safetensors", "adapted.json"},
}
# One command after the other, each with a group of its own, which meets at a port of its own.
_ONE_BY_ONE = """
import json
import os
import sys

from nonesuch.cli.app import main

os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"
for port, arguments in json.loads(sys.argv[1]):
    os.environ["MASTER_PORT"] = str(port)
    sys.argv = ["nonesuch", *arguments]
    try:
        main()
    except SystemExit as stopped:
        if stopped.code:
            raise
"""


def test_two_processes_leave_one_set_of_files(training_data: Path, tmp_path: Path) -> None:
    """Each sees half of a batch, and the first one alone writes and speaks."""
    script = tmp_path / "one_by_one.py"
    script.write_text(_ONE_BY_ONE)
    runs = {name: tmp_path / name.replace(" ", "-") for name in _LEFT}
    commands = [
        list(map(str, [*name.split(), run, *arguments_of(options_of(training_data, name)), "--device", "cpu"]))
        for name, run in runs.items()
    ]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with ExitStack() as stack:
        ports = [stack.enter_context(socket.create_server(("localhost", 0))).getsockname()[1] for _ in commands]
    given = json.dumps(list(zip(ports, commands, strict=True)))
    done = subprocess.run([*torchrun, given], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    for name, run in runs.items():
        assert {path.name for path in run.iterdir()} == _FILES | _LEFT[name]
        log = [json.loads(line)["images"] for line in (run / "log.jsonl").read_text().splitlines()]
        assert log == [8, 16, 24]
        weights = next(file for file in _LEFT[name] if file.endswith(".safetensors") and "statistics" not in file)
        assert done.stdout.count(f"{run / weights}: trained on 24 images") == 1
    assert done.stdout.count("trained on 24 images") == len(runs)
