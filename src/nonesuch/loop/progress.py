"""Progress bars with time left, on terminals only, for work that takes longer than two seconds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from nonesuch.loop import distributed

console = Console(stderr=True)

_SHOW_AFTER_SECONDS = 2.0


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
    """A bar on standard error, shown once the work has taken two seconds.

    Nothing is shown where that is not a terminal, nor in any but the first of several processes."""

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
        self._bar = Progress(
            *columns, console=console, transient=True, disable=not (console.is_terminal and distributed.is_first())
        )
        self._task = self._bar.add_task("", total=None, note="")
        self._what = ""
        self._started = time.monotonic()

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None:
        """Say what is being done, how much of it is done, how much there is (0 if unknown), and a note behind it."""
        if what != self._what:
            self._what = what
            self._bar.reset(self._task, description=what, total=total or None)
        if not self._bar.live.is_started and time.monotonic() - self._started > _SHOW_AFTER_SECONDS:
            self._bar.start()
        self._bar.update(self._task, completed=done, note=note)

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
