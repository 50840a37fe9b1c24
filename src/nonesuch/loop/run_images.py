"""The images that a run was started with, so that it goes on where some of them have been left out since."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nonesuch.core import files, parquet
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice
from nonesuch.loop.run_folder import IMAGES, STATE
from nonesuch.loop.trainer import Batch, Samples

_COLUMNS = pa.schema([("file", pa.string()), ("identity", pa.string()), ("bytes", pa.int64())])


@dataclass(frozen=True)
class RunImages:
    """The N images of a run.

    Attributes:
        table: a row for each: file, identity, bytes.
        rows: (N,) int64, where each is among the images that are there now; -1 for one that is left out.
    """

    table: pa.Table
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def write(self, folder: Path) -> None:
        """Keep the list in a run's folder; raises NonesuchError where it cannot be written."""
        with files.replacing(folder / IMAGES) as temporary:
            parquet.write_table(self.table, temporary)


def images_of_run(folder: Path, now: pa.Table) -> RunImages:
    """The images that a run in this folder was started with; those that are there now for a new run.

    Args:
        now: file, identity, bytes of each image.

    Raises:
        NonesuchError: an image was not among the run's, or has changed since.
    """
    before = recorded_images(folder)
    if before is None or before.equals(now):
        return RunImages(now, np.arange(len(now)))
    numbers = {key: row for row, key in enumerate(_keys(now))}
    keys = _keys(before)
    if others := numbers.keys() - set(keys):
        raise NonesuchError(
            f"{folder}: holds a run with other images: {min(others)[0]} is new or has changed; "
            "restore it, leave it out with --exclude, or name another folder"
        )
    rows = np.array([numbers.get(key, -1) for key in keys], dtype=np.int64)
    notice(f"{folder}: {int((rows < 0).sum()):,} of its {len(rows):,} images are left out now; others take their place")
    return RunImages(before, rows)


def recorded_images(folder: Path) -> pa.Table | None:
    """The list of a run that has a saved state, or None; raises NonesuchError where it is damaged."""
    path = folder / IMAGES
    if not (folder / STATE).exists() or not path.exists():
        return None
    try:
        table = parquet.read_checked(path, "list of a run's images")
        if table.schema != _COLUMNS:
            raise NonesuchError(f"{path}: its columns are not {', '.join(_COLUMNS.names)}")
    except NonesuchError as error:
        raise NonesuchError(f"{error}; put it back, or move the run away to start again") from error
    return table


@dataclass(frozen=True)
class PlacedSamples:
    """Samples in the order of a run that began with more of them.

    Attributes:
        samples: those that are there now.
        place: (N,) int64, which of them stands at each place of the run, see `stand_ins`.
    """

    samples: Samples
    place: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.place)

    def load(self, indices: NDArray[np.int64], seeds: list[int]) -> Batch:
        """The samples that stand at these places; the seeds belong to the places."""
        return self.samples.load(self.place[indices], seeds)


def stand_ins(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) rows with each -1 replaced by the next row that is none; all other places keep their own."""
    present = np.flatnonzero(rows >= 0)
    following: NDArray[np.int64] = present[np.searchsorted(present, np.arange(len(rows))) % len(present)]
    return rows[following]


def _keys(table: pa.Table) -> list[tuple[str, str, int]]:
    return list(zip(*(table[name].to_pylist() for name in ("file", "identity", "bytes")), strict=True))
