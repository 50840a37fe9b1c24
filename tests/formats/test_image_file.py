from pathlib import Path

from nonesuch.formats.readers import find


def test_a_single_image_is_of_whom_it_is_called_by(folder: Path) -> None:
    (found,) = find(folder / "solo.png")
    assert (found.name, found.identity) == ("solo.png", "solo")
    assert int(found.read()[0, 0, 0]) == 3


def test_the_suffix_may_be_in_capitals(folder: Path) -> None:
    path = (folder / "solo.png").rename(folder / "SOLO.PNG")
    assert [item.identity for item in find(path)] == ["SOLO"]
