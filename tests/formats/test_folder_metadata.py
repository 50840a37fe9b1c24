"""metadata.csv in a folder of images, as Hugging Face's ImageFolder has it."""

from pathlib import Path

import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import Notice
from nonesuch.formats.readers import find


@pytest.mark.parametrize("column", ["identity", "label"])
def test_it_labels_and_selects(folder: Path, column: str) -> None:
    table = folder / "metadata.csv"
    table.write_text(f"file_name,{column},split,text\nbo/2.png,007,test,x\nal/1.png,Zoë,train,y\n./solo.png,,train,\n")
    with pytest.warns(Notice) as told:
        found = find(folder)
    assert [(item.name, item.identity) for item in found] == [("al/1.png", "Zoë"), ("bo/2.png", "007")]
    assert [int(item.read()[0, 0, 0]) for item in found] == [2, 0]
    assert {str(item.message).partition(": ")[2] for item in told} == {
        "not read: 1 hidden images",
        "1 images have an empty identity and are left out",
        "does not name 1 of the 4 images of faces, which are left out",
    }
    with pytest.warns(Notice):
        assert [item.name for item in find(folder, split="train")] == ["al/1.png"]


@pytest.mark.parametrize("text", ["file_name,text\nal/1.png,a face\n", "id,label\n1,2\n"])
def test_a_table_that_says_nothing_of_labels(folder: Path, text: str) -> None:
    (folder / "metadata.csv").write_text(text)
    assert [item.identity for item in find(folder)] == ["al", "bo", "bo", "solo"]


def test_names_that_lead_out_name_nothing(folder: Path) -> None:
    (folder.parent / "secret.png").write_bytes((folder / "solo.png").read_bytes())
    out = str(folder.parent / "secret.png")
    (folder / "metadata.csv").write_text(f"file_name,label\n../secret.png,1\n{out},2\n/{out},3\nsolo.png,4\n")
    with pytest.warns(Notice, match="names 3 images that faces does not hold"):
        assert [item.name for item in find(folder)] == ["solo.png"]


def test_damage_is_told_in_one_line(folder: Path) -> None:
    (folder / "metadata.csv").write_bytes(b"file_name,label\nal/1.png,\xff\n")
    with pytest.raises(NonesuchError, match=r"metadata\.csv: not a readable table"):
        find(folder)
    (folder / "metadata.csv").write_text("file_name,label\nal/1.png,1\nal/1.png,2\n")
    with pytest.raises(NonesuchError, match=r"names al/1\.png twice"):
        find(folder)
    (folder / "metadata.csv").write_text("file_name,label\nx.png,1\n")
    with pytest.warns(Notice), pytest.raises(NonesuchError, match="names none of the images of faces"):
        find(folder)
