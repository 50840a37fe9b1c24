from pathlib import Path

import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.formats.readers import find


def test_images_are_found_in_name_order_and_read_in_place(tar: Path) -> None:
    found = find(tar)
    assert [item.name for item in found] == ["al/1.png", "bo/1.png", "bo/2.png", "solo.png"]
    assert [item.identity for item in found] == ["al", "bo", "bo", "solo"]
    assert [int(item.read()[0, 0, 0]) for item in found] == [2, 1, 0, 3]
    assert {item.container for item in found} == {tar}


def test_the_table_beside_a_tar_labels_and_selects(tar: Path) -> None:
    table = tar.with_name("faces.csv")
    table.write_text("file,identity,split\nal/1.png,7,train\nbo/1.png,8,test\nbo/2.png,9,train\n")
    found = [(item.name, item.identity) for item in find(tar)]
    assert found == [("al/1.png", "7"), ("bo/1.png", "8"), ("bo/2.png", "9")]
    assert [item.identity for item in find(tar, split="train")] == ["7", "9"]
    with pytest.raises(NonesuchError, match=r"none of the images of faces\.tar in the split validation"):
        find(tar, split="validation")
    table.write_text("name\nal/1.png\n")
    with pytest.raises(NonesuchError, match="lacks the column file"):
        find(tar)


def test_tars_that_are_none(tmp_path: Path, tar: Path) -> None:
    empty, cut, other = tmp_path / "empty.tar", tmp_path / "cut.tar", tmp_path / "other.tar"
    empty.touch()
    cut.write_bytes(tar.read_bytes()[:1100])
    other.write_bytes(b"not a tar" * 300)
    for source, reason in [(empty, "empty"), (cut, "cut.tar"), (other, "other.tar")]:
        with pytest.raises(NonesuchError, match=reason):
            find(source)


def test_a_tar_that_shrinks_after_it_was_listed(tar: Path) -> None:
    found = find(tar)
    tar.write_bytes(tar.read_bytes()[:600])
    with pytest.raises(NonesuchError, match="truncated"):
        found[-1].read()
