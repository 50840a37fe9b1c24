"""`nonesuch caption-report` on tables of captions and text files with planted faults."""

import gzip
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import nonesuch
from nonesuch.captions.writing import SCHEMA
from tests.conftest import Cli
from tests.language_model import small_language_model

ROWS = [
    ("a.png", "This is a young man. He wears glasses.", ["young", "male", "eyeglasses"], None),
    ("b.png", "This is a woman. She is smiling.", ["female", "smiling"], None),
    ("c.png", "This is a man. He has a goatee.", ["male"], None),  # a fact too many in the text
    ("d.png", "This is a woman.", ["female", "smiling"], "small"),  # one that the text lacks
    ("e.png", None, ["female"], None),
]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    columns = {"file": [row[0] for row in ROWS], "caption": [row[1] for row in ROWS], "facts": [row[2] for row in ROWS]}
    columns |= {"clauses": [[]] * len(ROWS), "grammar": [None] * len(ROWS), "rewritten_by": [row[3] for row in ROWS]}
    path = tmp_path / "captions.parquet"
    schema = pa.schema([("file", pa.string()), *SCHEMA])
    pq.write_table(pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema), path)
    return path


def test_planted_faults_are_found(cli: Cli, table: Path, tmp_path: Path) -> None:
    labels, out, found = tmp_path / "labels.csv", tmp_path / "page.html", tmp_path / "figures.json"
    labels.write_text("file,Male,Smiling\na.png,1,1\nb.png,0,0\nc.png,1,0\nd.png,1,1\n")
    text = tmp_path / "others.txt.gz"
    text.write_bytes(gzip.compress(b"A smiling man.\n\nA man with blue eyes. He is smiling.\nA smiling man.\n"))
    outcome = cli("caption-report", table, text, "--labels", labels, "--out", out, "--json", found)
    assert outcome.status == 0, outcome.err
    ours, others = json.loads(found.read_text())
    assert (ours["images"], ours["text"]["texts"], ours["text"]["longest"]) == (5, 4, 8)
    assert ours["read_back"]["grammar"] == {"read": 3, "understood": 1.0, "hallucinated": 1 / 3, "omitted": 0.0}
    assert ours["read_back"]["rewritten"] == {"read": 1, "understood": 1.0, "hallucinated": 0.0, "omitted": 1.0}
    # Stated of what is known: male, female + smiling, male, female + smiling; b does not smile, d is a man.
    assert ours["labels"]["stated"] == 6
    assert ours["labels"]["wrong"] == pytest.approx(2 / 6)
    # So: male and smiling of a, female of b, male of c, male and smiling of d; a's smile and d's male are not stated.
    assert ours["labels"]["missing"] == pytest.approx(2 / 6)
    assert ours["shares"]["female"] == 0.5
    assert others["read_back"] == {"text": {"read": 3, "understood": 2 / 3, "hallucinated": None, "omitted": None}}
    assert others["text"]["distinct"] == pytest.approx(2 / 3)
    assert others["shares"]["smiling"] == 1.0  # one sentence of the second is understood
    page = out.read_text()
    assert "captions.parquet" in page
    assert "<svg" in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_a_table_that_other_tools_wrote_in_parts(cli: Cli, table: Path, tmp_path: Path) -> None:
    """Parts of two rows each, as DuckDB and others write them: pyarrow cannot join lists of words across parts."""
    parts = tmp_path / "parts.parquet"
    pq.write_table(pq.read_table(table), parts, row_group_size=2)
    whole, again = tmp_path / "whole.json", tmp_path / "parts.json"
    for source, found in ((table, whole), (parts, again)):
        outcome = cli("caption-report", source, "--json", found, "--out", tmp_path / "page.html")
        assert outcome.status == 0, outcome.err
    first, second = (json.loads(found.read_text())[0] for found in (whole, again))
    assert {**second, "name": first["name"]} == first


def test_wrong_inputs(cli: Cli, table: Path, tmp_path: Path) -> None:
    assert "no such file or folder" in cli("caption-report", tmp_path / "nothing").error
    assert "neither a dataset of nonesuch, nor a table" in cli("caption-report", tmp_path).error
    empty = tmp_path / "empty.txt"
    empty.write_text("\n\n")
    assert "holds no captions; 'nonesuch caption' makes some" in cli("caption-report", empty).error
    empty.write_bytes("schön\n".encode("latin-1"))
    assert "not UTF-8" in cli("caption-report", table, empty).error
    pq.write_table(pa.table({"file": ["a"]}), tmp_path / "bare.parquet")
    assert "not a table of captions; it has file" in cli("caption-report", tmp_path / "bare.parquet").error
    assert "--reader klingon: no such file" in cli("caption-report", table, "--reader", "klingon").error
    bare = cli("caption-report", table, "--likelihood", tmp_path, "--out", tmp_path / "page.html")
    assert re.search("--likelihood .*(no language model of transformers|pip install)", bare.error)
    assert not (tmp_path / "captions.html").exists()


def test_naturalness_of_texts_of_equal_facts(cli: Cli, table: Path, tmp_path: Path) -> None:
    """Beside the grammar's: the sum over tokens that transformers' own loss gives, of texts that state the same."""
    text, found = tmp_path / "others.txt", tmp_path / "figures.json"
    others = ["A young man with glasses.", "A man with a hat."]
    text.write_text("\n".join(others))
    words = sorted(set(re.findall(r"\w+|\.", f"{ROWS[0][1]} {' '.join(others)}")))
    folder = small_language_model(tmp_path / "model", words, chat=False)
    options = ("--likelihood", folder, "--json", found, "--out", tmp_path / "page.html")
    outcome = cli("caption-report", table, text, *options)
    assert outcome.status == 0, outcome.err
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForCausalLM.from_pretrained(folder)
    nats = []
    for one in (ROWS[0][1], others[0]):
        ids = torch.tensor([[tokenizer.eos_token_id, *tokenizer(one)["input_ids"]]])
        nats.append(network(ids, labels=ids).loss.item() * (ids.shape[1] - 1))
    ours, theirs = json.loads(found.read_text())
    assert (ours["naturalness"].keys(), ours["naturalness"]["rewritten"]["sets"]) == ({"rewritten"}, 1)
    assert theirs["naturalness"]["text"]["sets"] == 1  # of the hat's facts the first source has no text
    assert theirs["naturalness"]["text"]["nats"] == pytest.approx(nats[1] - nats[0], abs=1e-3)
    assert theirs["naturalness"]["text"]["likelier"] == float(nats[1] < nats[0])
    assert "more improbable, text" in outcome.out
    text.write_text("Lorem ipsum.")
    assert "nothing to compare" in cli("caption-report", text, *options).err


def test_in_python(table: Path, tmp_path: Path) -> None:
    found = nonesuch.report_captions(table, out=tmp_path / "page.html", most=2)
    assert found.figures[0].text.texts == 2
    assert found.figures[0].labels is None
