"""Bad input leaves no folder behind, and a killed command no file for ever."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Cli

HERE = "{here}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["audit", HERE + "/people", "--against", HERE + "/missing", "--out", HERE + "/out/new"],
        ["audit", HERE + "/people", "--against", HERE + "/empty", "--out", HERE + "/out/new"],
        ["clean", HERE + "/empty", "--out", HERE + "/out/new"],
        ["generate", HERE + "/out/new", "--vectors", HERE + "/missing.parquet"],
        ["generate", HERE + "/out/new", "--identities", 40, "--max-similarity", -0.9],
        ["generate", HERE + "/out/new", "--identities", 40, "--max-similarity", -0.9, "--plan-only"],
        ["embed", HERE + "/empty", "--out", HERE + "/v.parquet", "--crops", HERE + "/out/new"],
        ["train-generator", HERE + "/out/new", "--data", HERE + "/empty", "--preset", "vec2face_tiny"],
        ["recognize", "train", HERE + "/out/new", "--data", HERE + "/empty"],
    ],
    ids=lambda arguments: " ".join(map(str, arguments)).replace(HERE, "")[:40],
)
def test_bad_input_makes_no_folder(cli: Cli, training_data: Path, tmp_path: Path, arguments: list[object]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "people").symlink_to(training_data / "people")
    before = {path.name for path in tmp_path.iterdir()}
    outcome = cli(*(str(argument).replace(HERE, str(tmp_path)) for argument in arguments))
    assert outcome.status != 0
    assert outcome.err.startswith("error: ") or "\nerror: " in outcome.err
    assert {path.name for path in tmp_path.iterdir()} == before


def test_what_a_killed_embed_left_is_removed_by_a_later_one(cli: Cli, training_data: Path, tmp_path: Path) -> None:
    out, crops = tmp_path / "v.parquet", tmp_path / "crops"
    arguments = ["embed", str(training_data / "people"), "--out", str(out), "--crops", str(crops)]
    with subprocess.Popen([sys.executable, "-m", "nonesuch", *arguments], stderr=subprocess.DEVNULL) as process:
        while not list(tmp_path.glob(".v.parquet.*.tmp")) and process.poll() is None:
            time.sleep(0.005)
        process.kill()
    left = list(tmp_path.rglob(".*.tmp"))
    assert left, "the command was not interrupted"
    for path in left:
        os.utime(path, (time.time() - 7200.0,) * 2)
    assert cli(*arguments).status == 0
    assert not list(tmp_path.rglob(".*.tmp"))
