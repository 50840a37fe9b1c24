"""The table of readers: a line in it is all that a new format takes."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from nonesuch.core.errors import NonesuchError
from nonesuch.formats import readers
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.readers import Reader, find
from tests.conftest import Cli
from tests.people import faces_of_no_one, planted_person


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NonesuchError, match="absent: no such file or folder"):
        find(tmp_path / "absent")


def _find_listed(path: Path, split: str | None) -> list[Photograph]:
    """Images that a text file lists, a line each: label, split, file."""
    rows = [line.split() for line in path.read_text().splitlines()]
    return [Photograph(file, label, Path(file)) for label, part, file in rows if split in (None, part)]


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two people in a form that no other reader takes, and a reader for it."""
    for person in range(2):
        planted_person(tmp_path / "anywhere", person, range(3))
    files = sorted((tmp_path / "anywhere").rglob("*.png"))
    path = tmp_path / "faces.list"
    lines = [f"{file.parent.name[-1]} {'test' if file.stem == '02' else 'train'} {file}" for file in files]
    path.write_text("\n".join(lines))
    with pytest.raises(NonesuchError, match="not an image and not a readable uncompressed tar"):
        find(path)
    reader = Reader(lambda path: path.suffix == ".list", _find_listed)
    monkeypatch.setattr(readers, "READERS", (reader, *readers.READERS))
    return path


def test_a_line_in_the_table_opens_a_format_to_every_command(cli: Cli, listed: Path, tmp_path: Path) -> None:
    outcome = cli("embed", listed, "--out", tmp_path / "vectors.parquet")
    assert outcome.status == 0, outcome.err
    assert pq.read_table(tmp_path / "vectors.parquet")["identity"].to_pylist() == list("000111")
    outcome = cli("audit", listed, "--embedder", "mobilefacenet", "--out", tmp_path / "report")
    assert outcome.status == 0, outcome.err
    assert "2 identities, 6 images" in outcome.out
    run = ["--data", listed, "--preset", "tiny", "--epochs", "1", "--batch", "2"]
    outcome = cli("recognize", "train", tmp_path / "run", *run)
    assert outcome.status == 0, outcome.err
    assert "4 images of 2 identities from faces.list" in (tmp_path / "run" / "tiny.json").read_text()


def test_a_cleaned_set_of_a_new_format(cli: Cli, listed: Path, tmp_path: Path) -> None:
    files = [Path(item.name) for item in find(listed)]
    for file, crop in zip(files, faces_of_no_one(2, 1, images=3, sigma=0.1), strict=True):
        Image.fromarray(crop).save(file)
    outcome = cli("clean", listed, "--out", tmp_path / "cleaned")
    assert outcome.status == 0, outcome.err
    assert {item.container for item in find(tmp_path / "cleaned" / "cleaned.parquet")} <= set(files)
