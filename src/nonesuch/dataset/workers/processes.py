"""Worker processes on this host."""

import multiprocessing
import os
import threading
import warnings
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from nonesuch.core.allocator import keep_memory
from nonesuch.core.devices import available_cores
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import Notice
from nonesuch.dataset.workers.crew import Crew, RenderTask, devices_of

_TELL_EVERY_SECONDS = 1.0


def in_processes(count: int) -> Crew:
    """`count` processes, each on a GPU of its own as far as there are GPUs."""

    def run(task: RenderTask, divide: bool, on_wait: Callable[[], None]) -> list[str]:
        # A forked process would share locks and GPUs with its parent.
        context = multiprocessing.get_context("spawn")
        if task.device == "cpu" and not task.workers:
            task = replace(task, workers=max(available_cores() // count, 1))
        working: list[tuple[BaseProcess, Connection]] = []
        try:
            for each in task.shared_by(devices_of(task.device, count), divide):
                ours, theirs = context.Pipe(duplex=False)
                process: BaseProcess = context.Process(target=_work, args=(each, theirs), daemon=True)
                process.start()
                theirs.close()
                working.append((process, ours))
            while running := [process.sentinel for process, _ in working if process.is_alive()]:
                wait(running, timeout=_TELL_EVERY_SECONDS)
                on_wait()
            return [told for process, ours in working if (told := _ended(process, ours))]
        finally:
            for process, ours in working:
                process.terminate()
                process.join()
                ours.close()

    return run


def _work(task: RenderTask, theirs: Connection) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_memory()
    warnings.simplefilter("ignore", Notice)  # the process that started this one has told it
    try:
        task.run()
        theirs.send("")
    except NonesuchError as error:
        theirs.send(str(error))
    except KeyboardInterrupt:  # which the process that started this one reports
        os._exit(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _ended(process: BaseProcess, ours: Connection) -> str:
    """What became of a process that has ended, in words; "" if it did its work."""
    try:
        if ours.poll():
            return str(ours.recv())
    except EOFError:  # it ended without a word
        pass
    status = process.exitcode or 0
    why = f"was killed by signal {-status}" if status < 0 else "failed"
    return f"worker process {process.pid} {why}"
