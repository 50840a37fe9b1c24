from pathlib import Path

import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.formats.photographs import exclude, read_names
from nonesuch.formats.readers import find


def test_exclusion_by_person_path_and_file_name(folder: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("bo\nsolo.png\n\n")
    left = exclude(find(folder), read_names(names))
    assert [item.name for item in left] == ["al/1.png"]
    names.write_text("\n")
    with pytest.raises(NonesuchError, match="empty"):
        read_names(names)
