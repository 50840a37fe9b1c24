"""What Windows and macOS lack or refuse is not needed: the whole way works with such calls taken away.

Nothing here runs on these systems. What they do is imitated: calls that they lack are removed, a file that is open
for reading cannot be flushed to the disk, and one that this process still has open or mapped cannot be replaced or
removed, as on Windows.
"""

import errno
import fcntl
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nonesuch.core.devices import pick_device
from nonesuch.core.errors import NonesuchError
from nonesuch.formats import relabelling
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.relabelling import Label
from tests.conftest import Cli
from tests.people import planted_person

# Those that torch and Python's own library do without; they ask for a user's number, for example, where there is a pwd.
_LACKING = [
    "pread",
    "preadv",
    "pwrite",
    "pwritev",
    "posix_fadvise",
    "sched_getaffinity",
    "statvfs",
    "sysconf",
]
_OPENED = Path("/proc/self/fd")


def _in_use(path: Any) -> bool:
    """Whether this process has a file open or mapped."""
    real = os.path.realpath(path)
    opened = []
    for entry in os.listdir(_OPENED):
        try:
            opened.append(os.readlink(_OPENED / entry))
        except OSError:  # the listing's own
            continue
    return real in opened or any(line.rstrip("\n").endswith(real) for line in open("/proc/self/maps", encoding="utf-8"))


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Windows lacks is away; what it refuses is refused."""
    if not _OPENED.is_dir():
        pytest.skip("needs /proc to see which files are open")
    for name in _LACKING:
        monkeypatch.delattr(os, name, raising=False)
    monkeypatch.setitem(sys.modules, "resource", None)
    fsync, readable = os.fsync, fcntl.fcntl

    def flushed(handle: int) -> None:
        if readable(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        fsync(handle)

    def guarded(call: Callable[..., Any]) -> Callable[..., Any]:
        def refuse_open_files(path: Any, *others: Any, **named: Any) -> Any:
            for touched in (path, *others):
                if isinstance(touched, str | os.PathLike) and os.path.isfile(touched) and _in_use(touched):
                    raise PermissionError(errno.EACCES, "The process cannot access the file", str(touched))
            return call(path, *others, **named)

        return refuse_open_files

    monkeypatch.setattr(os, "fsync", flushed)
    for name in ("replace", "rename", "remove", "unlink"):
        monkeypatch.setattr(os, name, guarded(getattr(os, name)))


def test_the_imitation_refuses(windows: None, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with (tmp_path / "a").open("rb") as handle:
        with pytest.raises(OSError, match="Bad file"):
            os.fsync(handle.fileno())
        with pytest.raises(PermissionError):
            (tmp_path / "a").unlink()
    assert not hasattr(os, "pread")


def test_a_dataset_from_end_to_end(windows: None, cli: Cli, tiny_generator: Path, tmp_path: Path) -> None:
    options = ["--generator", tiny_generator, "--identities", 3, "--images", 2, "--shard-images", 2]
    for _ in range(2):
        outcome = cli("generate", tmp_path / "faces", *options)
        assert outcome.status == 0, outcome.err
    shutil.copy(tmp_path / "faces" / "shards" / "000000.tar", tmp_path / "alone.tar")
    for arguments in (
        ["verify", tmp_path / "faces"],
        ["perceive", tmp_path / "faces"],
        ["embed", tmp_path / "alone.tar", "--out", tmp_path / "vectors.parquet"],
    ):
        outcome = cli(*arguments)
        assert outcome.status == 0, outcome.err


def test_a_training_that_is_resumed(windows: None, cli: Cli, tmp_path: Path) -> None:
    for person in range(3):
        planted_person(tmp_path / "people", person, range(4))
    options = ["--data", tmp_path / "people", "--preset", "tiny", "--batch", 4, "--images-seen", 8]
    for _ in range(2):
        outcome = cli("recognize", "train", tmp_path / "run", *options)
        assert outcome.status == 0, outcome.err


def test_bytes_in_a_container_are_read_as_they_are(windows: None, tmp_path: Path) -> None:
    """Text mode would change line ends and stop at the first Ctrl-Z."""
    data = bytes(range(256)) * 40 + b"\r\n\x1a\n"
    (tmp_path / "a.tar").write_bytes(data)
    assert Photograph("a", "x", tmp_path / "a.tar", 13, 10_000).read_bytes() == data[13:10_013]
    with pytest.raises(NonesuchError, match="truncated, a is cut off"):
        Photograph("a", "x", tmp_path / "a.tar", 300, 10_000).read_bytes()
    with pytest.raises(NonesuchError, match="No such file"):
        Photograph("a", "x", tmp_path / "b.tar", 0, 10).read_bytes()


def test_a_manifest_on_another_drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between drives of Windows there is no relative path; the absolute one is enough."""

    def relpath(path: Any, start: Any) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(os.path, "relpath", relpath)
    planted_person(tmp_path / "people", 0, range(2))
    relabelling.write(tmp_path / "cleaned.parquet", tmp_path / "people", [("person0/00.png", Label("a", "b"))], {})
    assert relabelling.read(tmp_path / "cleaned.parquet").source == (tmp_path / "people").resolve()


def test_apples_gpus_are_refused() -> None:
    with pytest.raises(NonesuchError, match=r"--device mps: .* use cpu"):
        pick_device("mps")
