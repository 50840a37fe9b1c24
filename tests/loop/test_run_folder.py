"""Whose a run's folder is, and what a later call may change in it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import nonesuch
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import Notice
from nonesuch.loop.run_folder import claim_folder, claimed
from tests.conftest import Cli
from tests.loop.test_trainer import _log, _run, _settings, _trainer
from tests.people import planted_person

_WHAT = {"data": "line"}


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    for person in range(3):
        planted_person(folder, person, range(4))
    return folder


def _train(cli: Cli, out: Path, people: Path, *more: object) -> object:
    options = ["--preset", "tiny", "--batch", 4, "--images-seen", 8, *more]
    return cli("recognize", "train", out, "--data", people, *options)


@pytest.mark.parametrize("name", ["log.jsonl", "tiny.json", "state.pt", "settings.json", "notes/thesis.tex"])
def test_no_file_of_a_user_is_touched(cli: Cli, people: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / "out" / name
    file.parent.mkdir(parents=True)
    file.write_text('{"editor.fontSize": 14}')
    outcome = _train(cli, tmp_path / "out", people)
    assert outcome.status == 1
    assert "name a new or empty folder" in outcome.error
    assert file.read_text() == '{"editor.fontSize": 14}'
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name.split("/")[0]]


def test_the_state_of_another_run_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    for name in ("one", "other"):
        _run(_trainer(tmp_path / name), stop_after=2)
    settings = json.loads((tmp_path / "other" / "settings.json").read_text())
    settings["what"]["data"] = "circle"
    (tmp_path / "other" / "settings.json").write_text(json.dumps(settings))
    foreign = (tmp_path / "one" / "state.pt").read_bytes()
    (tmp_path / "other" / "state.pt").write_bytes(foreign)
    with pytest.raises(NonesuchError, match=r"state\.pt: not a sound state of this run"):
        _trainer(tmp_path / "other", what={"data": "circle"})
    assert (tmp_path / "other" / "state.pt").read_bytes() == foreign


_HOLDER = """
import sys, time; from pathlib import Path
from nonesuch.loop.run_folder import claimed
from tests.loop.test_trainer import _settings
with claimed(Path(sys.argv[1]), _settings(), {"data": "line"}): print("claimed", flush=True); time.sleep(60)
"""


def test_a_second_process_is_kept_out_and_what_a_killed_one_left_goes(cli: Cli, people: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", _HOLDER, str(run)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "claimed\n"
        for name in (".state.pt.4711.tmp", ".tiny.safetensors.4711.tmp", ".mine.tmp"):
            (run / name).write_bytes(b"half")
        outcome = _train(cli, run, people)
        holder.kill()
    assert "another process is writing here" in outcome.error
    assert (run / ".state.pt.4711.tmp").exists(), "another process is writing it"
    assert _train(cli, run, people).status == 0
    assert [path.name for path in run.glob(".*.tmp")] == [".mine.tmp"]


def test_a_claim_that_nothing_came_of_may_be_replaced(tmp_path: Path) -> None:
    claim_folder(tmp_path, _settings(), _WHAT)
    (tmp_path / "log.jsonl").write_text("{}\n")
    (tmp_path / "vectors.parquet").touch()
    claim_folder(tmp_path, _settings(batch=4), _WHAT)
    assert (tmp_path / "vectors.parquet").exists()
    claim_folder(tmp_path, _settings(), {"data": "circle"})
    assert not (tmp_path / "vectors.parquet").exists(), "they are of other data"
    _run(_trainer(tmp_path, what={"data": "circle"}), stop_after=1)
    assert len(_log(tmp_path)) == 1
    with pytest.raises(NonesuchError, match="with data circle, not line"):
        claim_folder(tmp_path, _settings(), _WHAT)


def test_a_lower_rate_is_taken_after_divergence_only(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path)
    _run(trainer, stop_after=3)
    with pytest.raises(NonesuchError, match=r"with lr 0\.01, not 0\.001"):
        _trainer(tmp_path, lr=1e-3)
    trainer = _trainer(tmp_path)
    trainer.network[0].weight.data.fill_(float("nan"))
    with pytest.raises(NonesuchError, match="run the same command with a lower --lr"):
        _run(trainer)
    with pytest.raises(NonesuchError, match=r"with lr 0\.01, not 0\.02"):
        _trainer(tmp_path, lr=2e-2)
    slower = _trainer(tmp_path, lr=1e-3)
    assert slower.step == 3
    _run(slower)
    assert [line["lr"] for line in _log(tmp_path)][3:4] == [pytest.approx(_settings(lr=1e-3).learning_rate(24))]
    with pytest.raises(NonesuchError, match=r"with lr 0\.001, not 0\.0001"):
        _trainer(tmp_path, lr=1e-4)


def test_a_run_can_be_made_longer_where_its_length_is_given(cli: Cli, people: Path, tmp_path: Path) -> None:
    assert _train(cli, tmp_path, people).status == 0
    longer = _train(cli, tmp_path, people, "--images-seen", 16)
    assert longer.status == 0, longer.err
    assert "note:" in longer.err
    assert "the run of 8 images goes on to 16" in longer.err
    assert [line["images"] for line in _log(tmp_path)] == [4, 8, 12, 16]
    assert "with images 16, not 8" in _train(cli, tmp_path, people).error
    forgotten = cli("recognize", "train", tmp_path, "--data", people, "--preset", "tiny", "--batch", 4)
    assert "holds a run with images 16" in forgotten.error
    other = _train(cli, tmp_path, people, "--images-seen", 24, "--seed", 3)
    assert "holds a run with seed 0, not 3" in other.error


def test_a_longer_run_warms_up_and_falls_as_its_length_says(tmp_path: Path) -> None:
    _run(_trainer(tmp_path), stop_after=2)
    longer = replace(_settings(), images=320, warmup=32, milestones=(160,), ema_images=100)
    with pytest.warns(Notice, match="the run of 160 images goes on to 320"):
        claim_folder(tmp_path, longer, _WHAT, may_extend=True)
    with pytest.raises(NonesuchError, match="with images 320, not 160"):
        claim_folder(tmp_path, _settings(), _WHAT, may_extend=True)


def test_batches_may_be_split_otherwise(tmp_path: Path) -> None:
    _run(_trainer(tmp_path), stop_after=2)
    assert _trainer(tmp_path, accumulate=2).step == 2


@pytest.fixture(scope="module")
def trained(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("trained") / "run"
    nonesuch.train_recogniser(run, people, preset="tiny", batch=4, images_seen=8)
    return run


def _set(place: str, value: object) -> Callable[[str], str]:
    def change(text: str) -> str:
        content = json.loads(text)
        inside = content
        *parts, last = place.split(".")
        for part in parts:
            inside = inside[part]
        inside[last] = value
        return json.dumps(content)

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        *((_set("settings.images", value), "`images`") for value in ("8", 0, -1, 1.5, None, [8], True, {})),
        *((_set("settings.lr", value), "`lr`") for value in ("fast", 0, -1.0, [0.1])),
        *((_set("settings.batch", value), "`batch`") for value in ("4", 0)),
        *((_set("settings.accumulate", value), "`accumulate`") for value in ("1", 0, 2.5)),
        (_set("settings.milestones", 5), "`milestones`"),
        (_set("settings.betas", [0.9]), "`betas`"),
        (_set("settings.optimizer", "lion"), "`optimizer`"),
        (_set("settings.dtype", 32), "`dtype`"),
        (_set("settings.steps", 5), "unknown steps"),
        (_set("settings", [1]), "`settings`"),
        (_set("what", "a line"), "`what`"),
        (_set("diverged", "yes"), "`diverged`"),
        (_set("notes", 5), "unknown notes"),
        (lambda text: text[: len(text) // 2], "not readable as JSON"),
        (lambda text: "", "not readable as JSON"),
        (lambda text: "5", "holds no JSON object"),
    ],
)
def test_settings_that_were_damaged_or_edited_are_told(
    cli: Cli, people: Path, trained: Path, tmp_path: Path, change: Callable[[str], str], told: str
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    file = tmp_path / "run" / "settings.json"
    file.write_text(damaged := change(file.read_text()))
    before = sorted(path.name for path in file.parent.iterdir())
    outcome = _train(cli, tmp_path / "run", people, "--images-seen", 16)
    assert outcome.status == 1
    assert f"{file}: not the settings of a run" in outcome.error
    assert told in outcome.error
    assert "put back the right file" in outcome.error
    assert file.read_text() == damaged
    assert sorted(path.name for path in file.parent.iterdir()) == before


def test_settings_of_an_earlier_release_are_read(cli: Cli, people: Path, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    content = json.loads((tmp_path / "run" / "settings.json").read_text())
    del content["settings"]["dtype"]
    (tmp_path / "run" / "settings.json").write_text(json.dumps(content))
    assert _train(cli, tmp_path / "run", people).status == 0


@pytest.mark.parametrize(
    "columns", [{}, {"file": ["a"], "identity": ["a"]}, {"file": [1], "identity": [1], "bytes": [""]}]
)
def test_images_of_a_run_that_are_no_list_are_told(
    cli: Cli, people: Path, trained: Path, tmp_path: Path, columns: dict[str, list[object]]
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    pq.write_table(pa.table(columns), tmp_path / "run" / "images.parquet")
    assert "images.parquet: its columns are not" in _train(cli, tmp_path / "run", people).error


def test_the_lock_ends_with_the_block(tmp_path: Path) -> None:
    for _ in range(2):
        with claimed(tmp_path, _settings(), _WHAT):
            pass


def test_a_folder_that_nothing_came_of_goes_again(cli: Cli, people: Path, tmp_path: Path) -> None:
    outcome = cli("recognize", "train", tmp_path / "run", "--data", people, "--preset", "tiny", "--batch", 64)
    assert "12 images are fewer than one batch of 64" in outcome.error
    assert not (tmp_path / "run").exists()
    (tmp_path / "file").touch()
    assert "a file stands where a folder is needed" in _train(cli, tmp_path / "file" / "run", people).error
