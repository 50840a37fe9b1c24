"""File systems that lack something: the work goes on with a word, or says what cannot be done."""

import errno
import fcntl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.core.locks import exclusive
from nonesuch.core.notices import Notice
from tests.conftest import Cli
from tests.faults import read_only

_OPTIONS = ["--identities", 2, "--images", 2, "--no-summary"]


@pytest.fixture
def lockless(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """A file system whose every lock fails with the error number of the test."""

    def flock(handle: object, operation: int) -> None:
        raise OSError(request.param, "as the file system says")

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", flock)
        yield


@pytest.mark.parametrize("lockless", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP], indirect=True)
@pytest.mark.usefixtures("lockless")
def test_a_file_system_without_locks_is_worked_on_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / ".state.pt.1.tmp").touch()
    with pytest.warns(Notice, match="has no locks"), exclusive(tmp_path):
        assert (tmp_path / ".state.pt.1.tmp").exists(), "nobody knows whether another process is writing it"


@pytest.mark.parametrize("lockless", [errno.ENOLCK], indirect=True)
@pytest.mark.usefixtures("lockless")
def test_the_command_says_so_in_one_line(cli: Cli, tiny_generator: Path, tmp_path: Path) -> None:
    outcome = cli("generate", tmp_path / "faces", "--generator", tiny_generator, *_OPTIONS)
    assert outcome.status == 0, outcome.err
    warnings = [line for line in outcome.err.splitlines() if line.startswith("note: ")]
    assert len(warnings) == 1
    assert warnings[0].startswith("note: ")
    assert "has no locks" in warnings[0]


@pytest.mark.parametrize("lockless", [errno.EWOULDBLOCK], indirect=True)
@pytest.mark.usefixtures("lockless")
def test_a_lock_that_is_held_keeps_out(tmp_path: Path) -> None:
    with pytest.raises(NonesuchError, match="another process is writing here"), exclusive(tmp_path):
        pass


def test_two_threads_do_not_share_a_lock(tmp_path: Path) -> None:
    refused: list[str] = []

    def second() -> None:
        try:
            with exclusive(tmp_path):
                pass
        except NonesuchError as error:
            refused.append(str(error))

    with exclusive(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(refused) == 1


def test_a_folder_that_cannot_be_written_is_not_called_busy(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    with (
        read_only(tmp_path / "faces"),
        pytest.raises(NonesuchError, match="faces: cannot be written"),
        exclusive(tmp_path / "faces"),
    ):
        pass


def test_a_file_system_without_modes_is_written_with_a_warning(
    cli: Cli, tiny_generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chmod(path: Path, mode: int, **more: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", chmod)
    with pytest.warns(Notice, match="sets no file modes"):
        files.write_json(tmp_path / "a.json", {})
    assert files.read_json(tmp_path / "a.json") == {}
    outcome = cli("generate", tmp_path / "faces", "--generator", tiny_generator, *_OPTIONS)
    assert outcome.status == 0, outcome.err
    assert outcome.err.count("sets no file modes") == 2, "once for the folder, once for its shards"
