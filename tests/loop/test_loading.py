"""Batches loaded ahead are those that are loaded when they are needed, whatever happens to who loads them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nonesuch.core.errors import NonesuchError
from nonesuch.loop.loading import Loading, Order
from nonesuch.loop.trainer import Player, Trainer
from tests.loop.claimed import claimed_trainer
from tests.loop.slow_points import BAD, SlowPoints
from tests.loop.test_trainer import Line, _log, _run, _settings

ROOT = Path(__file__).parents[2]
LAST = 160


def _loading(workers: int | None, samples: SlowPoints | None = None, parts: int = 2) -> Loading:
    found = samples or SlowPoints()
    return Loading(found.load, Order(len(found), _settings()), parts, workers)


def _bad_batches() -> list[int]:
    order = Order(20, _settings())
    return [seen for seen in range(0, LAST, 8) if BAD in order.at(seen)[0]]


def _equal(one: list[dict[str, Tensor]], other: list[dict[str, Tensor]]) -> bool:
    return [part.keys() for part in one] == [part.keys() for part in other] and all(
        torch.equal(tensor, theirs[name]) and tensor.stride() == theirs[name].stride()
        for part, theirs in zip(one, other, strict=True)
        for name, tensor in part.items()
    )


def test_a_thread_gives_what_loading_in_place_gives_from_any_place() -> None:
    ahead, here = _loading(0), _loading(None)
    for seen in (0, 8, 16, 96, 8, 16, 152):
        assert _equal(ahead.parts(seen, LAST), here.parts(seen, LAST))
    ahead.close()
    assert _equal(ahead.parts(0, LAST), here.parts(0, LAST))
    ahead.close()


def test_nothing_is_loaded_beyond_the_end_and_little_ahead() -> None:
    class Counted(SlowPoints):
        def load(self, *args: object) -> dict[str, Tensor]:
            counted.append(1)
            return super().load(*args)  # type: ignore[arg-type]

    for seen, last, most in ((0, 160, 3), (144, 160, 2), (152, 160, 1)):
        counted: list[int] = []
        loading = _loading(0, Counted(), parts=1)
        loading.parts(seen, last)
        time.sleep(0.05)
        loading.close()
        assert 1 <= len(counted) <= most


def test_worker_processes_whatever_happens_to_them() -> None:
    """Their batches, an image that one cannot read, Ctrl-C, which goes to them too, and one that is killed."""
    two, here = _loading(2, SlowPoints(bad=BAD)), _loading(None, SlowPoints())
    bad = _bad_batches()
    for seen in range(0, LAST, 8):
        if seen in bad:
            with pytest.raises(NonesuchError, match=rf"^{BAD}\.png: not a readable image$"):
                two.parts(seen, LAST)
        else:
            assert _equal(two.parts(seen, LAST), here.parts(seen, LAST))
        if seen == 16:
            for process in _workers(two):
                os.kill(process, signal.SIGINT)
    os.kill(_workers(two)[0], signal.SIGKILL)
    assert _within(10, lambda: "a process that loads images was killed" in _error(two))
    assert _error(two).endswith("give fewer workers")
    two.close()


def _error(loading: Loading) -> str:
    try:
        loading.parts(0, 8)
    except NonesuchError as error:
        return str(error)
    return ""


def _workers(loading: Loading) -> list[int]:
    return list(loading._pool._processes)  # type: ignore[union-attr]


def test_a_run_stopped_in_mid_epoch_equals_one_that_was_not(tmp_path: Path) -> None:
    def trained(name: str, workers: int | None, stop_after: int | None = None) -> Trainer:
        settings = _settings(accumulate=2)
        trainer = claimed_trainer(Line(), SlowPoints(), settings, tmp_path / name, workers=workers)
        _run(trainer, stop_after=stop_after)
        return trainer

    whole = trained("whole", None)
    assert trained("parts", 0, stop_after=3).seen == 24
    assert trained("parts", None, stop_after=9).seen == 96
    parts = trained("parts", 0)
    assert _log(tmp_path / "parts") == _log(tmp_path / "whole")
    assert all(torch.equal(parts.averaged()[name], tensor) for name, tensor in whole.averaged().items())


def test_loading_and_computing_take_place_at_the_same_time(tmp_path: Path) -> None:
    class SlowLine(Line):
        @property
        def players(self) -> list[Player]:
            return [Player(self.network, self.slow_losses)]

        def slow_losses(self, batch: dict[str, Tensor], seen: int) -> dict[str, Tensor]:
            time.sleep(0.05)
            return self.losses(batch, seen)

    def seconds(workers: int | None) -> float:
        folder = tmp_path / str(workers)
        trainer = claimed_trainer(SlowLine(), SlowPoints(0.05), _settings(images=80), folder, workers=workers)
        begun = time.monotonic()
        _run(trainer)
        return time.monotonic() - begun

    assert seconds(0) < 0.8 * seconds(None)


_SCRIPT = """
import sys, time
from nonesuch.loop.loading import Loading, Order
from nonesuch.loop.settings import TrainSettings
from tests.loop.slow_points import SlowPoints

def main():
    samples = SlowPoints()
    loading = Loading(samples.load, Order(20, TrainSettings(images=160, batch=8, lr=0.1)), 1, 1)
    loading.parts(0, 160)
    print(*loading._pool._processes, flush=True)
    time.sleep(60)

"""


def _script(path: Path, call: str) -> subprocess.Popen[str]:
    path.write_text(_SCRIPT + call)
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT}/src", "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, str(path)], env=environment, text=True, **pipes)


def _within(seconds: float, holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return False


def _is_gone(process: int) -> bool:
    try:
        return "(zombie)" in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return True


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks /proc who lives")
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = _script(tmp_path / "guarded.py", 'if __name__ == "__main__":\n    main()\n')
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    assert not _is_gone(worker)
    parent.kill()
    parent.communicate()
    assert _within(20, lambda: _is_gone(worker))


def test_a_program_that_starts_itself_again_is_told_so(tmp_path: Path) -> None:
    _, told = _script(tmp_path / "unguarded.py", "main()\n").communicate(timeout=120)
    assert told.splitlines()[-1].endswith("(if it does, memory was short: give fewer workers)")
    assert 'must call this below if __name__ == "__main__":' in told.splitlines()[-1]
