"""Several processes render one dataset: whoever makes a shard, and whoever is killed at it, the bits are the same."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.part import Part, read_part
from nonesuch.dataset.workers.crew import RenderTask, devices_of
from tests.conftest import Cli, succeed

_OPTIONS = ["--identities", "24", "--images", "10", "--seed", "3", "--shard-images", "40", "--workers", "1"]
_SHARDS = 6


@pytest.fixture(scope="module")
def options(tiny_generator: Path) -> list[str]:
    return ["--generator", str(tiny_generator), "--no-summary", *_OPTIONS]


@pytest.fixture(scope="module")
def whole(options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of one process."""
    out = tmp_path_factory.mktemp("whole") / "faces"
    succeed("generate", out, *options)
    return out


@pytest.fixture
def planned(whole: Path, tmp_path: Path) -> Path:
    """The same dataset, of which no image was made."""
    out = tmp_path / "faces"
    out.mkdir()
    for name in ("plan.parquet", "identities.parquet"):
        shutil.copy(whole / name, out)
    manifest = json.loads((whole / "dataset.json").read_text())
    (out / "dataset.json").write_text(json.dumps(manifest | {"complete": False, "shards": [], "environments": []}))
    return out


def _hashes(folder: Path) -> dict[str, str]:
    return {path.name: files.sha256(path) for path in sorted((folder / "shards").glob("*.tar"))}


def _is_like(made: Path, whole: Path) -> None:
    """The same tars, a manifest that vouches for them, and nothing left of who made them."""
    assert _hashes(made) == _hashes(whole)
    manifests = [json.loads((folder / "dataset.json").read_text()) for folder in (made, whole)]
    assert manifests[0]["complete"]
    assert manifests[0]["shards"] == manifests[1]["shards"]
    assert manifests[0]["environments"] == manifests[1]["environments"]
    assert not [path for path in made.rglob("*") if path.name.endswith(".tmp")]
    assert not (made / ".claims").exists()


@contextmanager
def _started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "nonesuch", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _kill_at_work(folder: Path) -> int:
    """Kills the process that writes a shard once another one is finished; gives its number."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        writing = [int(path.name.split(".")[-2]) for path in (folder / "shards").glob(".*.tar.*.tmp")]
        if writing and list((folder / "shards").glob("*.parquet")):
            os.kill(writing[0], signal.SIGKILL)
            assert len(list((folder / "shards").glob("*.parquet"))) < _SHARDS
            return writing[0]
        time.sleep(0.001)
    raise AssertionError("nobody began to write a shard")


def test_two_commands_share_one_dataset(options: list[str], whole: Path, tmp_path: Path) -> None:
    """In a new folder one plans and the other waits for the plan; one is killed at work, the other one ends it."""
    out = tmp_path / "faces"
    with _started("generate", out, *options) as first, _started("generate", out, *options) as second:
        killed = _kill_at_work(out)
        left = second if killed == first.pid else first
        printed, told = left.communicate(timeout=120)
    assert killed in (first.pid, second.pid)
    assert left.returncode == 0, told
    assert "24 identities, 240 images" in printed
    _is_like(out, whole)


@contextmanager
def _killing(folder: Path) -> Iterator[Future[int]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(_kill_at_work, folder)


def test_worker_processes(cli: Cli, options: list[str], whole: Path, planned: Path) -> None:
    """One of two is killed at work: the other makes its shards, and the command says so."""
    with _killing(planned) as killed:
        outcome = cli("generate", planned, *options, "--processes", 2)
    assert outcome.status == 0, outcome.err
    assert f"note: worker process {killed.result()} was killed by signal 9; the others did its work" in outcome.err
    assert "24 identities, 240 images" in outcome.out
    _is_like(planned, whole)


def test_tasks_of_an_array(
    cli: Cli, options: list[str], whole: Path, planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Task 1 of 2 is killed at work and run again, as a scheduler does with one that failed; it completes the set."""
    with _started("generate", planned, *options, "--shards", "1/2") as task:
        assert _kill_at_work(planned) == task.pid
    first = cli("generate", planned, *options, "--shards", "0/2")
    assert first.status == 0, first.err
    assert "this part is done, the dataset is complete when all parts are" in first.out
    assert {"000000.tar", "000002.tar", "000004.tar"} <= _hashes(planned).keys()
    assert "not complete" in cli("verify", planned).err
    for name, value in {"ID": 5, "MIN": 1, "MAX": 5, "STEP": 4, "COUNT": 2}.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))
    again = cli("generate", planned, *options, "--shards", "slurm")
    assert again.status == 0, again.err
    assert "24 identities, 240 images" in again.out
    _is_like(planned, whole)


