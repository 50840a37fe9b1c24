"""Writing files so that a half-written one never has its final name."""

import codecs
import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice

Content = TypeVar("Content")
AnyPath = str | os.PathLike[str]  # what Python users may name a file by

_STALE_SECONDS = 3600.0
# Reading it means setting it, which is only safe before there are threads.
_UMASK = os.umask(0o022)
os.umask(_UMASK)


def as_path(place: AnyPath) -> Path:
    """A `Path`, with ~ for the home folder as a shell has it.

    Raises:
        NonesuchError: it is no path.
    """
    if not isinstance(place, str | os.PathLike) or not os.fspath(place):
        raise NonesuchError(f"{place!r}: not a path; give it as text or a Path")
    try:
        return Path(place).expanduser()
    except RuntimeError as error:  # ~name of nobody, or no HOME
        raise NonesuchError(f"{place}: its home folder is not known; write the path out, or ./{place}") from error


def path_or_none(place: AnyPath | None) -> Path | None:
    """The same, or None for None."""
    return None if place is None else as_path(place)


def as_paths(places: AnyPath | Sequence[AnyPath]) -> list[Path]:
    """One place or several, as a list; errors as in `as_path`."""
    return [as_path(place) for place in _several(places)]


def as_texts(texts: AnyPath | Sequence[AnyPath]) -> list[str]:
    """One text (or path) or several, as a list of texts; errors as in `as_path`."""
    for text in (several := _several(texts)):
        as_path(text)
    return [os.fspath(text) for text in several]


def _several(given: AnyPath | Sequence[AnyPath]) -> list[AnyPath]:
    if isinstance(given, str | os.PathLike):
        return [given]
    if not isinstance(given, Sequence):
        raise NonesuchError(f"{given!r}: give one text or path, or several")
    return list(given)


def temporary_beside(path: Path) -> Path:
    """A hidden name beside `path`, of this process alone, that ends in .tmp."""
    name = os.fsdecode(os.fsencode(path.name)[:200])  # file systems allow 255 bytes
    return path.with_name(f".{name}.{os.getpid()}.tmp")


def inside(folder: Path, name: str) -> Path:
    """The place below a folder that a name out of an archive, a card or a table means.

    As tarfile's data filter: leading slashes do not count, and what the rest leads to, links followed, must lie in the
    folder.

    Raises:
        NonesuchError: the name leads out of the folder, or is none.
    """
    try:
        path = folder.joinpath(name.lstrip("/" + os.sep))
        root, real = folder.resolve(), path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL byte
        raise NonesuchError(f"{folder}: {name!r} is no name of a file there ({error}); rename it") from error
    if root not in real.parents:
        raise NonesuchError(f"{folder}: {name!r} leads out of the folder; rename it, or name a folder without links")
    return path


def is_half_written(path: Path) -> bool:
    """Whether a file has a name that `temporary_beside` gives."""
    return re.fullmatch(r"\..+\.\d+\.tmp", path.name) is not None


def clear_half_written(folder: Path, of: str = "") -> None:
    """Remove what killed processes left half-written in a folder; no living one may be writing there.

    Args:
        folder: may be missing.
        of: only files whose names begin so.
    """
    for path in folder.glob(f".{of}*.tmp"):
        if is_half_written(path):
            path.unlink(missing_ok=True)


