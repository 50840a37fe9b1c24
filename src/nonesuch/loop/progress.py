"""Progress: a bar with time left on terminals, a line now and then where standard error is a file or a pipe."""

import datetime
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from nonesuch.loop import distributed

console = Console(stderr=True)

_SHOW_AFTER_SECONDS = 2.0
_LINE_EVERY_SECONDS = 30.0


class OnProgress(Protocol):
    """Told how far a piece of work is.

    Args:
        what: is being done, such as "training".
        done: how much of it is done.
        total: how much there is, 0 if unknown.
        note: shown behind it, such as the speed.
    """

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None: ...


def no_progress(what: str, done: int, total: int, note: str = "") -> None:
    """An `OnProgress` that does nothing."""


class ProgressBar:
    """A bar on standard error, shown once the work has taken two seconds; a line every half minute where that is no
    terminal. Of several processes only the first one speaks."""

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._speaks = distributed.is_first()
        self._bar = Progress(
            *columns, console=console, transient=True, disable=not (console.is_terminal and self._speaks)
        )
        self._task = self._bar.add_task("", total=None, note="")
        self._what = ""
        self._started = self._last_line = time.monotonic()
        self._began = (self._started, 0)  # when this kind of work was first heard of, and what was done by then

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None:
        """Say what is being done, how much of it is done, how much there is (0 if unknown), and a note behind it."""
        if what != self._what:
            self._what, self._began = what, (time.monotonic(), done)
            self._bar.reset(self._task, description=what, total=total or None)
        if not self._bar.live.is_started and time.monotonic() - self._started > _SHOW_AFTER_SECONDS:
            self._bar.start()
        self._bar.update(self._task, completed=done, note=note)
        if self._speaks and not console.is_terminal and time.monotonic() - self._last_line >= _LINE_EVERY_SECONDS:
            self._last_line = time.monotonic()
            print(self._line(done, total, note), file=sys.stderr, flush=True)

    def _line(self, done: int, total: int, note: str) -> str:
        since, before = self._began
        told = f"{self._what}: {done:,} of {total:,}" if total else f"{self._what}: {done:,}" if done else self._what
        if total and done > before:
            left = (time.monotonic() - since) * (total - done) / (done - before)
            told += f", {datetime.timedelta(seconds=round(left))} left"
        return f"{told}  {note}".rstrip()

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._bar.live.is_started:
            self._bar.stop()


@contextmanager
def progress_bar() -> Iterator[ProgressBar]:
    """A `ProgressBar` that is closed at the end."""
    bar = ProgressBar()
    try:
        yield bar
    finally:
        bar.close()
