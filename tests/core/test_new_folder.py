"""A folder appears whole or not at all."""

from pathlib import Path

import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.core.new_folder import check_new_folder, new_folder


@pytest.mark.parametrize("there", [False, True])
def test_it_appears_when_the_block_ends_well(tmp_path: Path, there: bool) -> None:
    out = tmp_path / "out"
    if there:
        out.mkdir()
    with new_folder(out) as folder:
        (folder / "below").mkdir()
        (folder / "below" / "a").write_text("a")
        (folder / "b").write_text("b")
        assert folder.name.startswith(".")
        assert not there or not any(out.iterdir())
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*")) == ["b", "below", "below/a"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def _fail(out: Path, error: BaseException) -> None:
    with new_folder(out) as folder:
        (folder / "a").write_text("a")
        raise error


@pytest.mark.parametrize("error", [NonesuchError("bad"), OSError(28, "No space left"), KeyboardInterrupt()])
def test_nothing_is_left_when_it_does_not(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(NonesuchError if isinstance(error, OSError) else type(error)):
        _fail(tmp_path / "out", error)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_goes(tmp_path: Path) -> None:
    left = tmp_path / ".out.tmp"
    (left / "below").mkdir(parents=True)
    (left / "below" / "old").write_text("old")
    (left / "old").write_text("old")
    with new_folder(tmp_path / "out") as folder:
        assert folder == left
        (folder / "new").write_text("new")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new"]


def test_two_processes_do_not_make_one_folder(tmp_path: Path) -> None:
    with new_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("a")
        with pytest.raises(NonesuchError, match="another process is writing here"), new_folder(tmp_path / "out"):
            pass
        assert (folder / "a").is_file()
    assert (tmp_path / "out" / "a").is_file()


def test_places_that_are_refused(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    for name, says in (
        ("full", "is there already and holds a; name a folder that is not there yet"),
        ("full/a", "is a file"),
        ("link", "is a file"),
        ("absent/out", "there is no folder .*absent; make it first"),
    ):
        with pytest.raises(NonesuchError, match=says):
            check_new_folder(tmp_path / name)
    check_new_folder(tmp_path / "empty")
