"""The images that a run was started with, so that it goes on where some of them have been left out since."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nonesuch.core import files, listing, parquet
from nonesuch.core.errors import NonesuchError
from nonesuch.core.listing import Listed
from nonesuch.core.notices import notice
from nonesuch.loop.run_folder import IMAGES, STATE
from nonesuch.loop.trainer import Batch, Samples


@dataclass(frozen=True)
class RunImages:
    """The N images of a run.

    Attributes:
        listed: their list.
        signature: a hash of it.
        count: N.
        left: (N,) int64, where each is among the images that are there now; -1 for one that is left out. None where
            these are the same images in the same order.
    """

    listed: Listed
    signature: str
    count: int
    left: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return self.count

    @property
    def rows(self) -> NDArray[np.int64]:
        """(N,) `left`, or as many numbers from 0 on."""
        return np.arange(self.count) if self.left is None else self.left

    @property
    def identities(self) -> set[str]:
        """Whom the images of the run show, and whom perhaps none shows now; empty where the same ones are there."""
        if self.left is None:
            return set()
        return {name for batch in self.listed() for name in pc.unique(batch.column("identity")).to_pylist()}

    def placed(self, samples: Samples) -> Samples:
        """Samples of the images that are there now, in the order of the run."""
        return samples if self.left is None else PlacedSamples(samples, stand_ins(self.left))

    def write(self, folder: Path) -> None:
        """Keep the list in a run's folder; raises NonesuchError where it cannot be written."""
        with (
            files.replacing(folder / IMAGES) as temporary,
            parquet.writer(temporary, listing.SCHEMA, use_dictionary=["identity"]) as writer,
        ):
            for batch in self.listed():
                writer.write_batch(batch)


def images_of_run(folder: Path, now: Listed) -> RunImages:
    """The images that a run in this folder was started with; those that are there now for a new run.

    Args:
        now: list of the images that are there.

    Raises:
        NonesuchError: an image was not among the run's, or has changed since.
    """
    signature, count = _signature(now)
    before = recorded_images(folder)
    if before is None:
        return RunImages(now, signature, count)
    of_run, length = _signature(before)
    if of_run == signature:
        return RunImages(now, signature, count)
    keys, numbers = _keys(before), _keys(now)
    if not (known := np.isin(numbers, keys)).all():
        first = min(_names(now, ~known))
        raise NonesuchError(
            f"{folder}: holds a run with other images: {first} is new or has changed; "
            "restore it, leave it out with --exclude, or name another folder"
        )
    order = np.argsort(numbers, kind="stable")
    found = np.searchsorted(numbers, keys, side="right", sorter=order) - 1
    rows = order[found]
    rows[numbers[rows] != keys] = -1
    notice(f"{folder}: {int((rows < 0).sum()):,} of its {len(rows):,} images are left out now; others take their place")
    return RunImages(before, of_run, length, rows)


def recorded_images(folder: Path) -> Listed | None:
    """The list of a run that has a saved state, or None; raises NonesuchError where it is damaged."""
    path = folder / IMAGES
    if not (folder / STATE).exists() or not path.exists():
        return None

    def mended(problem: object) -> NonesuchError:
        return NonesuchError(f"{problem}; put it back, or move the run away to start again")

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            for batch in parquet.batches(parquet.reader(path), listing.BATCH, listing.SCHEMA.names):
                batch.validate(full=True)
                if any(column.null_count for column in batch.columns):
                    raise ValueError("a value is missing")
                yield batch.cast(listing.SCHEMA)
        except parquet.UNREADABLE as error:
            told = (str(error).splitlines() or [""])[0]
            raise mended(f"{path}: not a readable list of a run's images ({told})") from error

    try:
        schema = parquet.read_schema(path)
    except parquet.UNREADABLE as error:
        told = (str(error).splitlines() or [""])[0]
        raise mended(f"{path}: not a readable list of a run's images ({told})") from error
    if not schema.equals(listing.SCHEMA):
        raise mended(f"{path}: its columns are not {', '.join(listing.SCHEMA.names)}")
    return batches


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


def _signature(listed: Listed) -> tuple[str, int]:
    """The hash of a list, and its length."""
    count = 0

    def counted() -> Iterator[pa.RecordBatch]:
        nonlocal count
        for batch in listed():
            count += len(batch)
            yield batch

    return listing.signature(counted()), count


def _keys(listed: Listed) -> NDArray[np.uint64]:
    """(N,) a hash of each row, of 64 bits: of 15 million rows two are the same with probability 1e-5."""
    rows = pa.RecordBatchReader.from_batches(listing.SCHEMA, listed())
    with duckdb.connect() as connection:
        connection.register("listed", rows)
        found = connection.execute("SELECT hash(file, identity, bytes) AS key FROM listed").fetchnumpy()
    return np.asarray(found["key"], dtype=np.uint64)


def _names(listed: Listed, wanted: NDArray[np.bool_]) -> Iterator[str]:
    start = 0
    for batch in listed():
        yield from batch.column("file").filter(pa.array(wanted[start : start + len(batch)])).to_pylist()
        start += len(batch)
