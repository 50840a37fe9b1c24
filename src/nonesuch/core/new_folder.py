"""Making a folder that appears whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nonesuch.core import files, locks
from nonesuch.core.errors import NonesuchError


def check_new_folder(path: Path) -> None:
    """To be called before long work. Raises NonesuchError where `new_folder` could not make the folder."""
    if not path.parent.is_dir():
        raise NonesuchError(f"{path}: there is no folder {path.parent}; make it first")
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise NonesuchError(f"{path}: is a file or a link; name a folder that is not there yet")
    if path.is_dir() and (held := next(path.iterdir(), None)) is not None:
        raise NonesuchError(f"{path}: is there already and holds {held.name}; name a folder that is not there yet")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`, which gets its name when the block ends well, and goes when it does not.

    A killed process leaves the temporary folder, hidden; the next one that makes the same folder empties it first.

    Raises:
        NonesuchError: as `check_new_folder`; another process is making the folder, or the disk is full.
    """
    check_new_folder(path)
    name = os.fsdecode(os.fsencode(path.name)[:200])  # file systems allow 255 bytes
    temporary = path.with_name(f".{name}.tmp")
    files.make_folder(temporary)
    ours = False
    try:
        with locks.exclusive(temporary):
            ours = True
            _empty(temporary)
            yield temporary
            _flush(temporary)
        (temporary / locks.LOCK).unlink(missing_ok=True)
        if path.is_dir():
            path.rmdir()
        temporary.rename(path)
    except OSError as error:
        raise files.write_error(path, error) from error
    finally:
        if ours:
            shutil.rmtree(temporary, ignore_errors=True)


def _empty(folder: Path) -> None:
    for left in folder.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        elif left.name != locks.LOCK:
            left.unlink()


def _flush(folder: Path) -> None:
    """Make sure that the files of a folder are on the disk; those of its subfolders, which may be millions, are not
    waited for."""
    for path in folder.iterdir():
        if path.is_file() and path.name != locks.LOCK:
            with path.open("r+b") as handle:  # Windows flushes only what may be written
                os.fsync(handle.fileno())
