import tarfile
from pathlib import Path

import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import Notice
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


@pytest.mark.parametrize("suffix", [".csv", ".CSV", ".tsv"])
def test_a_table_as_an_office_program_saves_it(tar: Path, suffix: str) -> None:
    """Byte order mark, CRLF, tabs, composed names where the tar has decomposed ones, "./" before them."""
    with tarfile.open(tar, "a") as archive:
        archive.add(next(tar.with_name("faces").glob("solo.png")), arcname="re\u0301mi/1.png")
    between = "\t" if suffix == ".tsv" else ","
    rows = [["file", "identity"], ["./al/1.png", "007"], ["r\u00e9mi/1.png", "1e3"], ["bo/1.png", ""]]
    text = "\ufeff" + "\r\n".join(between.join(row) for row in rows) + "\r\n"
    tar = tar.rename(tar.with_name("faces.TAR"))
    tar.with_name("faces" + suffix).write_text(text, encoding="utf-8", newline="")
    with pytest.warns(Notice, match="1 images have an empty identity and are left out"):
        assert [item.identity for item in find(tar)] == ["007", "1e3"]


def test_a_table_that_names_an_image_twice(tar: Path) -> None:
    tar.with_name("faces.csv").write_text("file,identity\nal/1.png,7\n./al/1.png,8\n")
    with pytest.raises(NonesuchError, match=r"names \./al/1\.png twice"):
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
