"""`nonesuch export`: what is written is found again as it was, and nothing half-written is left."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import nonesuch
from nonesuch.core import images
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import Notice
from nonesuch.formats.manifest import REAL_PEOPLE
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.readers import find
from nonesuch.formats.relabelling import Label
from nonesuch.formats.relabelling import write as write_manifest
from nonesuch.formats.to_write import ToWrite
from nonesuch.formats.writers import BIN, WRITERS
from tests.conftest import Cli, succeed
from tests.faults import files_of_at_most, flip_byte
from tests.formats.test_lmdb_records import write as write_lmdb

LABELLED = [name for name in WRITERS if name != BIN]  # formats of labelled images; test_export_pairs.py has the other
NUMBERED = ("recordio", "lmdb")  # formats that have class numbers alone


def _jpeg(seed: int, side: int = 16) -> bytes:
    return images.encode(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8), "jpeg", 90)


@pytest.fixture(scope="module")
def dataset(tiny_generator: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five identities with three images each, in three shards."""
    out = tmp_path_factory.mktemp("export") / "faces"
    options = ["--identities", 5, "--images", 3, "--shard-images", 6, "--no-summary", "--generator", tiny_generator]
    succeed("generate", out, *options)
    return out


def _bytes(source: Path) -> list[bytes]:
    return [item.read_bytes() for item in find(source)]


@pytest.mark.parametrize("format", LABELLED)
def test_a_dataset_and_back(cli: Cli, dataset: Path, tmp_path: Path, format: str) -> None:
    """The bytes are those whose hashes the dataset has; another command reads what was written."""
    out = tmp_path / "out"
    outcome = cli("export", dataset, out, "--format", format)
    assert outcome.status == 0, outcome.err
    assert f"{out}: 5 identities, 15 images" in outcome.out
    assert "manifest, licence, plan, vectors and columns stay in" in outcome.err
    assert (f"{format} does not hold" in outcome.err) == bool(WRITERS[format].lacks)
    before, after = find(dataset), find(out)
    assert [item.read_bytes() for item in after] == [item.read_bytes() for item in before]
    indices = [pq.read_table(path)["sha256"].to_pylist() for path in sorted((dataset / "shards").glob("*.parquet"))]
    hashes = [hashlib.sha256(item.read_bytes()).digest() for item in after]
    assert hashes == [known for index in indices for known in index]
    people = [str(int(item.identity)) if format in NUMBERED else item.identity for item in before]
    assert [item.identity for item in after] == people
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    outcome = cli("embed", out, "--out", tmp_path / "v.parquet")
    assert outcome.status == 0, outcome.err
    assert pq.read_table(tmp_path / "v.parquet")["identity"].to_pylist() == people


@pytest.mark.filterwarnings("ignore::nonesuch.core.notices.Notice")
@pytest.mark.parametrize("format", LABELLED)
def test_order_and_labels_of_a_mixed_set(tmp_path: Path, format: str) -> None:
    """Labels in no order, that numbers sort and text does not; images of two kinds, whose names do not tell."""
    labels = [3, 11, 2, 3, 0, 11, 2, 10, 9, 8, 7, 6, 5, 4, 1]
    data = [_jpeg(n) if n % 2 else images.encode(np.full((9, 9, 3), n, np.uint8), "png", 1) for n in range(15)]
    source = write_lmdb(tmp_path / "set.lmdb", [[image, label] for image, label in zip(data, labels, strict=True)])
    made = nonesuch.export_dataset(source, tmp_path / "out", format=format)
    assert (made.images, made.identities, made.shows_real_people) == (15, 12, None)
    found = [(item.identity, item.read_bytes()) for item in find(tmp_path / "out")]
    expected = [(str(label), image) for label, image in zip(labels, data, strict=True)]
    if format == "imagefolder":  # a folder has the order of names: of the identities, then of the images
        expected.sort(key=lambda item: item[0])
    assert found == expected
    again = nonesuch.export_dataset(tmp_path / "out", tmp_path / "again", format="lmdb")
    assert again.images == 15
    assert [item.identity for item in find(tmp_path / "again")] == [label for label, _ in found]


