"""What the indices of a dataset's shards say of its images, as columns that the processes of a host share.

Those of a large dataset are read once and kept in a file of the user's cache folder. Every process maps it into its
memory, so that the system holds it once. It is made again where anything has changed since.
"""

import contextlib
import dataclasses
import hashlib
import mmap
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nonesuch.core import files, locks, parquet
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice
from nonesuch.formats.index_columns import SCHEMA, images_of, read_indices
from nonesuch.formats.plan import PLAN
from nonesuch.formats.shards import shard_files

CACHE = "NONESUCH_CACHE"  # of the environment: the folder of the files
LEAST_KEPT = 100_000  # images of a dataset whose columns are kept in a file
MOST_FILES = 8
_SUFFIX = ".columns.arrow"
_STARTS, _SHA256 = b"starts", b"sha256"  # of the file's metadata


@dataclass(frozen=True)
class ShardColumns:
    """All images of a dataset, in plan order.

    Attributes:
        folder: of the dataset.
        shards: (S,) numbers of the shards that are there.
        starts: (S + 1,) where each one's rows begin, and where the last one's end.
        label: (N,) int64 identities.
        image: (N,) int32 numbers within the identity.
        offset, size: (N,) int64, int32, which bytes of the shard's tar.
        kept_in: the file that the arrays are mapped from; None where they are in memory.
    """

    folder: Path
    shards: NDArray[np.int32]
    starts: NDArray[np.int64]
    label: NDArray[np.int64]
    image: NDArray[np.int32]
    offset: NDArray[np.int64]
    size: NDArray[np.int32]
    kept_in: Path | None = None

    @cached_property
    def tars(self) -> list[Path]:
        """(S,) the shards' tars."""
        return [shard_files(self.folder, number).tar for number in self.shards.tolist()]

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process gets the name of the file, and maps it too."""
        if self.kept_in is not None:
            return _reopened, (self.folder, self.shards, self.kept_in)
        return ShardColumns, tuple(getattr(self, item.name) for item in dataclasses.fields(self))


def shard_columns(folder: Path, shards: NDArray[np.int32]) -> ShardColumns:
    """The columns of a dataset.

    Args:
        folder: of the dataset.
        shards: numbers of those that are there, ascending.

    Raises:
        NonesuchError: an index is missing or damaged, or does not fit its tar or the plan.
    """
    place = _place(folder, shards)
    if place is not None and (found := _mapped(folder, shards, place, check=True)) is not None:
        return found
    made = None
    if place is not None and _is_large(folder, shards):
        try:
            files.make_folder(place.parent)
            with locks.briefly(place.parent, waits=lambda: True):
                if (found := _mapped(folder, shards, place, check=True)) is not None:  # another process was faster
                    return found
                made = _read(folder, shards)
                _keep(made, place)
        except NonesuchError as error:
            if made is None:
                made = _read(folder, shards)  # where the dataset is damaged, this says so again
            notice(f"{error}; so each process reads the indices itself, unless {CACHE} names another folder")
            return made
        return _mapped(folder, shards, place, check=False) or made
    return _read(folder, shards)


def _reopened(folder: Path, shards: NDArray[np.int32], place: Path) -> ShardColumns:
    """The columns in another process, whose parent has checked the file."""
    found = _mapped(folder, shards, place, check=False)
    if found is None:  # it was removed for other datasets' files
        if _place(folder, shards) != place:
            raise NonesuchError(f"{folder}: has changed while it was read; run the same command again")
        found = shard_columns(folder, shards)
    return found


def _place(folder: Path, shards: NDArray[np.int32]) -> Path | None:
    """The file for a dataset as it is now; None where the user has no folder for it."""
    try:
        usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nonesuch"
        kept = Path(os.environ.get(CACHE) or usual).expanduser()
    except RuntimeError:  # no home
        return None
    digest = hashlib.sha256(os.fsencode(folder.resolve()))
    for path in (folder / PLAN, *(path for number in shards.tolist() for path in _files(folder, number))):
        with contextlib.suppress(OSError):
            known = path.stat()
            digest.update(f" {path.name} {known.st_size} {known.st_mtime_ns}".encode())
    return kept / f"{digest.hexdigest()[:32]}{_SUFFIX}"


def _files(folder: Path, number: int) -> tuple[Path, Path]:
    shard = shard_files(folder, number)
    return shard.tar, shard.index


def _is_large(folder: Path, shards: NDArray[np.int32]) -> bool:
    images = 0
    for number in shards.tolist():
        images += images_of(shard_files(folder, number))
        if images >= LEAST_KEPT:
            return True
    return False


def _read(folder: Path, shards: NDArray[np.int32]) -> ShardColumns:
    (label, image, offset, size), starts = read_indices(folder, shards.tolist())
    return ShardColumns(folder, shards, starts, label, image, offset, size)


def _keep(columns: ShardColumns, place: Path) -> None:
    """Write the file, and remove those that were not used for the longest time; raises NonesuchError."""
    arrays = [getattr(columns, name) for name in SCHEMA.names]
    told = {_STARTS: columns.starts.tobytes(), _SHA256: _hash(columns.starts, *arrays)}
    batch = pa.record_batch(arrays, schema=SCHEMA.with_metadata(told))
    with (
        files.replacing(place) as temporary,
        parquet.opened(temporary, "wb") as file,
        pa.ipc.new_file(file, batch.schema) as writer,
    ):
        writer.write_batch(batch)
    used = sorted(place.parent.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in used[MOST_FILES:]:
        with contextlib.suppress(OSError):  # in a folder that users share, it may be another one's
            path.unlink()


def _mapped(folder: Path, shards: NDArray[np.int32], place: Path, check: bool) -> ShardColumns | None:
    """The columns out of the file; None where there is none, or another."""
    try:
        with place.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        batch = pa.ipc.open_file(pa.py_buffer(mapped)).get_batch(0)
        if not batch.schema.equals(SCHEMA):
            return None
        starts = np.frombuffer(batch.schema.metadata[_STARTS], dtype=np.int64)
        label, image, offset, size = (batch.column(name).to_numpy() for name in SCHEMA.names)
        if check and batch.schema.metadata[_SHA256] != _hash(starts, label, image, offset, size):
            return None
    except (*parquet.UNREADABLE, LookupError):
        return None
    if hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_DONTNEED)  # what was hashed need not stay in this process: it is in the system's cache
    with contextlib.suppress(OSError):
        os.utime(place)  # the ones used last are kept
    return ShardColumns(folder, shards, starts, label, image, offset, size, place)


def _hash(*arrays: NDArray[Any]) -> bytes:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest().encode()
