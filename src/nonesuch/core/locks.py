"""One process at a time in a folder, and nothing there that a killed one left half-written."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice

LOCK = ".lock"


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
    # A soft lock would outlive a killed process and keep everybody out.
    lock = FileLock(folder / LOCK, timeout=0, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise NonesuchError(f"{folder}: another process is writing here; wait for it, or name another") from error
    except OSError as error:
        _check_writable(folder)
        notice(f"{folder}: this file system has no locks ({error.strerror}); let no second process write here")
        yield
        return
    try:
        for place in (folder, *(found for pattern in below for found in folder.glob(pattern))):
            files.clear_half_written(place)
        yield
    finally:
        lock.release()


def _check_writable(folder: Path) -> None:
    """Raises NonesuchError where no file can be made: it is not the lock that is lacking."""
    try:
        (folder / LOCK).open("a").close()
    except OSError as error:
        raise files.write_error(folder, error) from error