def clear_old(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder that is not locked.

    One that still writes there did so within the hour.
    """
    with contextlib.suppress(OSError):
        for path in folder.glob(".*.tmp"):
            if is_half_written(path) and time.time() - path.stat().st_mtime > _STALE_SECONDS:
                path.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved onto it when the block ends well and removed when it does not.

    Raises:
        NonesuchError: the disk is full or the place cannot be written; nothing is left under `path` that was not
            there before.
    """
    temporary = temporary_beside(path)
    try:
        yield temporary
        publish(temporary, path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def publish(temporary: Path, path: Path) -> None:
    """Make sure that a file's content is on the disk and readable by others, then move it to its final name."""
    with temporary.open("r+b") as handle:  # Windows flushes only what may be written
        os.fsync(handle.fileno())
    try:
        temporary.chmod(0o666 & ~_UMASK)
    except OSError as error:  # CIFS and some of FUSE have no modes
        notice(f"{path.parent}: this file system sets no file modes ({error.strerror}); others may be unable to read")
    temporary.replace(path)


def write_error(path: Path, error: OSError) -> NonesuchError:
    """The one line for a failed write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return NonesuchError(f"{path}: no space left to write it; free some and run the same command again")
    return NonesuchError(f"{path}: cannot be written ({error.strerror or error})")


def read_text(path: Path) -> str:
    """A text file that a user wrote: UTF-8, with or without a byte order mark, lines ending in any way.

    Raises:
        NonesuchError: the file cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise NonesuchError(f"{path}: not readable ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise NonesuchError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error


def check_outputs(paths: Sequence[Path]) -> None:
    """To be called before long work. Raises NonesuchError where a file to write has no folder, or is one."""
    for path in paths:
        if not path.parent.is_dir():
            raise NonesuchError(f"{path}: there is no folder {path.parent}; make it first")
        if path.is_dir():
            raise NonesuchError(f"{path}: is a folder; name a file")


def write_json(path: Path, content: Any) -> None:
    """Write JSON, indented, replacing `path` in one step."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        NonesuchError: the file is missing, is not JSON, or holds no object.
    """
    try:
        content = msgspec.json.decode(path.read_bytes().removeprefix(codecs.BOM_UTF8))
    except FileNotFoundError as error:
        raise NonesuchError(f"{path}: no such file") from error
    except (OSError, ValueError, RecursionError) as error:
        raise NonesuchError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(content, dict):
        raise NonesuchError(f"{path}: holds no JSON object")
    return content


def typed(content: dict[str, Any], kind: type[Content], where: str) -> Content:
    """A dataclass from what a file holds, each field of its type and within the limits of its `msgspec.Meta`.

    Raises:
        NonesuchError: a field is missing, unknown, of another type, or out of its limits; `where` begins the message.
    """
    known = {item.name: item for item in dataclasses.fields(kind)}  # type: ignore[arg-type]  # always a dataclass
    missing = [
        name
        for name, item in known.items()
        if name not in content and item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    ]
    if missing or (unknown := sorted(set(content) - set(known))):
        what = f"lacks {', '.join(missing)}" if missing else f"has unknown {', '.join(unknown)}"
        raise NonesuchError(f"{where}: it {what}")
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise NonesuchError(f"{where}: {str(error).replace('`$.', '`').lower()}") from error


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def text_sha256(text: str) -> str:
    """SHA-256 of a text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def can_write(folder: Path) -> bool:
    """Whether files can be made in a folder; permissions alone do not say so of a mount."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


@contextmanager
def made_folder(path: Path, *ours: str) -> Iterator[None]:
    """A folder inside the block; where bad input ends the block before anything was written, it goes again.

    Args:
        path: the folder; parents that are missing are made, too.
        ours: names of files in it that are nothing, such as a lock.

    Raises:
        NonesuchError: as `make_folder`.
    """
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    make_folder(path)
    try:
        yield
    except NonesuchError:
        with contextlib.suppress(OSError):  # one that holds something stays
            if new and {item.name for item in path.iterdir()} <= set(ours):
                for name in ours:
                    (path / name).unlink(missing_ok=True)
            for folder in new:
                folder.rmdir()
        raise


def make_folder(path: Path) -> None:
    """Create a folder and its parents.

    Raises:
        NonesuchError: a file is in the way, or the place cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise NonesuchError(f"{path}: a file stands where a folder is needed; name another folder") from error
    except OSError as error:
        raise write_error(path, error) from error
