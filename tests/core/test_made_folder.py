"""Folders that are made for a work go again where bad input ends it; what killed processes left goes later."""

import os
import time
from pathlib import Path

import pytest

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError


def _fails(folder: Path, *written: str) -> None:
    def work() -> None:
        with files.made_folder(folder, ".lock"):
            for name in written:
                (folder / name).write_text("x")
            raise NonesuchError("bad input")

    with pytest.raises(NonesuchError, match="bad input"):
        work()


def test_a_folder_that_was_made_goes_with_its_parents(tmp_path: Path) -> None:
    _fails(tmp_path / "a" / "b", ".lock")
    assert not any(tmp_path.iterdir())


def test_what_was_there_or_was_written_stays(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    _fails(tmp_path / "there")
    _fails(tmp_path / "made" / "new", "result.json")
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / ".lock").touch()
    _fails(tmp_path / "held" / "new", ".lock")
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert names == {"there", "made", "made/new", "made/new/result.json", "held", "held/.lock"}


def test_old_halves_go_and_young_ones_and_others_stay(tmp_path: Path) -> None:
    for name in (".v.parquet.123.tmp", ".w.parquet.5.tmp", ".mine.tmp", "v.parquet"):
        (tmp_path / name).touch()
    long_ago = time.time() - 7200.0
    for name in (".v.parquet.123.tmp", ".mine.tmp", "v.parquet"):
        os.utime(tmp_path / name, (long_ago, long_ago))
    files.clear_old(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".w.parquet.5.tmp", ".mine.tmp", "v.parquet"}
    files.clear_old(tmp_path / "missing")
