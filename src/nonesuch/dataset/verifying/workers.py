"""Checking the shards of a dataset, here or in several processes; findings come in the order of the shards.

A worker is a Python that reads a line for each shard and answers with one. Unlike those of `multiprocessing` it does
not run the user's program again, which may have no `if __name__ == "__main__"`, and it ends when this process does,
however that ends. It loads no torch.
"""

import contextlib
import dataclasses
import json
import queue
import signal
import subprocess
import sys
import warnings
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa

from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import Notice
from nonesuch.dataset.verifying.shard import Findings, ShardCheck
from nonesuch.formats.plan import Plan

_START = "import sys; sys.path[:] = sys.argv[1:]; from nonesuch.dataset.verifying.workers import serve; serve()"
_AHEAD = 4  # shards for each worker that are handed out before the first of them is done
Task = tuple[int, str | None]  # number of a shard, and the hash that its tar should have


def check_shards(check: ShardCheck, plan: Plan, tasks: Sequence[Task], workers: int) -> Generator[tuple[int, Findings]]:
    """Check shards, in order.

    Args:
        workers: processes; 1 for this one.

    Raises:
        NonesuchError: a worker cannot be started, or was killed.
    """
    workers = min(workers, len(tasks))
    if workers < 2:
        for number, expected_hash in tasks:
            yield number, check.findings(plan, number, expected_hash)
        return
    with ExitStack() as held:
        pool = held.enter_context(ThreadPoolExecutor(workers))
        free = queue.SimpleQueue[_Worker]()
        for _ in range(workers):
            free.put(held.enter_context(_Worker(check)))
        held.callback(pool.shutdown, wait=False, cancel_futures=True)

        def one(task: Task) -> Findings:
            worker = free.get()
            try:
                return worker.findings(task)
            finally:
                free.put(worker)

        waiting = deque[tuple[int, Future[Findings]]]()
        for task in tasks:
            waiting.append((task[0], pool.submit(one, task)))
            if len(waiting) == workers * _AHEAD:
                number, found = waiting.popleft()
                yield number, found.result()
        for number, found in waiting:
            yield number, found.result()


class _Worker:
    """A process that checks shards of one dataset; ends with the block."""

    def __init__(self, check: ShardCheck) -> None:
        command = [sys.executable, "-c", _START, *sys.path]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="ascii")
        except OSError as error:
            raise NonesuchError(f"no worker process can be started ({error.strerror}); use --workers 1") from error
        self._first = [str(check.folder), check.suffix, list(check.groups)]

    def __enter__(self) -> "_Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError), self._process:  # closes the pipes, of which one may hold a line
            pass

    def findings(self, task: Task) -> Findings:
        """Have a shard checked; raises NonesuchError where the process has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        told = ""
        try:
            for line in filter(None, (self._first, task)):
                print(json.dumps(line), file=self._process.stdin, flush=True)
            self._first = []
            told = self._process.stdout.readline()
        except OSError:  # it has ended
            pass
        if not told:
            status = self._process.wait()
            why = f"was killed by signal {-status}" if status < 0 else "failed"
            raise NonesuchError(
                f"a worker process {why} at shard {task[0]:06d}; if the memory was short, use fewer --workers"
            )
        problem, columns = json.loads(told)
        return Findings(problem, tuple(columns))


def serve() -> None:
    """What a worker does: the first line says what is checked how, each later one names a shard."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started it reports this, and ends it
    warnings.simplefilter("ignore", Notice)
    pa.set_cpu_count(1)
    folder, suffix, groups = _next_line()
    check, plan = ShardCheck(Path(folder), suffix, tuple(groups)), Plan(Path(folder))
    while line := _next_line():
        print(json.dumps(dataclasses.astuple(check.findings(plan, *line))), flush=True)


def _next_line() -> list[Any]:
    """[] where the process that started this one has ended."""
    return json.loads(sys.stdin.readline() or "[]")
