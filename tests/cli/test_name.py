"""Naming faces through the command line, on planted people."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import nonesuch
from nonesuch.measures.figure import SHARE
from tests.conftest import Cli
from tests.language.naming.planted import PEOPLE, WIDTH, plant, write_records, write_vectors

LONG = ("--epochs", 24, "--batch", 32, "--lr", 3e-3)


@pytest.mark.parametrize(("method", "options"), [("em", ()), ("both", LONG), ("secla", LONG), ("secla-b", LONG)])
def test_planted_names_are_found(cli: Cli, tmp_path: Path, method: str, options: tuple[object, ...]) -> None:
    records = plant(tmp_path, 140, held_out=0.2)
    given = ["name", tmp_path / "records.jsonl", "--vectors", tmp_path / "vectors.parquet", "--out", tmp_path / "named"]
    outcome = cli(*given, "--method", method, *options)
    assert outcome.status == 0, outcome.err
    rows = pq.read_table(tmp_path / "named" / "names.parquet").to_pylist()
    truth = {
        (record["image"], face): (name, record["split"])
        for record in records
        for face, name in enumerate(record["truth"], 1)
    }
    assert [(row["image"], row["face"]) for row in rows] == list(truth)
    right = [row["name"] == truth[row["image"], row["face"]][0] for row in rows]
    held_out = [truth[row["image"], row["face"]][1] == "test" for row in rows]
    assert np.mean(right) > 0.85
    assert np.mean(np.array(right)[held_out]) > 0.8
    for row in rows:
        assert row["name"] is None or row["score"] > 0
    assert f"of {len({row['image'] for row, held in zip(rows, held_out, strict=True) if held})} held-out" in outcome.out
    assert f"faces named rightly: {SHARE.write(float(np.mean(np.array(right)[held_out])))}" in outcome.out


def test_an_interrupted_run_goes_on_to_the_same_names(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, 60)
    given = ["name", tmp_path / "records.jsonl", "--vectors", tmp_path / "vectors.parquet", "--epochs", 4]
    given += ["--batch", 16, "--method", "secla-b"]
    assert cli(*given, "--out", tmp_path / "whole").status == 0
    from nonesuch.language.naming.training import NamingTask

    losses, calls = NamingTask.losses, 0

    def interrupted(self: NamingTask, *batch: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 9:
            raise KeyboardInterrupt
        return losses(self, *batch)  # type: ignore[arg-type]

    monkeypatch.setenv("NONESUCH_CHECKPOINT_SECONDS", "0")
    monkeypatch.setattr(NamingTask, "losses", interrupted)
    assert cli(*given, "--out", tmp_path / "parts").status == 130
    assert not (tmp_path / "parts" / "names.parquet").exists()
    assert cli(*given, "--out", tmp_path / "parts").status == 0
    tables = [(tmp_path / name / "names.parquet").read_bytes() for name in ("whole", "parts")]
    assert tables[0] == tables[1]
    # A finished run is not trained again.
    before = calls
    assert cli(*given, "--out", tmp_path / "parts").status == 0
    assert calls == before


def test_crops_parquet_and_faces_by_number(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = ["a.jpg", "a.jpg", "crop.png", "none.jpg"]
    write_vectors(
        tmp_path / "vectors.parquet", files, [*rng.normal(size=(3, WIDTH)).astype(np.float32), None], [1, 2, 1, 0]
    )
    lines = [
        {"image": "a.jpg", "faces": [2], "names": ["Ann Abel", "ann  ABEL"]},
        {"image": "b.jpg", "faces": ["crop.png", "none.jpg"], "names": ["Bo Birk"], "truth": ["Bo Birk", None]},
        {"image": "c.jpg", "names": ["Cleo Coy"]},
    ]
    write_records(tmp_path / "records.jsonl", lines)
    found = nonesuch.name_faces(tmp_path / "records.jsonl", tmp_path / "vectors.parquet", tmp_path / "a", method="em")
    rows = pq.read_table(found.table).to_pylist()
    assert [(row["image"], row["face"], row["file"]) for row in rows] == [
        ("a.jpg", 2, "a.jpg"),
        ("b.jpg", 1, "crop.png"),
    ]
    assert (found.images, found.faces, found.held_out) == (3, 2, False)
    assert found.figures is not None
    assert found.figures.faces == 1
    pq.write_table(pa.Table.from_pylist([{**line, "faces": None} for line in lines]), tmp_path / "records.parquet")
    again = nonesuch.name_faces(tmp_path / "records.parquet", tmp_path / "vectors.parquet", tmp_path / "b", method="em")
    assert again.faces == 2


GOOD = {"image": "0.jpg", "names": [PEOPLE[0]]}
BAD = [
    ([{"image": "0.jpg", "caption": "Ann smiles."}], "line 1: lacks names; a caption's names are needed"),
    ([{**GOOD, "names": []}], "no record holds a name"),
    ([{**GOOD, "names": [" "]}], "line 1: ' ' is no name"),
    ([{**GOOD, "names": [""]}], "line 1: '' is no name"),
    ([{**GOOD, "names": "Ann"}], "names must be a list"),
    ([GOOD, GOOD], "line 2: 0.jpg is there twice"),
    ([{**GOOD, "image": "absent.jpg"}], "no image has a face among the vectors"),
    ([{**GOOD, "faces": ["absent.jpg"]}], "'absent.jpg' is no file of the vectors"),
    ([{**GOOD, "faces": [7]}], "the vectors hold no face 7 of 0.jpg"),
    ([{**GOOD, "truth": []}], "truth has 0 entries"),
    ([{**GOOD, "faces": [1], "truth": ["Nobody"]}], "the truth 'Nobody' is not among the names"),
    ([{**GOOD, "split": "test"}], "no record to learn from"),
    ([{"names": ["Ann"]}], "image must be the name of the image"),
    ([], "holds no records"),
]


@pytest.mark.parametrize(("records", "message"), BAD)
def test_bad_records_end_in_one_line(cli: Cli, tmp_path: Path, records: list[dict[str, object]], message: str) -> None:
    plant(tmp_path, 4)
    write_records(tmp_path / "bad.jsonl", records)
    outcome = cli("name", tmp_path / "bad.jsonl", "--vectors", tmp_path / "vectors.parquet", "--out", tmp_path / "out")
    assert outcome.status == 1
    assert message in outcome.error
    assert not (tmp_path / "out").exists()


def test_other_bad_input_ends_in_one_line(cli: Cli, tmp_path: Path) -> None:
    plant(tmp_path, 40)
    vectors, out = tmp_path / "vectors.parquet", tmp_path / "out"
    (tmp_path / "bad.jsonl").write_bytes(b'{"image": "\xff"}')
    assert "not JSON" in cli("name", tmp_path / "bad.jsonl", "--vectors", vectors, "--out", out).error
    assert "a folder; records are a file" in cli("name", tmp_path, "--vectors", vectors, "--out", out).error
    records = tmp_path / "records.jsonl"
    assert "no such table" in cli("name", records, "--vectors", tmp_path / "absent", "--out", out).error
    assert "a file; --out names a folder" in cli("name", records, "--vectors", vectors, "--out", records).error
    write_records(tmp_path / "one.jsonl", [GOOD])
    given = ["name", tmp_path / "one.jsonl", "--vectors", vectors, "--out", out]
    assert "one record with faces and names is too few" in cli(*given).error
    assert "begins with records of one face and one name, and there are 0" in cli(*given, "--method", "secla-b").error
    assert not out.exists()


def test_vectors_of_another_model_are_not_mixed(cli: Cli, tmp_path: Path) -> None:
    plant(tmp_path, 20)
    given = ["name", tmp_path / "records.jsonl", "--out", tmp_path / "named", "--epochs", 1, "--batch", 8]
    assert cli(*given, "--vectors", tmp_path / "vectors.parquet").status == 0
    table = pq.read_table(tmp_path / "vectors.parquet")
    other = {**table.schema.metadata, b"embedder_sha256": b"cd"}
    pq.write_table(table.replace_schema_metadata(other), tmp_path / "other.parquet")
    error = cli(*given, "--vectors", tmp_path / "other.parquet").error
    assert "holds a run with embedder ab, not cd" in error
    assert json.loads((tmp_path / "named" / "secla" / "settings.json").read_text())["what"]["embedder"] == "ab"
