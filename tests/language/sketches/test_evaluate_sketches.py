"""`nonesuch flip sketches` on faces of no one: its figures, its picture, and what it refuses."""

import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import Tensor

import nonesuch
from nonesuch.core import files, weights
from nonesuch.core.images import Pixels
from nonesuch.flip.card import FlipCard
from nonesuch.flip.word_pieces import learned
from nonesuch.language.sketches import evaluate_sketches as module
from tests.conftest import Cli, succeed
from tests.people import faces_of_no_one

TRAIN, TEST, STEPS = 14, 12, 2
PEOPLE = 7  # of the train part, with two images each


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """faces.tar with faces.csv beside it, captions.parquet, and a flip_tiny that nobody trained."""
    place = tmp_path_factory.mktemp("sketches")
    rows = ["file,identity,split"]
    with tarfile.open(place / "faces.tar", "w") as archive:
        for row, crop in enumerate(faces_of_no_one(TRAIN + TEST, seed=4)):
            Image.fromarray(crop).save(place / "face.png")
            archive.add(place / "face.png", arcname=f"{row:02d}.png")
            rows.append(f"{row:02d}.png,{row % PEOPLE},train" if row < TRAIN else f"{row:02d}.png,{row},test")
    (place / "faces.csv").write_text("\n".join(rows) + "\n")
    names = [f"{row:02d}.png" for row in range(TRAIN + TEST)]
    texts = [f"face {chr(97 + row)}" for row in range(TRAIN + TEST)]
    facts: list[list[str]] = [[] for _ in names]
    pq.write_table(
        pa.table({"file": names, "caption": texts, "facts": pa.array(facts, pa.list_(pa.string()))}),
        place / "captions.parquet",
    )
    _write_tiny(place / "tiny.safetensors", texts)
    return place


def _write_tiny(path: Path, texts: list[str]) -> None:
    below, vocabulary = nonesuch.load_embedder("mobilefacenet").card, learned(texts, 400)
    sizes = {"text": {"words": len(vocabulary), "positions": 65, "width": 32, "depth": 2, "heads": 2, "dropout": 0.1}}
    torch.manual_seed(0)
    network = nonesuch.create_model("flip_tiny", **sizes)
    card = FlipCard(
        name="tiny",
        architecture="flip_tiny",
        sizes=sizes,
        sha256="",
        licence="none, random weights",
        source="tests",
        training_data="none",
        dim=16,
        vocabulary=vocabulary,
        embedder=below.name,
        embedder_sha256=below.sha256,
    )
    weights.save(path, network.state_dict(), card)


def _command(folder: Path, *more: object) -> tuple[object, ...]:
    return "flip", "sketches", folder / "faces.tar", "--model", folder / "tiny.safetensors", "--steps", STEPS, *more


@pytest.fixture(scope="module")
def bare(folder: Path) -> dict[str, Any]:
    """The figures without captions."""
    succeed(*_command(folder, "--json", folder / "bare.json"))
    return files.read_json(folder / "bare.json")


def test_figures_and_picture(cli: Cli, folder: Path, bare: dict[str, Any], tmp_path: Path) -> None:
    found, sheet = tmp_path / "found.json", tmp_path / "sheet.png"
    captions = folder / "captions.parquet"
    outcome = cli(*_command(folder, "--captions", captions, "--json", found, "--out", sheet))
    assert outcome.status == 0, outcome.err
    assert "simulated drawings" in outcome.out
    told = "12 photographs of 12 people, 2 steps; learned from 12 others; the caption's share is"
    assert told in outcome.out
    figures = files.read_json(found)
    assert figures["drawings"] == "simulated"
    assert "sheet" not in figures
    assert figures["chance"]["m_a"] == 0.5
    assert figures["captions"]["m_a"] < 1.0
    with Image.open(sheet) as picture:
        assert picture.size == (9 * 114 - 2, 8 * 114 - 2)
    # Without captions the layers are the same.
    assert bare["trained"] == figures["trained"]
    assert bare["with_captions"] is bare["captions"] is bare["caption_share"] is None


def test_the_seed_decides(cli: Cli, folder: Path, bare: dict[str, Any], tmp_path: Path) -> None:
    for seed in (0, 2):
        assert cli(*_command(folder, "--seed", seed, "--json", tmp_path / f"{seed}.json")).status == 0
    assert files.read_json(tmp_path / "0.json") == bare
    other = files.read_json(tmp_path / "2.json")
    assert other["trained"] != bare["trained"]
    assert other["frozen"] == bare["frozen"]


def test_drawings_that_are_the_photographs_are_always_found(
    cli: Cli, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def the_photograph(order: Tensor, step: int, steps: int) -> Pixels:
        found: Pixels = order.numpy()
        return found

    monkeypatch.setattr(module, "drawing_order", torch.from_numpy)
    monkeypatch.setattr(module, "drawn_until", the_photograph)
    assert cli(*_command(folder, "--json", tmp_path / "found.json")).status == 0
    figures = files.read_json(tmp_path / "found.json")
    for judge in ("frozen", "trained"):
        assert (figures[judge]["m_a"], figures[judge]["m_b"]) == (1.0, 1.0)
        assert figures[judge]["wm_a"] == pytest.approx(np.exp([-0.5, -1.0]).mean())


def test_sources_without_what_is_needed(cli: Cli, folder: Path, tmp_path: Path) -> None:
    table = (folder / "faces.csv").read_text()

    def refused(rows: str) -> str:
        shutil.copy(folder / "faces.tar", tmp_path)
        (tmp_path / "faces.csv").write_text(rows)
        return cli("flip", "sketches", tmp_path / "faces.tar").error

    assert "names none of the images of faces.tar in the split test" in refused(table.replace("test", "train"))
    assert "1 photographs in the split train; at least 11 are needed" in refused(
        "file,identity,split\n00.png,0,train\n01.png,0,test\n"
    )
    few = "\n".join(table.splitlines()[:-4])
    assert "8 photographs in the split test; at least 11 are needed" in refused(few)
    one = "\n".join(f"{row.split(',')[0]},0,train" if row.endswith("train") else row for row in table.splitlines())
    assert "too few people in the split train" in refused(one)
    whole = "\n".join(row.rpartition(",")[0] for row in table.splitlines())
    assert "has no parts; put a table beside it whose column split says train or test" in refused(whole)


def test_captions_and_places_that_do_not_fit(cli: Cli, folder: Path, tmp_path: Path) -> None:
    command = _command(folder)
    full, some, others = pq.read_table(folder / "captions.parquet"), tmp_path / "some.parquet", tmp_path / "no.parquet"
    pq.write_table(full.slice(0, TRAIN + TEST - 2), some)
    assert "has no caption of 24.png and 1 more; caption them" in cli(*command, "--captions", some).error
    pq.write_table(full.set_column(0, "file", [[f"x{row}" for row in range(len(full))]]), others)
    assert "no image has a caption" in cli(*command, "--captions", others).error
    for option in ("--json", "--out"):
        assert "its folder does not exist" in cli(*command, option, tmp_path / "none" / "file").error
