"""Who may be shown, and under which licence, follows from the parts that have images."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.collected.provenance import draft, imported_part, parts_of, with_parts
from nonesuch.formats import manifest as manifests
from nonesuch.formats.manifest import NO_ONE, REAL_PEOPLE, UNKNOWN_ORIGIN, Manifest, Part
from tests.formats.test_manifest import MADE_BY, PART

GENERATED = {**PART, "name": "g", "description": NO_ONE, "shows_real_people": False, "generator": MADE_BY}
REFERENCE = {**GENERATED, "name": "r", "description": REAL_PEOPLE, "shows_real_people": True, "licence": "other"}
IMPORTED = {**PART, "description": UNKNOWN_ORIGIN, "licence": "CC0"}
EMPTY = {"images": 0, "identities": 0}


@pytest.mark.parametrize(
    ("parts", "shown", "begins", "licence"),
    [
        ([GENERATED], False, NO_ONE, "l"),
        ([GENERATED, GENERATED], False, NO_ONE, "l"),
        ([REFERENCE], True, REAL_PEOPLE, "other"),
        ([IMPORTED], True, UNKNOWN_ORIGIN, "CC0"),
        ([GENERATED, IMPORTED], True, "Images of several origins, some not known: they MAY SHOW", "l; CC0"),
        ([IMPORTED, REFERENCE], True, "Images of several origins, some of which show REAL PEOPLE", "CC0; other"),
        ([GENERATED, REFERENCE], True, "Images of several origins, some of which show REAL PEOPLE", "l; other"),
        ([GENERATED, {**REFERENCE, **EMPTY}], False, NO_ONE, "l"),
        ([{**GENERATED, **EMPTY}, IMPORTED], True, UNKNOWN_ORIGIN, "CC0"),
    ],
)
def test_the_whole_says_what_its_parts_say(parts: Sequence[Part], shown: bool, begins: str, licence: str) -> None:
    found = with_parts(draft(parts, {"made_by": "merge"}, {"codec": "jpeg"}), parts)
    assert (found.shows_real_people, found.licence, found.made_from) == (shown, licence, list(parts))
    assert found.description.startswith(begins)


def _dataset(folder: Path, manifest: Manifest) -> Path:
    folder.mkdir()
    manifests.write(folder, replace(manifest, plan_sha256="p", complete=True))
    return folder


def test_parts_stay_the_first_ones_however_often_they_are_copied(tmp_path: Path) -> None:
    generated = replace(
        draft([IMPORTED], {"seed": 1}, {"codec": "jpeg", "dtype": "float32"}),
        made_from=[], generator=MADE_BY, shows_real_people=False, description=NO_ONE, licence="l",
    )  # fmt: skip
    faces = _dataset(tmp_path / "faces", generated)
    first = parts_of(faces, manifests.read(faces))
    assert [(part["name"], part["generator"], part["options"]) for part in first] == [("faces", MADE_BY, {"seed": 1})]
    for step in ("one", "two"):
        faces = _dataset(tmp_path / step, draft(first, {"made_by": step}, {"codec": "jpeg"}))
        first = parts_of(faces, manifests.read(faces))
    assert first[0]["name"] == "faces"
    assert [step["options"]["made_by"] for step in first[0]["through"]] == ["one", "two"]
    assert imported_part(faces, None)["shows_real_people"] is False


def test_what_is_not_known_is_not_claimed(tmp_path: Path) -> None:
    (tmp_path / "photographs").mkdir()
    part = imported_part(tmp_path / "photographs", None)
    assert (part["shows_real_people"], part["licence"], part["generator"]) == (None, "not stated", None)
    (tmp_path / "table.parquet").write_bytes(b"images of another format")
    assert imported_part(tmp_path / "table.parquet", "CC0")["shows_real_people"] is None
    with pytest.raises(NonesuchError):
        manifests.read(tmp_path / "photographs")
