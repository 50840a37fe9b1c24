import contextlib
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_json(path, {"old": 1})
    with contextlib.suppress(ZeroDivisionError), files.replacing(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert files.read_json(path) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with files.replacing(path) as temporary:
        descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600)
        os.close(descriptor)
    assert stat.S_IMODE(path.stat().st_mode) & 0o044 == 0o044


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    code = f"""
import resource, signal
from pathlib import Path
from nonesuch.core import files
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    with files.replacing(Path({str(tmp_path / "big")!r})) as temporary:
        temporary.write_bytes(bytes(5000))
except files.NonesuchError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "no space left" in result.stdout
    assert list(tmp_path.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NonesuchError, match="a file stands where a folder is needed"):
            files.make_folder(place)


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "\udcff"])
def test_damaged_json(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(NonesuchError, match=r"a\.json"):
        files.read_json(path)


def test_sha256_is_coreutils(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(os.urandom(3_000_000))
    expected = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]
    assert files.sha256(path) == expected
