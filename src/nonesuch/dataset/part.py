"""Which shards of a dataset a process makes, where several divide them beforehand."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from nonesuch.core.errors import NonesuchError

SLURM = "slurm"


@dataclass(frozen=True)
class Part:
    """The shards i with i % count == index; by default all of them."""

    index: int = 0
    count: int = 1

    def shards(self, total: int) -> range:
        """Their numbers, of `total` shards."""
        return range(self.index, total, self.count)

    def split(self, index: int, count: int) -> "Part":
        """One of `count` parts of this part."""
        return Part(self.index + self.count * index, self.count * count)


ALL = Part()


def read_part(text: str, environment: Mapping[str, str] = os.environ) -> Part:
    """A part as users write it: "I/N" with I from 0 to N - 1, or "slurm" for the place of this task in its array.

    Raises:
        NonesuchError: anything else, no SLURM array, or an array with gaps.
    """
    if text == SLURM:
        return _of_slurm(environment)
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or int(found[1]) >= int(found[2]):
        raise NonesuchError(f"--shards {text}: write I/N with I from 0 to N - 1, such as 0/4, or {SLURM}")
    return Part(int(found[1]), int(found[2]))


def _of_slurm(environment: Mapping[str, str]) -> Part:
    names = [f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "MIN", "MAX", "STEP", "COUNT")]
    try:
        task, first, last, step, count = (int(environment[name]) for name in names)
    except (KeyError, ValueError) as error:
        raise NonesuchError(
            f"--shards {SLURM}: this is no task of a SLURM array ({' '.join(names)} are not all set); write I/N"
        ) from error
    index, rest = divmod(task - first, max(step, 1))
    if rest or first + step * (count - 1) != last or not 0 <= index < count:
        raise NonesuchError(
            f"--shards {SLURM}: task {task} of an array with gaps has no place among {count} tasks; write I/N, or give "
            "an array such as --array=0-7"
        )
    return Part(index, count)
