"""A training that is over at a given time: the number of images follows from the speed of its first steps."""

import time
from dataclasses import replace
from pathlib import Path

import torch

from nonesuch.core.notices import notice
from nonesuch.loop import distributed
from nonesuch.loop.run_folder import fixed_length, keep_length
from nonesuch.loop.settings import TrainSettings

_LOOK_FOR = 0.1  # share of the time after which the length is fixed, or
_LOOK_SECONDS = 60.0  # so many seconds of it, whichever is less
_MARGIN = 1.5  # times the seconds that saving took, kept for the last save
_SPARE = 0.97  # of the time that is left is counted on


class TimeBudget:
    """Fixes how many images a run sees, and ends it in time.

    The learning rate falls over the run, so its length must be known early: it is fixed once, after a tenth of the
    time or a minute, kept in the run's folder, and stays when the run is resumed.

    Args:
        minutes: from now to the end of the call, data and last save included.
    """

    def __init__(self, minutes: float) -> None:
        self._start = time.monotonic()
        self._end = self._start + 60.0 * minutes
        self._first: tuple[float, int] | None = None
        self._saving = 0.0
        self._fixed = False

    def kept(self, folder: Path, settings: TrainSettings) -> TrainSettings:
        """The settings with the length that an earlier call fixed for the run in this folder, if one did."""
        length = fixed_length(folder)
        self._fixed = length is not None
        return settings if length is None else replace(settings, images=length)

    def saved(self, seconds: float) -> None:
        """Told how long a save took."""
        self._saving = max(self._saving, seconds)

    @property
    def over(self) -> bool:
        """Whether only the last save has time."""
        return time.monotonic() >= self._end - _MARGIN * self._saving

    def due(self, seen: int) -> bool:
        """Whether the length is to be fixed now; the first call starts the clock, since first steps are slow."""
        if self._fixed:
            return False
        now = time.monotonic()
        if self._first is None:
            self._first = now, seen
            return False
        return now - self._first[0] >= min(_LOOK_FOR * (self._end - self._start), _LOOK_SECONDS)

    def length(self, seen: int, settings: TrainSettings, folder: Path, device: torch.device) -> TrainSettings:
        """The settings with the length that the time allows, at most the recipe's; told, and kept in the folder."""
        assert self._first is not None
        now = time.monotonic()
        speed = (seen - self._first[1]) / (now - self._first[0])
        left = max(self._end - _MARGIN * self._saving - now, 0.0)
        possible = torch.tensor(float(seen + _SPARE * speed * left), dtype=torch.float64, device=device)
        possible = -distributed.highest_of_all(-possible)  # the slowest process's
        steps = max(int(float(possible) // settings.batch), seen // settings.batch)
        self._fixed = True
        images = min(max(steps * settings.batch, 1), settings.images)
        if distributed.rank() == 0:
            notice(f"{speed:.0f} images a second: the time is enough for {images:,} images in all")
            keep_length(folder, images)
        return replace(settings, images=images)
