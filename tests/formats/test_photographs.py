import tarfile
from pathlib import Path

import numpy as np
import pytest

from nonesuch.core import images
from nonesuch.core.errors import NonesuchError
from nonesuch.formats import photographs


def _save(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(images.encode(np.full((8, 8, 3), level, np.uint8), "png", 1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "faces"
    for level, name in enumerate(["bo/2.png", "bo/1.png", "al/1.png", "solo.png", ".hidden.png"]):
        _save(root / name, level)
    (root / "notes.txt").write_text("no image")
    return root


@pytest.fixture
def tar(folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "faces.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(folder, arcname=".")
    return path


def test_folder_and_tar_hold_the_same(folder: Path, tar: Path) -> None:
    for source in (folder, tar):
        found = photographs.find(source)
        assert [item.name for item in found] == ["al/1.png", "bo/1.png", "bo/2.png", "solo.png"]
        assert [item.identity for item in found] == ["al", "bo", "bo", "solo"]
        assert [int(item.read()[0, 0, 0]) for item in found] == [2, 1, 0, 3]


def test_a_single_image(folder: Path) -> None:
    assert [item.identity for item in photographs.find(folder / "solo.png")] == ["solo"]


def test_the_table_beside_a_tar_labels_and_selects(tar: Path) -> None:
    table = tar.with_name("faces.csv")
    table.write_text("file,identity,split\nal/1.png,7,train\nbo/1.png,8,test\nbo/2.png,9,train\n")
    found = [(item.name, item.identity) for item in photographs.find(tar)]
    assert found == [("al/1.png", "7"), ("bo/1.png", "8"), ("bo/2.png", "9")]
    assert [item.identity for item in photographs.find(tar, split="train")] == ["7", "9"]
    with pytest.raises(NonesuchError, match=r"none of the images of faces\.tar in the split validation"):
        photographs.find(tar, split="validation")
    table.write_text("name\nal/1.png\n")
    with pytest.raises(NonesuchError, match="lacks the column file"):
        photographs.find(tar)


def test_exclusion_by_person_path_and_file_name(folder: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("bo\nsolo.png\n\n")
    left = photographs.exclude(photographs.find(folder), photographs.read_names(names))
    assert [item.name for item in left] == ["al/1.png"]
    names.write_text("\n")
    with pytest.raises(NonesuchError, match="empty"):
        photographs.read_names(names)


def test_bad_sources(tmp_path: Path, tar: Path) -> None:
    empty, cut, other = tmp_path / "empty.tar", tmp_path / "cut.tar", tmp_path / "other.tar"
    empty.touch()
    cut.write_bytes(tar.read_bytes()[:1100])
    other.write_bytes(b"not a tar" * 300)
    (tmp_path / "nothing").mkdir()
    for source, reason in [
        (empty, "empty"),
        (cut, "cut.tar"),
        (other, "other.tar"),
        (tmp_path / "nothing", "no images"),
        (tmp_path / "absent", "no such"),
    ]:
        with pytest.raises(NonesuchError, match=reason):
            photographs.find(source)


def test_a_tar_that_shrinks_after_it_was_listed(tar: Path) -> None:
    found = photographs.find(tar)
    tar.write_bytes(tar.read_bytes()[:600])
    with pytest.raises(NonesuchError, match="truncated"):
        found[-1].read()
