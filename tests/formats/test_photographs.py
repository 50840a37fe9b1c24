from dataclasses import replace
from pathlib import Path

import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.formats.photograph_lists import exclude, excluded_names, signature
from nonesuch.formats.photographs import Photograph, read_names
from nonesuch.formats.readers import find


def test_exclusion_by_person_path_and_file_name(folder: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("bo\nsolo.png\n\n")
    left = exclude(find(folder), read_names(names))
    assert [item.name for item in left] == ["al/1.png"]
    names.write_text("\n")
    with pytest.raises(NonesuchError, match="empty"):
        read_names(names)


@pytest.mark.parametrize(
    "line", ["re\u0301mi", "r\u00e9mi", "r\u00e9mi/", "./r\u00e9mi", " r\u00e9mi ", "r\u00e9mi\t12"]
)
@pytest.mark.parametrize("label", ["re\u0301mi", "r\u00e9mi"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_name_is_met_however_it_is_written(line: str, label: str, mark: str, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text(f"{mark}{line}\r\n", encoding="utf-8", newline="")
    photographs = [Photograph("1.jpg", label, tmp_path), Photograph("2.jpg", "other", tmp_path)]
    assert exclude(photographs, excluded_names([names], photographs, allow_unknown=False)) == photographs[1:]


def test_a_list_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes("r\u00e9mi".encode("utf-16"))
    with pytest.raises(NonesuchError, match="not UTF-8"):
        read_names(tmp_path / "names.txt")


def test_another_face_of_a_photograph_is_another_set(folder: Path) -> None:
    """What was seen in one face is not what another shows."""
    plain = find(folder)
    points = [((1.0, 2.0),) * 5, ((3.0, 2.0),) * 5]
    sets = [plain, *([replace(plain[0], landmarks=face), *plain[1:]] for face in points)]
    assert len({signature(items) for items in sets}) == 3
