"""`nonesuch verify` on several processes, and of what has changed since: the same problems, and nothing overlooked."""

import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nonesuch import import_images, verify_dataset
from nonesuch.core import images
from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.verifying import record, workers
from nonesuch.dataset.verifying import shard as checks
from nonesuch.dataset.verifying.record import RECORD
from nonesuch.dataset.verifying.shard import damaged_image, is_as_indexed
from nonesuch.formats.shards import read_index
from tests.conftest import Cli
from tests.faults import read_only

SHARDS, PEOPLE, IMAGES = 4, 8, 3


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four shards of two people each."""
    place, rng = tmp_path_factory.mktemp("sound"), np.random.default_rng(0)
    for person in range(PEOPLE):
        (place / "crops" / f"{person}").mkdir(parents=True)
        for number in range(IMAGES):
            pixels = rng.integers(0, 256, (112, 112, 3), dtype=np.uint8)
            (place / "crops" / f"{person}" / f"{number}.jpg").write_bytes(images.encode(pixels, "jpeg", 50))
    import_images(place / "crops", place / "faces", shard_images=6)
    return place / "faces"


@pytest.fixture
def faces(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(record, "_SETTLED_SECONDS", 0.0)
    return shutil.copytree(sound, tmp_path / "faces")


def _tar(folder: Path, shard: int) -> Path:
    return folder / "shards" / f"{shard:06d}.tar"


def _flip(path: Path, place: int) -> None:
    """Flip a bit where the file lies: its size and inode stay."""
    with path.open("r+b") as handle:
        handle.seek(place)
        byte = handle.read(1)[0]
        handle.seek(place)
        handle.write(bytes([byte ^ 1]))


def _image(folder: Path, shard: int, row: int) -> int:
    """Where in its tar the middle of an image is."""
    found = pq.read_table(_tar(folder, shard).with_suffix(".parquet")).to_pylist()[row]
    return int(found["offset"] + found["size"] // 2)


def test_three_processes_find_the_same_in_the_same_order(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(faces.parent)
    (faces / "shards" / "000002.parquet").write_bytes(b"x")
    _flip(_tar(faces, 3), _image(faces, 3, 1))
    os.truncate(_tar(faces, 1), 3000)
    _tar(faces, 0).unlink()
    told: dict[int, list[int]] = {1: [], 3: []}
    found = {
        count: verify_dataset("faces", workers=count, on_progress=lambda what, done, *_, to=to: to.append(done))
        for count, to in told.items()
    }
    assert found[1] == found[3]
    assert [problem.split(":")[0] for problem in found[3].problems] == [f"shard {number:06d}" for number in range(4)]
    assert "shard 000002: faces/shards/000002.parquet: not a readable shard index" in found[3].problems[2]
    assert told[1] == told[3] == [6, 12, 18, 24]


def test_what_is_sound_and_unchanged_is_not_read_again(faces: Path, cli: Cli) -> None:
    assert "not read again" not in cli("verify", faces).out
    _flip(_tar(faces, 2), _image(faces, 2, 0))
    again = cli("verify", faces, "--changed")
    assert "shard 000002: 0000004/00000: its bytes do not match their hash" in again.err
    assert again.error.endswith("1 problem")
    assert verify_dataset(faces, changed=True).unchanged == SHARDS - 1
    _flip(_tar(faces, 2), _image(faces, 2, 0))
    mended = cli("verify", faces, "--changed")
    assert f"sound, {PEOPLE * IMAGES} images verified" in mended.out
    assert "3 shards were sound before" in mended.out
    assert verify_dataset(faces, changed=True).unchanged == SHARDS
    assert verify_dataset(faces).unchanged == 0


def _touch(path: Path) -> None:
    os.utime(path, ns=(0, 0))


def _replace_keeping_size_and_time(path: Path) -> None:
    """As a careful copy of another file would: only the inode and the time of the change tell."""
    content, told = bytearray(path.read_bytes()), path.stat()
    content[len(content) // 2] ^= 1
    copy = path.with_name("copy")
    copy.write_bytes(content)
    os.utime(copy, ns=(told.st_atime_ns, told.st_mtime_ns))
    copy.replace(path)


def _flip_and_set_the_time_back(path: Path) -> None:
    told = path.stat()
    _flip(path, told.st_size // 2)
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (told.st_ino, told.st_mtime_ns)


@pytest.mark.parametrize("suffix", [".tar", ".parquet"])
@pytest.mark.parametrize(
    ("change", "damages"),
    [(_touch, False), (_replace_keeping_size_and_time, True), (_flip_and_set_the_time_back, True)],
)
def test_a_changed_file_is_read_again(faces: Path, change: Callable[[Path], None], damages: bool, suffix: str) -> None:
    assert verify_dataset(faces).problems == ()
    change(_tar(faces, 1).with_suffix(suffix))
    found = verify_dataset(faces, changed=True)
    assert found.unchanged == SHARDS - 1
    if damages:
        assert [problem.split(":")[0] for problem in found.problems] == ["shard 000001"]
    else:
        assert found.problems == ()


def test_a_shard_that_is_being_written_is_not_believed(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "_SETTLED_SECONDS", 3600.0)
    verify_dataset(faces)
    assert verify_dataset(faces, changed=True).unchanged == 0


def _of_another_plan(path: Path) -> None:
    path.write_text(path.read_text().replace("nonesuch ", "nonesuch 0"))


def _no_json(path: Path) -> None:
    path.write_text("{")


def _other_json(path: Path) -> None:
    path.write_text('{"shards": [1]}')


@pytest.mark.parametrize("damage", [_of_another_plan, _no_json, _other_json, Path.unlink])
def test_a_record_that_is_not_ours_counts_for_nothing(faces: Path, damage: Callable[[Path], None]) -> None:
    verify_dataset(faces)
    damage(faces / RECORD)
    assert verify_dataset(faces, changed=True).unchanged == 0
    assert verify_dataset(faces, changed=True).unchanged == SHARDS


def test_a_copy_is_read(faces: Path, tmp_path: Path) -> None:
    verify_dataset(faces)
    copy = shutil.copytree(faces, tmp_path / "copy")  # with its times, and the record
    assert verify_dataset(copy, changed=True).unchanged == 0


def test_against_another_plan_nothing_is_recorded(faces: Path) -> None:
    _flip(faces / "plan.parquet", 1000)  # in the statistics or the rows, not in the footer
    problems = verify_dataset(faces).problems
    assert any("not the file that the manifest was written for" in problem for problem in problems)
    assert not (faces / RECORD).exists()


def test_a_folder_that_cannot_be_written(faces: Path, cli: Cli) -> None:
    with read_only(faces):
        plain, changed = cli("verify", faces), cli("verify", faces, "--changed", "--workers", 2)
    assert (plain.status, plain.err) == (0, "")
    assert changed.status == 0
    assert "what was checked is not kept" in changed.err
    assert not (faces / RECORD).exists()


_STEP_BY_STEP = """
import sys
from nonesuch.dataset import verify_dataset as verifying
verifying._KEEP_EVERY_SECONDS = 0.0
def stop(*told):
    print("one", flush=True)
    sys.stdin.readline()
