"""Calls that ended in a traceback, or were taken for something else than was meant."""

from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.people import planted_person


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["evaluate", "--data", "a.bin", "--data", "b.tar"], "--data is given 2 times; give it once"),
        (["evaluate", "--data", "a.bin", "--pairs", "p", "--pairs", "p", "--pairs", "q"], "--pairs is given 3 times"),
        (["generate", "out", "--vectors", "v.parquet", "--vectors=w.parquet"], "--vectors is given 2 times"),
        (["statistics", "v.parquet", "--out", "a", "--out", "b"], "--out is given 2 times"),
    ],
)
def test_a_file_is_not_dropped_for_another_one(cli: Cli, arguments: list[object], says: str) -> None:
    outcome = cli(*arguments)
    assert outcome.status == 2
    assert says in outcome.error


def test_what_is_repeatable_may_be_repeated(cli: Cli, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    outcome = cli("evaluate", "--data", absent, "--embedder", "a", "--embedder", "b", "--flip", "--no-flip")
    assert "no such file or folder" in outcome.error
    numbers = cli("recognize", "train", tmp_path / "run", "--data", absent, "--data", absent, "--seed", 1, "--seed=2")
    assert "no such file or folder" in numbers.error


def test_a_bare_group_shows_its_help(cli: Cli) -> None:
    outcome = cli("recognize")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == cli("recognize", "--help").out


@pytest.mark.parametrize("seconds", ["soon", "-1", "nan", ""])
@pytest.mark.parametrize("command", ["recognize train", "train-generator", "train-perceiver"])
def test_a_bad_environment_is_named_at_once(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, seconds: str
) -> None:
    monkeypatch.setenv("NONESUCH_CHECKPOINT_SECONDS", seconds)
    outcome = cli(*command.split(), tmp_path / "run", "--data", tmp_path / "absent")
    assert f"NONESUCH_CHECKPOINT_SECONDS={seconds}: set it to a number of seconds" in outcome.error
    assert not (tmp_path / "run").exists()


def test_the_home_of_nobody_is_named(cli: Cli) -> None:
    assert "~nobody.at.all/x: its home folder is not known" in cli("verify", "~nobody.at.all/x").error


@pytest.mark.parametrize("options", [["--batch", 1], ["--batch", 4, "--accumulate", 4]])
def test_one_image_at_a_time_is_refused_where_batch_norm_needs_two(
    cli: Cli, tmp_path: Path, options: list[object]
) -> None:
    for person in range(2):
        planted_person(tmp_path / "people", person, range(3))
    outcome = cli("recognize", "train", tmp_path / "run", "--data", tmp_path / "people", "--preset", "tiny", *options)
    assert "batch norm needs two images or more at a time; give at least" in outcome.error
