"""`nonesuch caption` on datasets, photographs and tables, with planted columns."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import nonesuch
from nonesuch import load_perceiver
from nonesuch.captions.captioned import GROUP
from nonesuch.captions.facts import NAMES
from nonesuch.captions.grammar import LANGUAGES
from nonesuch.formats.columns import read_columns, write_columns
from nonesuch.perception.perceiver import COLUMNS
from tests.conftest import Cli
from tests.people import faces_of_no_one
from tests.scripted import Scripted

_SEEN = {
    "male": 0.99,
    "young": 0.99,
    "smiling": 0.99,
    "mouth_slightly_open": 0.99,
    "eyeglasses": 0.99,
    "no_beard": 0.99,
}
_STATED = {"male", "young", "smiling", "mouth_slightly_open", "eyeglasses", "no_beard", "turned_right"}


def _columns(count: int, **other: float) -> pa.Table:
    """What perception heads say of so many images that are all alike: a young man with glasses, turned, who smiles."""
    values = dict.fromkeys(COLUMNS, 0.4) | {"yaw": 25.0, "age": 30.0, "quality": 50.0} | _SEEN | other
    columns = {name: pa.array([value] * count, pa.float32()) for name, value in values.items()}
    words = {"gender": pa.array(["male"] * count), "ethnicity": pa.array(["other"] * count)}
    return pa.table({name: words.get(name, columns[name]) for name in COLUMNS})


@pytest.fixture
def dataset(cli: Cli, tmp_path: Path, tiny_generator: Path) -> Path:
    """Six images in three shards, with planted perception columns."""
    out = tmp_path / "faces"
    options = ["--identities", 6, "--images", 1, "--shard-images", 2, "--no-summary", "--generator", tiny_generator]
    assert cli("generate", out, *options).status == 0
    for shard in range(3):
        write_columns(out, "perception", shard, load_perceiver(device="cpu").card.sha256, _columns(2))
    return out


def test_a_dataset_gets_captions_whose_clauses_say_their_facts(cli: Cli, dataset: Path) -> None:
    outcome = cli("caption", dataset)
    assert outcome.status == 0, outcome.err
    assert "6 of 6 images have a caption" in outcome.out
    assert "no words in this grammar: attractive" in outcome.out
    found = read_columns(dataset, GROUP).to_pylist()
    for row in found:
        assert set(row["facts"]) == _STATED
        assert {clause["fact"] for clause in row["clauses"]} == _STATED
        words = {clause["fact"]: row["caption"][clause["start"] : clause["end"]] for clause in row["clauses"]}
        assert (words["male"], words["young"]) == ("man", "young")
        assert words["eyeglasses"] in ("glasses", "eyeglasses")
        assert "right" in words["turned_right"]
    assert len({row["caption"] for row in found}) > 1
    (figures,) = nonesuch.report_captions(dataset, out=dataset.parent / "page.html").figures
    assert (figures.images, figures.quality, figures.read_back["grammar"].understood) == (6, 50.0, 1.0)
    assert cli("verify", dataset).status == 0


def test_the_same_words_again_and_others_by_seed_and_language(cli: Cli, dataset: Path) -> None:
    texts = []
    for options in ([], ["--seed", 1], [], ["--grammar", "german"]):
        assert cli("caption", dataset, *options).status == 0
        texts.append(read_columns(dataset, GROUP)["caption"].to_pylist())
    assert texts[0] == texts[2]
    assert texts[0] != texts[1]
    assert all("Mann" in text for text in texts[3])


def test_what_is_done_is_not_done_again(cli: Cli, dataset: Path) -> None:
    assert cli("caption", dataset).status == 0
    first, second = (dataset / "columns" / GROUP / f"00000{shard}.parquet" for shard in (0, 1))
    before, whole = first.stat().st_mtime_ns, second.read_bytes()
    second.write_bytes(whole[: len(whole) // 2])
    assert nonesuch.caption_faces(dataset).counts.written == 2
    assert (first.stat().st_mtime_ns, second.read_bytes()) == (before, whole)


def test_a_killed_job_goes_on(dataset: Path) -> None:
    slow = "import sys, time; from nonesuch.captions import captioned; write = captioned.write_columns\n"
    slow += "captioned.write_columns = lambda *given: (write(*given), time.sleep(60))\n"
    slow += "from nonesuch.cli.app import main; sys.argv = ['nonesuch', 'caption', sys.argv[1]]; main()"
    run = subprocess.Popen([sys.executable, "-c", slow, str(dataset)], stderr=subprocess.DEVNULL)
    first = dataset / "columns" / GROUP / "000000.parquet"
    until = time.monotonic() + 60
    while not first.exists() and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    found = nonesuch.caption_faces(dataset)
    assert (found.counts.written, found.counts.captioned) == (4, 6)


def test_labels_take_precedence(cli: Cli, dataset: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    keys = read_columns(dataset, "perception")["key"].to_pylist()
    with labels.open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["key", "Smiling", "Bald", "yaw"])
        writer.writerow([keys[0], 0, 1, 0])
        writer.writerow([keys[1], "", "", ""])
    assert cli("caption", dataset, "--labels", labels).status == 0
    found = read_columns(dataset, GROUP).to_pylist()
    assert set(found[0]["facts"]) == (_STATED - {"smiling", "turned_right"}) | {"not_smiling", "bald", "facing_camera"}
    assert "bald" in found[0]["caption"]
    assert all(set(row["facts"]) == _STATED for row in found[1:])


def test_photographs_and_the_table_of_perceive(cli: Cli, tmp_path: Path) -> None:
    folder, out, seen = tmp_path / "photographs", tmp_path / "captions.parquet", tmp_path / "seen.parquet"
    folder.mkdir()
    for number, crop in enumerate(faces_of_no_one(2, 21)):
        Image.fromarray(crop).save(folder / f"{number}.png")
    Image.new("RGB", (200, 200), (9, 99, 9)).save(folder / "meadow.png")
    outcome = cli("caption", folder, "--out", out, "--least", 1)
    assert outcome.status == 0, outcome.err
    assert "2 of 3 images have a caption" in outcome.out
    assert "1 without: no face found" in outcome.out
    rows = pq.read_table(out).to_pylist()
    assert [row["file"] for row in rows] == ["0.png", "1.png", "meadow.png"]
    assert rows[2]["caption"] is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["captions.parquet", "photographs"]
    assert cli("perceive", folder, "--out", seen).status == 0
    again = nonesuch.caption_faces(seen, out=tmp_path / "again.parquet", least=1).counts
    assert (again.images, again.captioned, again.faceless) == (3, 2, 1)
    assert pq.read_table(tmp_path / "again.parquet").equals(pq.read_table(out))


def test_images_with_few_facts_get_none(dataset: Path) -> None:
    found = nonesuch.caption_faces(dataset, least=len(_STATED) + 1).counts
    assert (found.captioned, found.images, found.first) == (0, 6, [])
    assert read_columns(dataset, GROUP)["caption"].null_count == 6
    assert set(read_columns(dataset, GROUP)["facts"][0].as_py()) == _STATED


def test_calibrating_writes_thresholds_that_caption_takes(cli: Cli, tmp_path: Path, training_data: Path) -> None:
    out = tmp_path / "thresholds.json"
    outcome = cli("calibrate-captions", out, "--data", training_data / "people.tar")
    assert outcome.status == 0, outcome.err
    assert "thresholds of 36 photographs" in outcome.out
    crop = tmp_path / "0.png"
    Image.fromarray(faces_of_no_one(1, 21)[0]).save(crop)
    found = nonesuch.caption_faces(crop, out=tmp_path / "captions.parquet", thresholds=out)
    assert found.counts.captioned == 0  # ages alone give no threshold for six facts
    assert {"male", "smiling"} <= set(found.never)


def test_wrong_inputs(cli: Cli, tmp_path: Path, dataset: Path, training_data: Path) -> None:
    out = tmp_path / "captions.parquet"
    assert "no such file or folder" in cli("caption", tmp_path / "nothing").error
    assert "name the table to write with --out" in cli("caption", training_data / "people.tar").error
    assert (
        "no such file; grammars that ship: english, everyday, german"
        in cli("caption", dataset, "--grammar", "klingon").error
    )
    own = tmp_path / "own.txt"
    own.write_text((LANGUAGES / "english.txt").read_text(encoding="utf-8").replace("male = man", "mann = man", 1))
    assert "'mann' is no fact" in cli("caption", dataset, "--grammar", own).error
    bare = tmp_path / "labels.csv"
    bare.write_text("file,beauty\na.png,1\n")
    assert "none of its columns is a label of captions" in cli("caption", dataset, "--labels", bare).error
    bare.write_text("beauty,Smiling\n1,1\n")
    assert "lacks a column file or key" in cli("caption", dataset, "--labels", bare).error
    bare.write_bytes("file,Smiling\nä.png,1\n".encode("latin-1"))
    assert cli("caption", dataset, "--labels", bare).status == 1
    Image.new("RGB", (200, 200), (9, 99, 9)).save(tmp_path / "meadow.png")
    assert "none of 1 photographs shows a face" in cli("caption", tmp_path / "meadow.png", "--out", out).error
    seen = tmp_path / "seen.parquet"
    table = _columns(2).add_column(0, "file", pa.array(["a", "b"]))
    pq.write_table(table.replace_schema_metadata({b"made_by": b"others"}), seen)
    assert "perceived by other heads" in cli("caption", seen, "--out", out).error
    splits = ["--split", "a", "--split", "b"]
    assert (
        "2 of them for 1 tars" in cli("calibrate-captions", out, "--data", training_data / "people.tar", *splits).error
    )
    assert not out.exists()


def test_steering_that_reached_its_target_is_known() -> None:
    from nonesuch.captions.known import steered_truth

    columns = {
        "smiling_low": [0.7, 0.7, None, 0.3],
        "smiling_high": [1.0, 1.0, None, 0.9],
        "yaw_low": [-3.0, 20.0, None, None],
        "yaw_high": [3.0, 30.0, None, None],
        "gender_low": [0.7, 0.7, 0.7, None],
        "gender_high": [1.0, 1.0, 1.0, None],
        "accepted": [True, False, True, True],
    }
    found = steered_truth(pa.table(columns))
    told = [{name: bool(value) for name, value in zip(NAMES, row, strict=True) if np.isfinite(value)} for row in found]
    smile, ahead = {"smiling": True, "not_smiling": False}, {"facing_camera": True}
    woman = {"male": False, "female": True}
    assert told == [{**smile, **ahead, **woman, "turned_left": False, "turned_right": False}, {}, woman, {}]


def test_rewriting_needs_a_server_and_a_reader(cli: Cli, dataset: Path, tmp_path: Path) -> None:
    down = ["--rewrite", "http://127.0.0.1:1/v1"]
    assert "start the server, and give the address" in cli("caption", dataset, *down).error
    own = tmp_path / "own.txt"
    own.write_text((LANGUAGES / "english.txt").read_text(encoding="utf-8"), encoding="utf-8")
    assert "is read back by own.lark beside the grammar" in cli("caption", dataset, "--grammar", own, *down).error
    error = cli("caption", dataset, "--grammar", "everyday", *down).error
    assert "read back by everyday.lark beside the grammar, and there is none: take --grammar english" in error


def test_rewritten_captions_say_by_whom(cli: Cli, dataset: Path, scripted: Scripted) -> None:
    scripted.answer = lambda sentence: sentence.replace("She wears", "She is wearing").replace(
        "He wears", "He's wearing"
    )
    options = ["--rewrite", scripted.address, "--rewrite-model", "small"]
    outcome = cli("caption", dataset, *options, "--rewrite-most", 3)
    assert "rewriting: 3 questions" in outcome.out
    assert cli("caption", dataset, *options).status == 0  # goes on where the questions ended
    found = read_columns(dataset, GROUP).to_pylist()
    assert {row["rewritten_by"] for row in found} <= {"small", None}
    assert any("He's wearing" in row["caption"] for row in found if row["rewritten_by"])
    assert all({clause["fact"] for clause in row["clauses"]} == _STATED for row in found)
