"""Photographs of several people who don't exist: whose face gets the label, through the command line."""

import csv
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import nonesuch
from nonesuch import load_embedder
from nonesuch.core.notices import Notice
from nonesuch.formats.readers import find
from nonesuch.measures.similarity import normalised
from tests.conftest import Cli, Outcome
from tests.people import faces_of_no_one


@pytest.fixture(scope="module")
def people() -> np.ndarray:
    """Four people, three images each."""
    return faces_of_no_one(4, 21, images=3, style_spread=1.0).reshape(4, 3, 112, 112, 3)


def _photograph(path: Path, *faces: tuple[np.ndarray, int, int, int], width: int = 620) -> None:
    canvas = Image.new("RGB", (width, 300), (110, 110, 110))
    for crop, left, top, side in faces:
        canvas.paste(Image.fromarray(crop).resize((side, side), Image.Resampling.BICUBIC), (left, top))
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path)


@pytest.fixture(scope="module")
def folder(people: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ann alone; ann beside a larger stranger, nearer to the middle; bob, only ever beside a larger stranger."""
    root = tmp_path_factory.mktemp("several") / "photos"
    ann, bob, stranger, other = people
    _photograph(root / "ann" / "alone.png", (ann[0], 60, 40, 200), width=340)
    _photograph(root / "ann" / "beside.png", (stranger[0], 20, 30, 240), (ann[1], 300, 90, 130))
    _photograph(root / "bob" / "1.png", (stranger[1], 20, 30, 240), (bob[0], 300, 90, 130))
    _photograph(root / "bob" / "2.png", (other[0], 20, 30, 240), (bob[1], 300, 90, 130))
    return root


def _who(people: np.ndarray, vectors: list[list[float]]) -> list[str]:
    """Whose face each vector is of, by the crops that were pasted."""
    embedder = load_embedder("mobilefacenet", "cpu")
    means = normalised(np.stack([embedder.embed(images).mean(0) for images in people]))
    cosines = normalised(np.array(vectors, dtype=np.float32)) @ means.T
    return [["ann", "bob", "stranger", "other"][row] for row in cosines.argmax(1)]


def _notes(outcome: Outcome, of: str = "several faces") -> list[str]:
    return [line for line in outcome.err.splitlines() if line.startswith("note: ") and of in line]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (None, ["ann", "ann", "bob", "bob"]),
        ("largest", ["ann", "stranger", "stranger", "other"]),
        ("central", ["ann", "ann", "bob", "bob"]),
        ("all", ["ann", "stranger", "ann", "stranger", "bob", "other", "bob"]),
    ],
)
def test_whose_face_gets_the_label(
    cli: Cli, folder: Path, people: np.ndarray, tmp_path: Path, rule: str | None, expected: list[str]
) -> None:
    out, crops = tmp_path / "v.parquet", tmp_path / "crops"
    outcome = cli("embed", folder, "--out", out, "--crops", crops, *([] if rule is None else ["--face", rule]))
    assert outcome.status == 0, outcome.err
    table = pq.read_table(out)
    assert _who(people, table["embedding"].to_pylist()) == expected
    (note,) = _notes(outcome)
    assert "3 of 4 photographs show several faces" in note
    assert "--face" in note
    assert len(_notes(outcome, "1 identities have no photograph of one face")) == (rule is None)
    assert table["faces"].to_pylist() == ([1, 2, 2, 2] if rule != "all" else [1, 2, 2, 2, 2, 2, 2])
    second = [1, 2, 2, 2] if rule != "largest" else [1] * 4
    assert table["face"].to_pylist() == (second if rule != "all" else [1, 1, 2, 1, 2, 1, 2])
    written = sorted(path.relative_to(crops).as_posix() for path in crops.rglob("*.png"))
    plain = ["ann/alone.png", "ann/beside.png", "bob/1.png", "bob/2.png"]
    numbered = [f"{name}_face{number}.png" for name in ("ann/beside", "bob/1", "bob/2") for number in (1, 2)]
    assert written == (plain if rule != "all" else ["ann/alone.png", *numbered])
    pixels = np.stack([np.asarray(Image.open(crops / name)) for name in written])
    again = load_embedder("mobilefacenet", "cpu").embed(pixels)
    assert _who(people, again.tolist()) == expected  # a crop is of the face in its row


def test_python_says_how_many(folder: Path, tmp_path: Path) -> None:
    with pytest.warns(Notice, match="several faces"):
        found = nonesuch.embed_photographs(folder, tmp_path / "v.parquet", face="largest")
    assert (found.photographs, found.vectors, found.several, found.unclear) == (4, 4, 3, 0)


def test_a_cleaned_set_remembers_the_faces(cli: Cli, folder: Path, people: np.ndarray, tmp_path: Path) -> None:
    outcome = cli("clean", folder, "--out", tmp_path / "out", "--review", 0)
    assert outcome.status == 0, outcome.err
    assert len(_notes(outcome)) == 1
    with (tmp_path / "out" / "decisions.csv").open() as log:
        assert [row["action"] for row in csv.DictReader(log)] == []
    manifest = tmp_path / "out" / "cleaned.parquet"
    assert [item.landmarks is None for item in find(manifest)] == [True, False, False, False]
    for rule in ("largest", "all"):
        assert cli("embed", manifest, "--out", tmp_path / "v.parquet", "--face", rule).status == 0
        vectors = pq.read_table(tmp_path / "v.parquet")["embedding"].to_pylist()
        assert _who(people, vectors) == ["ann", "ann", "bob", "bob"]


def test_what_cannot_choose_says_what_it_took(cli: Cli, folder: Path, tmp_path: Path) -> None:
    outcome = cli("perceive", folder, "--out", tmp_path / "t.parquet")
    (note,) = _notes(outcome)
    assert "the largest is taken" in note
    assert "embed" in note
    assert pq.read_table(tmp_path / "t.parquet")["faces"].to_pylist() == [1, 2, 2, 2]
    assert len(_notes(cli("evaluate", "--data", folder))) == 1


def test_references_take_the_face_of_the_label(
    cli: Cli, folder: Path, people: np.ndarray, tmp_path: Path, tiny_generator: Path
) -> None:
    options = ["--generator", tiny_generator, "--images", 2, "--no-summary"]
    outcome = cli("generate", tmp_path / "faces", "--reference", folder, *options)
    assert outcome.status == 0, outcome.err
    assert "--face RULE" in _notes(outcome)[0]
    table = pq.read_table(tmp_path / "faces" / "identities.parquet")
    assert table["name"].to_pylist() == ["ann", "bob"]
    assert _who(people, table["embedding"].to_pylist()) == ["ann", "bob"]