@pytest.mark.filterwarnings("ignore::nonesuch.core.notices.Notice")
@pytest.mark.parametrize("format", LABELLED)
def test_names_of_people_and_files(tmp_path: Path, format: str) -> None:
    people = tmp_path / "people"
    for number, name in enumerate(('Zoë, "Z"/1.jpg', "ann/2019/1.jpg", "ann/2020/1.jpg", "10/b.JPEG", "9/a.jpg")):
        (people / name).parent.mkdir(parents=True, exist_ok=True)
        (people / name).write_bytes(_jpeg(number))
    nonesuch.export_dataset(people, tmp_path / "out", format=format)
    before, after = find(people), find(tmp_path / "out")
    assert [item.read_bytes() for item in after] == [item.read_bytes() for item in before]
    numbers = {"10": "0", "9": "1", 'Zoë, "Z"': "2", "ann": "3"}
    expected = [numbers[item.identity] if format in NUMBERED else item.identity for item in before]
    assert [item.identity for item in after] == expected
    if format in NUMBERED:
        text = (tmp_path / "out" / "identities.csv").read_text(encoding="utf-8")
        assert text == 'label,identity\n0,10\n1,9\n2,"Zoë, ""Z"""\n3,ann\n'
    if format in ("imagefolder", "parquet"):
        expected = [item.name.replace(".JPEG", ".jpeg" if format == "imagefolder" else ".JPEG") for item in before]
        assert [item.name for item in after] == expected


@pytest.mark.parametrize(
    ("identities", "people"),
    [
        (("10", "9", "010", "0", "9"), ["0", "9", "010", "10"]),
        (("10", "9", "a"), ["10", "9", "a"]),
        (("10", "-1"), ["-1", "10"]),
    ],
)
def test_classes_are_numbered_by_number_or_by_text(identities: tuple[str, ...], people: list[str]) -> None:
    wanted = ToWrite([Photograph("x", name, Path()) for name in identities], lambda item: b"")
    assert wanted.people == people
    assert [people[label] for label in wanted.labels] == list(identities)


def test_people_who_cannot_name_a_folder(tmp_path: Path) -> None:
    source = write_lmdb(tmp_path / "set.lmdb", [[_jpeg(n), name] for n, name in enumerate(("..", "/etc", "a/b", ".x"))])
    with pytest.warns(Notice, match="4 identities cannot name a folder and got another name"):
        nonesuch.export_dataset(source, tmp_path / "out", format="imagefolder")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"%..", "%2Fetc", "a%2Fb", "%.x"}
    assert len(_bytes(tmp_path / "out")) == 4


def test_real_people_are_told(cli: Cli, dataset: Path, tmp_path: Path) -> None:
    assert "REAL PEOPLE" not in cli("export", dataset, tmp_path / "a", "--format", "lmdb").out
    copy = shutil.copytree(dataset, tmp_path / "copy")
    about = json.loads((copy / "dataset.json").read_text())
    (copy / "dataset.json").write_text(json.dumps(about | {"shows_real_people": True, "description": REAL_PEOPLE}))
    assert "REAL PEOPLE" in cli("export", copy, tmp_path / "b", "--format", "lmdb").out


def test_a_face_among_several_is_told(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "p" / "ann").mkdir(parents=True)
    (tmp_path / "p" / "ann" / "1.jpg").write_bytes(_jpeg(0))
    points = tuple((float(n), 2.0) for n in range(5))
    write_manifest(
        tmp_path / "c.parquet", tmp_path / "p", [("ann/1.jpg", Label("eve", "ann", points))], {}, with_faces=True
    )
    outcome = cli("export", tmp_path / "c.parquet", tmp_path / "out", "--format", "parquet")
    assert outcome.status == 0, outcome.err
    assert "does not say which face is meant in 1 images" in outcome.err
    assert [item.identity for item in find(tmp_path / "out")] == ["eve"]


