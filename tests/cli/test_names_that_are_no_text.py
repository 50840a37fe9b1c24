"""Names of files that are not UTF-8: every command that reads photographs takes them, nothing is lost."""

import csv
import json
import os
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from nonesuch.formats.readers import find
from tests.cli.trainings import arguments_of, options_of
from tests.conftest import Cli
from tests.people import faces_of_no_one

PERSON, FILE = "r\\xe9mi", "r\\xe9mi/\\xff0.png"  # as they are told


@pytest.fixture(scope="module")
def people(training_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six people in people/ and people.tar with a table, one named in Latin-1; iresnet.safetensors."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("iresnet.safetensors", "iresnet.json"):
        (folder / name).symlink_to(training_data / name)
    names = [os.fsdecode(b"r\xe9mi"), *(f"person{number}" for number in range(5))]
    for row, crop in enumerate(faces_of_no_one(6, 5, 6, sigma=0.3)):
        person = folder / "people" / names[row // 6]
        person.mkdir(parents=True, exist_ok=True)
        prefix = os.fsdecode(b"\xff") if row < 6 else ""
        Image.fromarray(crop).save(person / f"{prefix}{row % 6}.png")
    with tarfile.open(folder / "people.tar", "w") as archive, (folder / "people.csv").open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["file", "age", "gender", "ethnicity"])
        for number, item in enumerate(find(folder / "people")):
            archive.add(folder / "people" / os.fsdecode(_raw(item.name)), arcname=os.fsdecode(_raw(item.name)))
            writer.writerow([item.name, 20 + number, number % 2, number % 5])
    return folder


def _raw(told: str) -> bytes:
    return told.encode("ascii", "surrogateescape").replace(b"\\xe9", b"\xe9").replace(b"\\xff", b"\xff")


def test_evaluate(cli: Cli, people: Path, tmp_path: Path) -> None:
    listed = tmp_path / "people.txt"
    listed.write_text(f"{PERSON}\nperson0\nperson1\n")
    pairs = tmp_path / "pairs.csv"
    rows = ("r\\xe9mi/\\xff1.png,1,1", "person0/0.png,0,1", "r\\xe9mi/\\xff2.png,1,2", "person1/0.png,0,2")
    pairs.write_text("left,right,mated,fold\n" + "".join(f"{FILE},{row}\n" for row in rows))
    for options in ([], ["--people", listed], ["--pairs", pairs]):
        out = tmp_path / "figures.json"
        outcome = cli("evaluate", "--data", people / "people", *options, "--json", out, "--report", tmp_path / "r.html")
        assert outcome.status == 0, outcome.err
        assert json.loads(out.read_text())["test"]["images"].endswith("people")


def test_perceive(cli: Cli, people: Path, tmp_path: Path) -> None:
    for source in (people / "people", people / "people.tar"):
        outcome = cli("perceive", source, "--out", tmp_path / "table.parquet")
        assert outcome.status == 0, outcome.err
        rows = pq.read_table(tmp_path / "table.parquet").to_pylist()
        assert {row["file"] for row in rows} >= {FILE, "person0/0.png"}


def test_audit(cli: Cli, people: Path, tmp_path: Path) -> None:
    options = ["--against", people / "people.tar", "--show-photographs", "--embedder", "mobilefacenet"]
    outcome = cli("audit", people / "people", *options, "--out", tmp_path / "audit")
    assert outcome.status == 0, outcome.err
    assert PERSON in next((tmp_path / "audit").glob("*.html")).read_text()


@pytest.mark.parametrize("command", ["train-generator", "train-perceiver", "recognize train", "recognize adapt"])
def test_trainings(cli: Cli, people: Path, tmp_path: Path, command: str) -> None:
    excluded = tmp_path / "excluded.txt"
    excluded.write_text("r\\xe9mi/\\xff5.png\n")
    options = arguments_of({**options_of(people, command), "exclude": excluded})
    for _ in range(2):  # the second call resumes what is done
        outcome = cli(*command.split(), tmp_path / "run", *options)
        assert outcome.status == 0, outcome.err
    table = pq.read_table(tmp_path / "run" / "images.parquet").to_pydict()
    assert FILE in table["file"]
    assert "r\\xe9mi/\\xff5.png" not in table["file"]
