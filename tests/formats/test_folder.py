from pathlib import Path

import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.formats.readers import find


def test_images_are_found_in_name_order_and_labelled_by_their_folders(folder: Path) -> None:
    found = find(folder)
    assert [item.name for item in found] == ["al/1.png", "bo/1.png", "bo/2.png", "solo.png"]
    assert [item.identity for item in found] == ["al", "bo", "bo", "solo"]
    assert [int(item.read()[0, 0, 0]) for item in found] == [2, 1, 0, 3]
    assert find(folder, split="train") == found


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(NonesuchError, match="no images"):
        find(tmp_path / "nothing")
