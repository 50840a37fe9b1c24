"""Photographs that show several faces: counted, chosen by a rule, never embedded under a label unseen."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nonesuch import load_embedder
from tests.conftest import Cli
from tests.people import faces_of_no_one

# Names of the people in each photograph, largest first; ann's stranger is larger and at the margin.
SHOWN = {"ann/1": ["ann"], "ann/2": ["ann"], "ann/3": ["stranger", "ann"], "bob/1": ["bob", "stranger"]}


@pytest.fixture(scope="module")
def people() -> dict[str, np.ndarray]:
    """Three images of each."""
    every = faces_of_no_one(3, 21, images=3)
    return {name: every[3 * row : 3 * row + 3] for row, name in enumerate(("ann", "bob", "stranger"))}


@pytest.fixture(scope="module")
def photographs(people: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several")
    for number, (name, shown) in enumerate(SHOWN.items()):
        first, last = (people[who][number % 3] for who in (shown[0], shown[-1]))
        canvas = Image.new("RGB", (640, 360), (110, 110, 110))
        if len(shown) == 1:
            canvas.paste(Image.fromarray(first).resize((200, 200)), (220, 80))
        else:  # the smaller one in the middle
            canvas.paste(Image.fromarray(first).resize((230, 230)), (5, 60))
            canvas.paste(Image.fromarray(last).resize((170, 170)), (245, 95))
        path = folder / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        canvas.save(path)
    return folder


def _shown(table: Path, people: dict[str, np.ndarray]) -> list[tuple[str, str, int]]:
    """File, who was taken, and how many faces, of each row."""
    names = list(people)
    known = load_embedder("mobilefacenet", "cpu").embed(np.stack([images[0] for images in people.values()]))
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    rows = pq.read_table(table).to_pylist()
    return [(row["file"], names[int(np.argmax(known @ np.array(row["embedding"])))], row["faces"]) for row in rows]


@pytest.mark.parametrize(
    ("face", "taken"),
    [
        ("largest", ["ann", "ann", "stranger", "bob"]),
        ("central", ["ann", "ann", "ann", "stranger"]),
        ("closest-to-label", ["ann", "ann", "ann", "bob"]),
    ],
)
def test_a_rule_chooses(
    cli: Cli, photographs: Path, people: dict[str, np.ndarray], tmp_path: Path, face: str, taken: list[str]
) -> None:
    """bob has no photograph of his own, so that the largest face is taken for him."""
    outcome = cli("embed", photographs, "--out", tmp_path / "v.parquet", "--face", face)
    assert outcome.status == 0, outcome.err
    found = _shown(tmp_path / "v.parquet", people)
    assert [name for name, _, _ in found] == [f"{name}.png" for name in SHOWN]
    assert [who for _, who, _ in found] == taken
    assert [count for _, _, count in found] == [1, 1, 2, 2]
    assert "note: 2 of 4 photographs show several faces; the" in outcome.err
    if face == "closest-to-label":
        assert "1 identities have no such photograph" in outcome.err
    else:
        assert f"the {face} one was taken. In 2 of them another is at least half as large" in outcome.err


def test_all_faces_get_a_row_and_a_crop(
    cli: Cli, photographs: Path, people: dict[str, np.ndarray], tmp_path: Path
) -> None:
    options = ["--out", tmp_path / "v.parquet", "--crops", tmp_path / "crops", "--face", "all"]
    outcome = cli("embed", photographs, *options)
    assert "several faces" not in outcome.err
    assert "6 faces of 4 photographs embedded" in outcome.out
    found = _shown(tmp_path / "v.parquet", people)
    assert [(name.removesuffix(".png"), who) for name, who, _ in found] == [
        (name, who) for name, shown in SHOWN.items() for who in shown
    ]
    crops = {path.relative_to(tmp_path / "crops").as_posix() for path in (tmp_path / "crops").rglob("*.png")}
    assert crops == {"ann/1.png", "ann/2.png", "ann/3.png", "ann/3-2.png", "bob/1.png", "bob/1-2.png"}


@pytest.mark.parametrize("command", ["clean", "perceive", "evaluate"])
def test_other_commands_tell_it(cli: Cli, photographs: Path, tmp_path: Path, command: str) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("left,right,mated\nann/1.png,ann/2.png,1\nann/1.png,bob/1.png,0\nann/2.png,ann/3.png,1\n")
    options = {
        "clean": ["clean", photographs, "--out", tmp_path / "cleaned", "--review", 0],
        "perceive": ["perceive", photographs, "--out", tmp_path / "p.parquet"],
        "evaluate": ["evaluate", "--pairs", pairs, "--data", photographs],
    }[command]
    outcome = cli(*options)
    assert outcome.status == 0, outcome.err
    assert "note: 2 of 4 photographs show several faces; the largest one was taken" in outcome.err


def test_clean_takes_the_central_face_where_asked(cli: Cli, photographs: Path, tmp_path: Path) -> None:
    """ann's third photograph is hers by the central face; by the largest it is a stranger's."""
    kept = []
    for face in ("largest", "central"):
        out = tmp_path / face
        assert cli("clean", photographs, "--out", out, "--face", face, "--review", 0).status == 0
        rows = pq.read_table(out / "cleaned.parquet").to_pylist()
        kept.append("ann/3.png" in [row["file"] for row in rows if row["identity"] == "ann"])
    assert kept == [False, True]