verifying.verify_dataset(sys.argv[1], workers=2, on_progress=stop)
"""


def test_killed_in_the_middle(faces: Path) -> None:
    """What was checked is kept, and the workers end, too."""
    time.sleep(2.1)  # the other process believes no file that has just been written
    command = [sys.executable, "-c", _STEP_BY_STEP, str(faces)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(2):
            assert process.stdout.readline() == "one\n"
            print(file=process.stdin, flush=True)
        assert process.stdout.readline() == "one\n"
        children = _children(process.pid)
        assert len(children) == 2
        process.send_signal(signal.SIGKILL)
    assert verify_dataset(faces, changed=True).unchanged == 2
    _await(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


def test_a_killed_worker_is_one_line(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = set(_children(os.getpid()))  # such as what multiprocessing keeps for earlier tests

    def kill(*_: object) -> None:
        for child in set(_children(os.getpid())) - others:
            os.kill(child, signal.SIGKILL)

    monkeypatch.setattr(workers, "_AHEAD", 1)
    with pytest.raises(NonesuchError, match="worker process was killed by signal 9 at shard"):
        verify_dataset(faces, workers=2, on_progress=kill)
    assert set(_children(os.getpid())) <= others


def _children(pid: int) -> list[int]:
    told = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in told for child in path.read_text().split()]


def _await(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture(scope="module")
def shard(sound: Path) -> tuple[bytes, pa.Table]:
    return _tar(sound, 0).read_bytes(), read_index(_tar(sound, 0).with_suffix(".parquet"))


def test_the_quick_look_and_the_slow_one_agree_on_every_flipped_byte(
    shard: tuple[bytes, pa.Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The quick look may be stricter, as it hashes everything; it never passes what the slow one finds damaged."""
    content, index = shard
    monkeypatch.setattr(checks, "_WINDOW", len(content) // 3)
    path, rng = tmp_path / "one.tar", np.random.default_rng(0)
    path.write_bytes(content)
    assert is_as_indexed(path, index, ".jpg", hashlib.sha256(content).hexdigest())
    headers = [offset - 512 + place for offset in index["offset"].to_pylist()[:2] for place in range(512)]
    found = 0
    for place in [*rng.choice(headers, 100, replace=False), *rng.integers(0, len(content), 100)]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            slow = damaged_image(path, index, ".jpg")
        except NonesuchError as error:
            slow = str(error)
        found += slow is not None
        assert slow is None or not is_as_indexed(path, index, ".jpg", None)
        assert not is_as_indexed(path, index, ".jpg", hashlib.sha256(content).hexdigest())
    assert found > 60


def test_a_tar_of_another_program_is_sound(faces: Path) -> None:
    """The same members with times and owners in their headers, as tar would write them."""
    path = _tar(faces, 0)
    index = read_index(path.with_suffix(".parquet"))
    with tarfile.open(path) as archive:
        members = [(member.name, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uname = len(content), 1.7e9, "somebody"
            archive.addfile(info, io.BytesIO(content))
    assert not is_as_indexed(path, index, ".jpg", None)
    assert damaged_image(path, index, ".jpg") is None


def test_whether_an_image_decodes(sound: Path) -> None:
    """As `decode` says, of whole and of damaged images."""
    table = read_index(_tar(sound, 0).with_suffix(".parquet")).to_pylist()
    content, rng = _tar(sound, 0).read_bytes(), np.random.default_rng(0)
    whole = [content[row["offset"] : row["offset"] + row["size"]] for row in table]
    pixels = images.decode(whole[0], "")
    found = {True: 0, False: 0}
    for number in range(150):
        data = bytearray([*whole, images.encode(pixels, "png", 0)][number % (len(whole) + 1)])
        if number % 3 == 0:
            data = data[: rng.integers(len(data))]
        elif number % 3 == 1:
            data[rng.integers(700)] = rng.integers(256)
        try:
            images.decode(bytes(data), "")
            expected = True
        except NonesuchError:
            expected = False
        assert images.decodes(bytes(data)) == expected
        found[expected] += 1
    assert min(found.values()) > 25
