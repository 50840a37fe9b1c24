"""What a source holds and no reader reads is counted, and file names that are no text are."""

import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from nonesuch.core import files, images
from nonesuch.core.notices import Notice
from nonesuch.formats.photographs import why_not_read
from nonesuch.formats.readers import find
from tests.conftest import Cli


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "photos" / "ann" / ".trash").mkdir(parents=True)
    crop = images.encode(np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8), "png", 1)
    for name in ("ann/1.png", "ann/2.HEIC", "ann/3.avif", "ann/4.avif", "ann/.trash/5.png", "notes.txt"):
        (tmp_path / "photos" / name).write_bytes(crop)
    (tmp_path / "photos" / "ann" / "6.png").symlink_to(tmp_path / "nothing")
    return tmp_path / "photos"


def test_a_folder(root: Path) -> None:
    (root / "bob").symlink_to(root / "ann")
    expected = (
        "not read: 2 .avif images, a format that is not read; 1 .heic images, a format that is not read; "
        "1 hidden images; 1 linked folders, which are not followed; 1 links to no file"
    )
    with pytest.warns(Notice) as told:
        assert [item.name for item in find(root)] == ["ann/1.png"]
    assert [str(item.message) for item in told] == [f"{root}: {expected}"]


def test_a_folder_that_cannot_be_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated, since the tests may run as root."""
    scan = os.scandir

    def refused(place: object) -> object:
        if str(place).endswith("shut"):
            raise PermissionError(13, "Permission denied", str(place))
        return scan(place)  # type: ignore[call-overload]

    (root / "shut").mkdir()
    monkeypatch.setattr(os, "scandir", refused)
    with pytest.warns(Notice, match="1 folders that cannot be opened"):
        find(root)


def test_a_tar_with_a_table(root: Path) -> None:
    tar = root.with_name("photos.tar")
    with tarfile.open(tar, "w") as archive:
        archive.add(root, arcname=".")
        archive.add(root / "ann" / "1.png", arcname="cy/1.png")
    tar.with_name("photos.csv").write_text("file,identity\nann/1.png,7\nabsent.png,8\n")
    with pytest.warns(Notice) as told:
        assert [item.identity for item in find(tar)] == ["7"]
    said = " ".join(str(item.message) for item in told)
    for part in (
        "2 .avif images, a format that is not read",
        "1 links, which are not followed",
        "does not name 1 of the 2 images of photos.tar, which are left out",
        "names 1 images that photos.tar does not hold",
    ):
        assert part in said


def test_a_command_says_it(cli: Cli, root: Path, tmp_path: Path) -> None:
    outcome = cli("embed", root, "--out", tmp_path / "v.parquet")
    assert outcome.status == 0, outcome.err
    assert f"note: {root}: not read: 2 .avif images" in outcome.err


@pytest.mark.parametrize("packed", [False, True])
def test_a_name_that_is_no_text(cli: Cli, root: Path, tmp_path: Path, packed: bool) -> None:
    place = Path(os.fsdecode(os.fsencode(root) + b"/r\xe9mi"))
    place.mkdir()
    (root / "ann" / "1.png").rename(place / os.fsdecode(b"\xff.png"))
    source = root
    if packed:
        source = root.with_name("photos.tar")
        with tarfile.open(source, "w") as archive:
            archive.add(root, arcname=".")
    out = tmp_path / "v.parquet"
    for command in (
        ["embed", source, "--out", out, "--crops", tmp_path / "crops"],
        ["clean", source, "--out", tmp_path],
    ):
        outcome = cli(*command)
        assert outcome.status == 0, outcome.err
    for table in (out, tmp_path / "cleaned.parquet"):
        assert pq.read_table(table).select(["file", "identity"]).to_pylist() == [
            {"file": "r\\xe9mi/\\xff.png", "identity": "r\\xe9mi"}
        ]
    assert [item.identity for item in find(tmp_path / "crops")] == ["r\\xe9mi"]
    assert len(find(tmp_path / "cleaned.parquet")) == 1


def test_a_name_as_long_as_a_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250 + ".json")
    files.write_json(path, {})
    assert files.read_json(path) == {}


PICTURES = ["heic", "heif", "avif", "gif", "jp2", "jxl", "jfif", "jpe", "psd"]
RAW_AND_FILMS = ["raw", "dng", "cr2", "nef", "arw", "mp4", "mov", "webm"]


@pytest.mark.parametrize("suffix", [*PICTURES, *RAW_AND_FILMS])
def test_pictures_and_films_of_other_formats_are_counted(suffix: str) -> None:
    assert why_not_read(f"ann/1.{suffix}") == f".{suffix} images, a format that is not read"
    assert why_not_read(f"ann/1.{suffix.upper()}") == f".{suffix} images, a format that is not read"
    assert why_not_read(f".ann/1.{suffix}") == "hidden images"
    assert (why_not_read("ann/1.txt"), why_not_read("ann/1.jpg")) == ("", "")