def test_a_local_ray(cli: Cli, options: list[str], whole: Path, planned: Path) -> None:
    """One of its two workers is killed at work: Ray starts another."""
    pytest.importorskip("ray")
    with _killing(planned):
        outcome = cli("generate", planned, *options, "--ray", "local", "--processes", 2)
    assert outcome.status == 0, outcome.err
    assert "24 identities, 240 images" in outcome.out
    _is_like(planned, whole)


def test_workers_that_end_without_their_work_are_told(
    cli: Cli, options: list[str], planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[RenderTask, bool]] = []

    def idle(task: RenderTask, divide: bool, on_wait: Callable[[], None]) -> list[str]:
        given.append((task, divide))
        return ["worker process 7 was killed by signal 9"]

    monkeypatch.setattr("nonesuch.dataset.workers.options.in_processes", lambda count: idle)
    failed = cli("generate", planned, *options, "--processes", 2, "--shards", "1/2")
    assert "worker process 7 was killed by signal 9; 3 shards are missing, run the same command again" in failed.error
    ((task, divide),) = given
    assert (task.folder, task.part, divide) == (planned, Part(1, 2), False)


def test_workers_have_gpus_of_their_own_and_parts_where_they_cannot_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    devices = devices_of("cuda", 3)
    assert devices == ["cuda:0", "cuda:1", "cuda:0"]
    assert devices_of("cuda:1", 2) == ["cuda:1", "cuda:1"]
    task = RenderTask(Path("faces"), "tiny", "cuda", None, Part(1, 2))
    assert [each.part for each in task.shared_by(devices, divide=True)] == [Part(1, 6), Part(3, 6), Part(5, 6)]
    assert {each.part for each in task.shared_by(devices, divide=False)} == {Part(1, 2)}


@pytest.mark.parametrize("count", [1, 2, 5])
def test_parts_are_all_shards_once(count: int) -> None:
    for whole in (Part(), Part(1, 3)):
        parts = [shard for index in range(count) for shard in whole.split(index, count).shards(17)]
        assert sorted(parts) == list(whole.shards(17))


@pytest.mark.parametrize("text", ["2/2", "1", "a/b", "-1/2", "0/0", "1/2/3", "", "slurm"])
def test_what_is_no_part(text: str) -> None:
    with pytest.raises(NonesuchError, match=re.escape(f"--shards {text}: ")):
        read_part(text, {})


@pytest.mark.parametrize(
    ("task", "first", "last", "step", "count", "part"),
    [
        (0, 0, 7, 1, 8, Part(0, 8)),
        (4, 1, 4, 1, 4, Part(3, 4)),  # --array=1-4
        (10, 0, 14, 2, 8, Part(5, 8)),  # --array=0-14:2
        (3, 3, 3, 1, 1, Part(0, 1)),
        (4, 1, 9, 1, 3, None),  # --array=1,4,9
    ],
)
def test_the_place_in_a_slurm_array(task: int, first: int, last: int, step: int, count: int, part: Part | None) -> None:
    numbers = {"ID": task, "MIN": first, "MAX": last, "STEP": step, "COUNT": count}
    environment = {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in numbers.items()}
    if part is not None:
        assert read_part("slurm", environment) == part
        return
    with pytest.raises(NonesuchError, match="an array with gaps"):
        read_part("slurm", environment)
