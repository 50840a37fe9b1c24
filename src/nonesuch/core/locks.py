"""Who may write in a folder: one process alone, or several that claim parts of the work; what killed ones left goes.

The system releases a lock when its process ends, however it ends. So a claim of a killed process is free at once.
"""

import contextlib
import functools
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice

LOCK = ".lock"
CLAIMS = ".claims"  # folder of a lock for each process that works beside others, and for each part that one has claimed
BUSY_SECONDS = 60.0  # longer than any process holds a folder `briefly` where nothing is to be planned
_LOOK_AGAIN_SECONDS = 2.0
_PROCESS = "process."


@contextmanager
def exclusive(folder: Path, *below: str) -> Iterator[None]:
    """Keep other processes out of a folder inside the block, and clear what killed ones left half-written.

    Where the file system has no locks (NFS without its lock daemon, some of FUSE), the block runs after a warning, and
    nothing is cleared.

    Args:
        folder: exists, and is written to by nonesuch alone.
        below: patterns of its subfolders where half-written files may lie too.

    Raises:
        NonesuchError: another process works there, or the folder cannot be written.
    """
    with _locked(folder, lambda waited: False) as has_locks:
        if has_locks:
            if claimed(folder):
                raise _busy(folder)
            _clear(folder, below)
        yield


@contextmanager
def briefly(folder: Path, *below: str, waits: Callable[[], bool] = lambda: False) -> Iterator[bool]:
    """Keep others from beginning or ending work in a folder inside the block; those that are `present` go on.

    What killed processes left half-written is cleared where nobody is present.

    Args:
        folder, below: as for `exclusive`.
        waits: whether to wait on for the process that holds the folder, asked when it has held it for a minute.

    Yields:
        Whether the file system has locks; a warning says so where it has none.

    Raises:
        NonesuchError: another process holds the folder, or the folder cannot be written.
    """
    with _locked(folder, lambda waited: waited < BUSY_SECONDS or waits()) as has_locks:
        if has_locks and not claimed(folder):
            _clear(folder, below)
        yield has_locks


@contextmanager
def present(folder: Path) -> Iterator[None]:
    """Work in a folder beside others that are present, inside the block; to be entered in a block of `briefly`.

    Nobody has the folder exclusively meanwhile. Where the file system has no locks nobody is kept out.
    """
    found = claim(folder, f"{_PROCESS}{os.getpid()}.{secrets.token_hex(4)}")
    assert found is not None, "the name is of this process alone"
    try:
        yield
    finally:
        found.give_back()
        with contextlib.suppress(OSError), _file_lock(folder / LOCK):
            claimed(folder)  # the last one tidies up


@dataclass(frozen=True)
class Claim:
    """A part of the work in a folder that is this process's.

    Attributes:
        give_back: gives it back.
        is_sure: whether no other process can have it; False where the file system has no locks.
    """

    give_back: Callable[[], None]
    is_sure: bool = True


def claim(folder: Path, name: str) -> Claim | None:
    """Claim a part of the work in a folder; None where another process has it.

    Where the file system has no locks, every claim is granted: who works there must divide the work beforehand.

    Args:
        folder: in which this process is `present`.
        name: of the part, the same in all processes.

    Raises:
        NonesuchError: the folder cannot be written.
    """
    files.make_folder(folder / CLAIMS)
    lock = _file_lock(folder / CLAIMS / name)
    try:
        lock.acquire()
    except Timeout:
        return None
    except OSError as error:
        _tell_no_locks(folder, error)
        return Claim(lambda: None, is_sure=False)
    return Claim(lock.release)


def claimed(folder: Path) -> bool:
    """Whether processes are present in a folder; to be asked while it is locked. What killed ones left is removed."""
    place = folder / CLAIMS
    for path in place.glob(f"{_PROCESS}*"):
        try:
            with _file_lock(path):
                pass
        except (Timeout, OSError):
            return True
    with contextlib.suppress(OSError):  # there is none, or the file system keeps a file that was open
        for path in place.iterdir():
            path.unlink()
        place.rmdir()
    return False


@contextmanager
def _locked(folder: Path, waits: Callable[[float], bool]) -> Iterator[bool]:
    """The folder's lock; `waits` is asked with the seconds waited. Yields whether the file system has locks."""
    lock, waited = _file_lock(folder / LOCK), 0.0
    try:
        while True:
            try:
                lock.acquire(timeout=_LOOK_AGAIN_SECONDS if waits(waited) else 0.0)
                break
            except Timeout as error:
                if not waits(waited):
                    raise _busy(folder) from error
            if not waited:
                notice(f"{folder}: another process is at work; waiting for it")
            waited += _LOOK_AGAIN_SECONDS
    except OSError as error:
        _tell_no_locks(folder, error)
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _clear(folder: Path, below: Sequence[str]) -> None:
    for place in (folder, *(found for pattern in below for found in folder.glob(pattern))):
        files.clear_half_written(place)


def _file_lock(path: Path) -> FileLock:
    # A soft lock would outlive a killed process and keep everybody out.
    return FileLock(path, timeout=0, fallback_to_soft=False)


def _busy(folder: Path) -> NonesuchError:
    return NonesuchError(f"{folder}: another process is writing here; wait for it, or name another")


def _tell_no_locks(folder: Path, error: OSError) -> None:
    """Raises NonesuchError where no file can be made: it is not the lock that is lacking."""
    try:
        with (folder / LOCK).open("a"):
            pass
    except OSError as failed:
        raise files.write_error(folder, failed) from failed
    _tell_once(folder, error.strerror)


@functools.cache
def _tell_once(folder: Path, reason: str) -> None:
    notice(f"{folder}: this file system has no locks ({reason}); let no second process write here")
