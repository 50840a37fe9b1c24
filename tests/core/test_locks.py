"""File systems that lack something: the work goes on with a word, or says what cannot be done."""

import errno
import fcntl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nonesuch.core import files, locks
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


@pytest.mark.parametrize("lockless", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM], indirect=True)
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


_HOLDER = """
import sys, time
from pathlib import Path
from nonesuch.core import locks
folder = Path(sys.argv[1])
with locks.briefly(folder):
    present = locks.present(folder)
    present.__enter__()
claimed = locks.claim(folder, "000001")
assert claimed is not None
print("claimed", flush=True)
time.sleep(60)
"""


def test_a_killed_process_gives_its_claims_back_at_once(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _HOLDER, tmp_path], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "claimed\n"
            with locks.briefly(tmp_path), locks.present(tmp_path):
                assert locks.claimed(tmp_path)
                assert locks.claim(tmp_path, "000001") is None
                other = locks.claim(tmp_path, "000002")
                assert other is not None
                other.give_back()
            with pytest.raises(NonesuchError, match="another process is writing here"), exclusive(tmp_path):
                pass
            (tmp_path / ".dataset.json.1.tmp").touch()
            with locks.briefly(tmp_path):
                assert (tmp_path / ".dataset.json.1.tmp").exists(), "the other process may be writing it"
        finally:
            holder.kill()
    with locks.briefly(tmp_path), locks.present(tmp_path):
        taken = locks.claim(tmp_path, "000001")
        assert taken is not None
        assert taken.is_sure
        taken.give_back()
    with exclusive(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_folder_that_is_held_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_LOOK_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(locks, "BUSY_SECONDS", 0.0)
    answers = iter([True, True, True, False])
    with (
        exclusive(tmp_path),
        pytest.warns(Notice, match="another process is at work; waiting for it"),
        pytest.raises(NonesuchError, match="another process is writing here"),
        locks.briefly(tmp_path, waits=lambda: next(answers)),
    ):
        pass
    assert next(answers, None) is None


@pytest.mark.parametrize("lockless", [errno.ENOLCK], indirect=True)
@pytest.mark.usefixtures("lockless")
def test_without_locks_parts_divide_the_work(cli: Cli, tiny_generator: Path, tmp_path: Path) -> None:
    """Nobody can claim anything: the plan is made first, by one process, and each process has a part of its own."""
    command = ["generate", tmp_path / "faces", "--generator", tiny_generator, *_OPTIONS, "--shard-images", 2]
    refused = cli(*command, "--shards", "0/2")
    assert "a file system without locks; write the plan first, with --plan-only" in refused.error
    assert not (tmp_path / "faces").exists()
    assert cli(*command, "--plan-only").status == 0
    assert "the dataset is complete when all parts are" in cli(*command, "--shards", "1/2").out
    assert [path.name for path in (tmp_path / "faces" / "shards").glob("*.tar")] == ["000001.tar"]
    assert "2 identities, 4 images" in cli(*command, "--shards", "0/2").out
    assert "sound" in cli("verify", tmp_path / "faces").out


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