def test_what_is_there_is_not_replaced(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "p" / "ann").mkdir(parents=True)
    (tmp_path / "p" / "ann" / "1.jpg").write_bytes(_jpeg(0))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    outcome = cli("export", tmp_path / "p", tmp_path / "out", "--format", "recordio")
    assert "is there already and holds mine; name a folder that is not there yet" in outcome.error
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]
    assert "there is no folder" in cli("export", tmp_path / "p", tmp_path / "no" / "out", "--format", "lmdb").error
    assert "'tfrecord' is not one of" in cli("export", tmp_path / "p", tmp_path / "o", "--format", "tfrecord").error
    assert "Missing option '--format'" in cli("export", tmp_path / "p", tmp_path / "o").error
    (tmp_path / "out" / "mine").unlink()
    assert cli("export", tmp_path / "p", tmp_path / "out", "--format", "recordio").status == 0


@pytest.mark.parametrize("format", LABELLED)
def test_a_flipped_byte_ends_the_export(cli: Cli, dataset: Path, tmp_path: Path, format: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy)
    flip_byte(copy / "shards" / "000002.tar", 1)
    outcome = cli("export", copy, tmp_path / "out", "--format", format)
    assert "0000004/00001.jpg is not what its index says; 'nonesuch verify' tells what is damaged" in outcome.error
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_an_unfinished_dataset_is_refused(cli: Cli, tiny_generator: Path, tmp_path: Path) -> None:
    options = ["--identities", 2, "--images", 1, "--plan-only", "--generator", tiny_generator]
    assert cli("generate", tmp_path / "faces", *options).status == 0
    assert "not complete" in cli("export", tmp_path / "faces", tmp_path / "out", "--format", "lmdb").error
    assert not (tmp_path / "out").exists()


def _many(folder: Path, count: int) -> Path:
    for number in range(count):
        path = folder / f"p{number % 20:02d}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_jpeg(number, 60))
    return folder


@pytest.mark.parametrize("format", sorted({*LABELLED} - {"imagefolder"}))  # whose files are small
def test_a_full_disk(cli: Cli, tmp_path: Path, format: str) -> None:
    _many(tmp_path / "people", 100)
    with files_of_at_most(100_000):
        outcome = cli("export", tmp_path / "people", tmp_path / "out", "--format", format)
    assert outcome.status == 1
    assert outcome.error.startswith(f"error: {tmp_path / 'out'}: ")
    assert re.search("no space left to write it; free some|is the disk full", outcome.error)
    assert [path.name for path in tmp_path.iterdir()] == ["people"]


def test_a_killed_export_leaves_nothing_that_counts(cli: Cli, tmp_path: Path) -> None:
    _many(tmp_path / "people", 100)
    out, started = tmp_path / "out", tmp_path / "started"
    code = (
        "import sys, time; from pathlib import Path; import nonesuch\n"
        "def slow(what, done, total, note=''):\n"
        f"    if done == 50: Path({str(started)!r}).touch(); time.sleep(60)\n"
        f"nonesuch.export_dataset({str(tmp_path / 'people')!r}, {str(out)!r}, format='recordio', on_progress=slow)"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        while not started.exists() and process.poll() is None:
            time.sleep(0.01)
        second = cli("export", tmp_path / "people", out, "--format", "imagefolder")
        process.kill()
    assert "another process is writing here" in second.error
    assert not out.exists()
    assert (tmp_path / ".out.tmp").is_dir()
    assert cli("export", tmp_path / "people", out, "--format", "imagefolder").status == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "people", "started"]
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in (tmp_path / "people").iterdir())
    assert _bytes(out) == _bytes(tmp_path / "people")


def test_a_source_that_is_damaged_half_way(tmp_path: Path) -> None:
    records = [[_jpeg(0), 0], [b"no image", 1]]
    source = write_lmdb(tmp_path / "set.lmdb", records)
    with pytest.raises(NonesuchError, match=r"1: not an image"):
        nonesuch.export_dataset(source, tmp_path / "out", format="webdataset")
    assert [path.name for path in tmp_path.iterdir() if "lock" not in path.name] == ["set.lmdb"]
