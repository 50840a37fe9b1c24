"""The list of a large dataset, kept in a file that processes share: used, remade, bounded, and dispensable."""

import os
import pickle
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from nonesuch.core.notices import Notice
from nonesuch.formats import shard_columns
from nonesuch.formats.readers import find
from nonesuch.formats.shard_rows import ShardRows
from nonesuch.formats.shards import shard_files
from tests.faults import read_only
from tests.made_dataset import make_dataset


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the files go; also of small datasets."""
    monkeypatch.setenv("NONESUCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shard_columns, "LEAST_KEPT", 100)
    return tmp_path / "cache"


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    make_dataset(tmp_path / "faces", 200, 10, 50)
    return tmp_path / "faces"


def _rows(folder: Path) -> ShardRows:
    found = find(folder)
    assert isinstance(found, ShardRows)
    return found


def _files(cache: Path) -> list[Path]:
    return sorted(cache.glob("*.columns.arrow"))


def _count_reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    reads, read = [], shard_columns.read_indices

    def counted(folder: Path, numbers: list[int]) -> object:
        reads.append(folder)
        return read(folder, numbers)

    monkeypatch.setattr(shard_columns, "read_indices", counted)
    return reads


def test_the_indices_are_read_once(cache: Path, faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone, reads = list(shard_rows_in_memory(faces)), _count_reads(monkeypatch)
    before = sorted(faces.rglob("*"))
    assert _rows(faces) == alone
    assert _rows(faces) == alone
    assert len(reads) == 1
    assert len(_files(cache)) == 1
    assert sorted(faces.rglob("*")) == before


def shard_rows_in_memory(faces: Path) -> ShardRows:
    columns = shard_columns._read(faces, np.arange(4, dtype=np.int32))
    return ShardRows(columns, ".jpg")


def test_small_datasets_have_no_file(cache: Path, faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_columns, "LEAST_KEPT", 201)
    assert len(_rows(faces)) == 200
    assert not cache.exists()


def test_a_stale_or_damaged_file_is_made_again(cache: Path, faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone, reads = list(_rows(faces)), _count_reads(monkeypatch)
    (kept,) = _files(cache)
    whole = kept.read_bytes()
    place = whole.index(np.arange(12, dtype=np.int32).tobytes()[4:24])  # numbers of images
    for content in (whole[:place] + b"\7" + whole[place + 1 :], whole[: len(whole) // 2], b"", b"ARROW1"):
        kept.write_bytes(content)
        assert _rows(faces) == alone
        assert kept.read_bytes() == whole
    assert len(reads) == 4
    os.utime(shard_files(faces, 2).index, ns=(1, 1))
    assert _rows(faces) == alone
    assert len(reads) == 5
    shard_files(faces, 3).tar.unlink()
    assert _rows(faces) == alone[:150]


def test_few_files_are_kept(cache: Path, faces: Path) -> None:
    for number in range(shard_columns.MOST_FILES + 3):
        os.utime(shard_files(faces, 0).index, ns=(number, number))
        find(faces)
        (last,) = [path for path in _files(cache) if path.stat().st_mtime > time.time() - 1e6]
        os.utime(last, (number, number))
    assert len(_files(cache)) == shard_columns.MOST_FILES


def test_a_file_that_cannot_be_removed_is_left(cache: Path, faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_columns, "MOST_FILES", 1)
    others = cache / "others.columns.arrow"  # a folder, as root may remove any user's file
    others.mkdir(parents=True)
    os.utime(others, (0, 0))
    assert _rows(faces).columns.kept_in is not None
    assert others.is_dir()


def test_without_a_place_each_process_reads_the_indices(
    cache: Path, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = list(shard_rows_in_memory(faces))
    cache.mkdir()
    with read_only(cache), pytest.warns(Notice, match="each process reads the indices itself, unless NONESUCH_CACHE"):
        assert _rows(faces) == alone
    cache.rmdir()
    cache.write_text("a file")
    with pytest.warns(Notice, match="each process reads the indices itself"):
        assert _rows(faces) == alone


def test_a_dataset_that_cannot_be_written(cache: Path, faces: Path) -> None:
    with read_only(faces), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(_rows(faces)) == 200
    assert len(_files(cache)) == 1


def test_a_copy_is_the_name_of_the_file(cache: Path, faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, reads = _rows(faces), _count_reads(monkeypatch)
    sent = pickle.dumps(rows)
    assert len(sent) < 2000
    copy = pickle.loads(sent)
    assert copy == rows
    assert not copy.columns.label.flags.owndata
    chosen = rows[np.arange(0, 200, 3)]
    assert pickle.loads(pickle.dumps(chosen)) == chosen
    assert not reads
    _files(cache)[0].unlink()  # for other datasets' files
    assert pickle.loads(sent) == rows
    os.utime(shard_files(faces, 0).index, ns=(1, 1))
    _files(cache)[0].unlink()
    with pytest.raises(Exception, match="has changed while it was read"):
        pickle.loads(sent)


_CODE = """
import sys, time
from pathlib import Path
from nonesuch.formats import shard_columns
from nonesuch.formats.readers import find
shard_columns.LEAST_KEPT = 100
read = shard_columns.read_indices
def slowly(*arguments):
    print("reads", flush=True)
    time.sleep(1)
    return read(*arguments)
shard_columns.read_indices = slowly
print(len(find(Path(sys.argv[1]))))
"""


def test_two_processes_at_once_read_the_indices_once(cache: Path, faces: Path) -> None:
    command = [sys.executable, "-c", _CODE, str(faces)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [one.communicate(timeout=120)[0].split() for one in both]
    assert sorted(told) == [["200"], ["reads", "200"]]
    assert len(_files(cache)) == 1


_MEASURED = """
import sys, time
from pathlib import Path
from nonesuch.dataset.selection import select
from nonesuch.formats.columns import column_parts
from nonesuch.formats.photograph_lists import classes_of, signature
from nonesuch.formats.source import Source
def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
before, started = peak(), time.process_time()
source = Source.at(Path(sys.argv[1]))
people, _ = classes_of(source.photographs)
signature(source.photographs)
chosen = select(source, "quality > 40 and abs(yaw) < 30").photographs
total = sum(part["quality"].to_numpy().sum() for part in column_parts(source.path, "perception", ["quality"]))
print(len(source.photographs), len(people), len(chosen), int(total), peak() - before, time.process_time() - started)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_time_and_memory_of_300_000_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of photographs took 130 MB and 30 s of a core."""
    monkeypatch.setenv("NONESUCH_CACHE", str(tmp_path / "cache"))
    make_dataset(tmp_path / "faces", 300_000)
    rows = np.arange(300_000)
    expected = int(((rows % 101 > 40) & (rows % 91 < 30)).sum())
    printed = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(tmp_path / "faces")], check=True, capture_output=True, text=True
    ).stdout.split()
    assert [int(word) for word in printed[:4]] == [300_000, 6_000, expected, int((rows % 101).sum())]
    megabytes, seconds = map(float, printed[4:])
    assert megabytes < 110
    assert seconds < 4
