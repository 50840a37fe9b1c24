"""`nonesuch flip train` and `nonesuch search` on planted pictures: words become what they were planted on."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import Cli, succeed
from tests.people import planted_person

# What is planted on which pictures: person i's facts.
FACTS = (["male", "wearing_hat"], ["female", "smiling"], ["male", "eyeglasses"], ["female", "blond_hair"])
IMAGES = 8


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four people who are patterns of colours, and a table of captions beside it."""
    folder = tmp_path_factory.mktemp("flip")
    rows = []
    for person, facts in enumerate(FACTS):
        planted_person(folder / "faces", person, range(IMAGES))
        rows += [(f"person{person}/{image:02d}.png", " ".join(facts), facts) for image in range(IMAGES)]
    pq.write_table(
        pa.table({name: [row[place] for row in rows] for place, name in enumerate(("file", "caption", "facts"))}),
        folder / "captions.parquet",
    )
    return folder


@pytest.fixture(scope="module")
def trained(faces: Path) -> Path:
    options = ("--data", faces / "faces", "--captions", faces / "captions.parquet", "--preset", "flip_tiny")
    succeed("flip", "train", faces / "run", *options, "--images-seen", 3200, "--batch", 16)
    return faces / "run" / "flip_tiny.safetensors"


def _top(cli: Cli, trained: Path, *args: object) -> list[str]:
    found = trained.parents[1] / "found.json"
    outcome = cli("search", trained.parents[1] / "faces", *args, "--model", trained, "--json", found, "--top", IMAGES)
    assert outcome.status == 0, outcome.err
    return [image["identity"] for image in json.loads(found.read_text())["images"]]


@pytest.mark.parametrize(
    ("query", "person"),
    [("man in a hat", 0), ("a smiling woman", 1), ("guy with glasses", 2), ("blonde woman", 3)],
)
def test_words_find_what_they_were_planted_on(
    cli: Cli, trained: Path, query: str, person: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _top(cli, trained, query).count(f"person{person}") >= IMAGES - 1


def test_an_image_finds_its_like_and_both_count(
    cli: Cli, trained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    like = trained.parents[1] / "faces" / "person2" / "00.png"
    assert _top(cli, trained, "--like", like) == ["person2"] * IMAGES
    assert _top(cli, trained, "man in a hat", "--like", like, "--text-share", 0).count("person2") == IMAGES
    assert _top(cli, trained, "man in a hat", "--like", like, "--text-share", 1).count("person0") >= IMAGES - 1
