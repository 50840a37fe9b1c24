"""A folder of crops: read back, every label is the one that was given, and no crop has replaced another."""

from pathlib import Path

import numpy as np
import pytest

from nonesuch.core.notices import Notice
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.readers import find
from nonesuch.identities.crops import CropFolder


def _written(folder: Path, *images: tuple[str, str]) -> list[tuple[str, int]]:
    """Identity and grey level of each crop that is found again, after writing one for each (name, identity)."""
    crops = CropFolder(folder)
    for level, (name, identity) in enumerate(images):
        crops.write(Photograph(name, identity, Path("unused")), np.full((112, 112, 3), level, np.uint8))
    crops.close()
    return sorted((item.identity, int(item.read_crop()[0, 0, 0])) for item in find(folder))


@pytest.mark.filterwarnings("ignore::nonesuch.core.notices.Notice")
@pytest.mark.parametrize(
    "images",
    [
        [("A/1.jpg", "A"), ("A/2.jpg", "B"), ("B/2.jpg", "B"), ("C/1.jpg", "A")],
        [("000001.jpg", "7"), ("000002.jpg", "7"), ("000003.jpg", "8")],
        [("a/1.jpg", "a"), ("a/1.png", "a"), ("a/1.jpeg", "a"), ("a/1.JPG", "a"), ("a/1.jpg.png", "a")],
        [
            ("alice/2019/1.jpg", "alice"),
            ("bob/2019/1.jpg", "alice"),
            ("bob/2019/2.jpg", "bob"),
            ("2019/1.jpg", "alice"),
        ],
        [(f"{'x' * 251}.jpg", "a"), (f"{'x' * 250}y.jpg", "a"), (f"{'é' * 125}/{'ü' * 125}.png", "b")],
        [("1.jpg", "alone"), ("alone/1.jpg", "alone"), ("alone/alone/1.jpg", "alone")],
        [("//etc/1.jpg", "a"), ("/etc/1.jpg", "a"), ("../../1.jpg", "a"), ("a/../../1.jpg", "a")],
    ],
)
def test_crops_keep_their_labels_and_their_number(tmp_path: Path, images: list[tuple[str, str]]) -> None:
    expected = sorted((identity, level) for level, (_, identity) in enumerate(images))
    assert _written(tmp_path / "all" / "crops", *images) == expected
    assert [path.name for path in (tmp_path / "all").iterdir()] == ["crops"]


def test_identities_that_cannot_name_a_folder_stay_apart_and_are_told(tmp_path: Path) -> None:
    names = ["AC/DC", "AC%2FDC", "..", ".hidden", "", "x" * 300, "x" * 299 + "y", "plain"]
    with pytest.warns(Notice, match="7 identities cannot name a folder and got another name, such as 'AC/DC', now"):
        found = _written(tmp_path / "crops", *((f"{row}.jpg", name) for row, name in enumerate(names)))
    assert len({identity for identity, _ in found}) == len(found) == len(names)
    assert ("plain", len(names) - 1) in found


def test_several_faces_of_a_photograph_have_their_numbers(tmp_path: Path) -> None:
    crops = CropFolder(tmp_path / "crops")
    for name, number in (("al/1.jpg", 1), ("al/1.jpg", 2), ("al/1_face2.jpg", None), ("al/1.png", 2)):
        crops.write(Photograph(name, "al", Path("unused")), np.zeros((112, 112, 3), np.uint8), number)
    written = sorted(path.name for path in (tmp_path / "crops" / "al").iterdir())
    assert len(written) == 4
    assert {"1_face1.png", "1_face2.png", "1_face2.jpg.png"} <= set(written)
