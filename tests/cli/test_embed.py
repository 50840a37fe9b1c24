"""Photographs of people who don't exist, through the command line."""

import re
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nonesuch import load_embedder
from nonesuch.embedders.embedder import Embedder
from nonesuch.measures.similarity import normalised
from tests.conftest import Cli
from tests.people import faces_of_no_one


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return faces_of_no_one(3, 21)


@pytest.fixture
def photographs(crops: np.ndarray, tmp_path: Path) -> Path:
    """Two photographs to be aligned, one aligned crop, one without a face, one damaged."""
    folder = tmp_path / "photos"
    for name, crop in zip(["ann/1.png", "bob/1.png", "cy/1.png"], crops, strict=True):
        (folder / name).parent.mkdir(parents=True)
        if name.startswith("cy"):
            Image.fromarray(crop).save(folder / name)
            continue
        canvas = Image.new("RGB", (420, 360), (110, 110, 110))
        canvas.paste(Image.fromarray(crop).resize((224, 224), Image.Resampling.BICUBIC), (90, 60))
        canvas.save(folder / name)
    Image.new("RGB", (200, 200), (9, 99, 9)).save(folder / "meadow.png")
    (folder / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


def test_faces_are_found_aligned_and_embedded(cli: Cli, photographs: Path, crops: np.ndarray, tmp_path: Path) -> None:
    outcome = cli("embed", photographs, "--out", tmp_path / "v.parquet", "--crops", tmp_path / "crops")
    assert outcome.status == 0
    assert "skipped: meadow.png: no face found" in outcome.err
    assert "skipped: torn.jpg: not a readable image" in outcome.err
    assert "3 of 5 photographs embedded by mobilefacenet" in outcome.out

    table = pq.read_table(tmp_path / "v.parquet")
    embedder = load_embedder("mobilefacenet", "cpu")
    assert table.schema.metadata[b"embedder_sha256"].decode() == embedder.card.sha256
    rows = {row["file"]: row for row in table.to_pylist()}
    assert {name: row["detected"] for name, row in rows.items()} == {
        "ann/1.png": True, "bob/1.png": True, "cy/1.png": True, "meadow.png": False, "torn.jpg": False,
    }  # fmt: skip
    assert rows["meadow.png"]["embedding"] is None
    assert rows["ann/1.png"]["identity"] == "ann"
    direct = embedder.embed(crops)
    for name, vector in zip(["ann/1.png", "bob/1.png", "cy/1.png"], direct, strict=True):
        found = np.array(rows[name]["embedding"], dtype=np.float32)
        cosine = float(normalised(found[None])[0] @ normalised(vector[None])[0])
        assert cosine > (0.999 if name.startswith("cy") else 0.85)
    written = sorted(path.relative_to(tmp_path / "crops").as_posix() for path in (tmp_path / "crops").rglob("*.png"))
    assert written == ["ann/1.png", "bob/1.png", "cy/1.png"]
    assert Image.open(tmp_path / "crops" / "ann" / "1.png").size == (112, 112)


def test_crops_count_as_aligned_unless_told_otherwise(cli: Cli, photographs: Path, tmp_path: Path) -> None:
    Image.new("RGB", (112, 112), (9, 99, 9)).save(photographs / "blank.png")
    for options, detected in (([], True), (["--align"], False)):
        assert cli("embed", photographs, "--out", tmp_path / "v.parquet", *options).status == 0
        rows = {row["file"]: row for row in pq.read_table(tmp_path / "v.parquet").to_pylist()}
        assert rows["blank.png"]["detected"] is detected


def test_a_dataset_from_references_says_that_it_shows_real_people(
    cli: Cli, photographs: Path, tmp_path: Path, tiny_generator: Path
) -> None:
    import json

    out = tmp_path / "faces"
    options = ["--generator", tiny_generator, "--images", 4, "--no-summary"]
    for source in (["--reference", photographs], ["--vectors", tmp_path / "v.parquet"]):
        assert cli("embed", photographs, "--out", tmp_path / "v.parquet").status == 0
        outcome = cli("generate", out, *source, *options)
        assert outcome.status == 0, outcome.err
        manifest = json.loads((out / "dataset.json").read_text())
        assert manifest["shows_real_people"] is True
        assert "REAL PEOPLE" in manifest["description"]
        assert "no one" not in manifest["description"]
        assert "REAL PEOPLE" in outcome.out
        assert manifest["options"]["sigma_mix"] == {"0.2": 1.0}
        assert pq.read_table(out / "identities.parquet")["name"].to_pylist() == ["ann", "bob", "cy"]
        assert cli("verify", out).status == 0
        out = tmp_path / "faces2"


def test_the_summary_shows_both_embedders(cli: Cli, tmp_path: Path) -> None:
    outcome = cli("generate", tmp_path / "faces", "--identities", 3, "--images", 2, "--fmr", "1e-4")
    assert outcome.status == 0, outcome.err
    for name in ("mobilefacenet", "dlib_resnet"):
        assert re.search(rf"{name} .*\d\.\d\d\d.*%", outcome.out)


def test_vectors_from_the_identities_command_show_no_one(cli: Cli, tmp_path: Path, tiny_generator: Path) -> None:
    import json

    table, options = tmp_path / "v.parquet", ["--generator", tiny_generator]
    assert cli("identities", table, "--identities", 6, "--seed", 9, *options).status == 0
    assert cli("generate", tmp_path / "a", "--vectors", table, "--images", 2, "--no-summary", *options).status == 0
    assert json.loads((tmp_path / "a" / "dataset.json").read_text())["shows_real_people"] is False
    # The same identities as sampled on the way.
    direct = ["--identities", 6, "--seed", 9, "--images", 2, "--no-summary"]
    assert cli("generate", tmp_path / "b", *direct, *options).status == 0
    vectors = [pq.read_table(tmp_path / name / "identities.parquet")["embedding"].to_pylist() for name in ("a", "b")]
    assert vectors[0] == vectors[1]


def test_the_identities_of_a_table_are_those_of_the_crops(cli: Cli, crops: np.ndarray, tmp_path: Path) -> None:
    """A flat tar whose people are named by the table beside it alone."""
    with tarfile.open(tmp_path / "flat.tar", "w") as archive:
        for row in range(3):
            Image.fromarray(crops[row]).save(tmp_path / f"{row}.png")
            archive.add(tmp_path / f"{row}.png", arcname=f"{row}.png")
    (tmp_path / "flat.csv").write_text("file,identity\n0.png,007\n1.png,8\n2.png,007\n")
    outcome = cli("embed", tmp_path / "flat.tar", "--out", tmp_path / "v.parquet", "--crops", tmp_path / "crops")
    assert outcome.status == 0, outcome.err
    written = sorted(path.relative_to(tmp_path / "crops").as_posix() for path in (tmp_path / "crops").rglob("*.png"))
    assert len(written) == 3
    assert len({name.split("/")[0] for name in written}) == 2


def test_vectors_that_are_no_numbers_are_not_counted_as_embedded(
    cli: Cli, crops: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for row in range(3):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(crops[row]).save(tmp_path / "photos" / f"{row}.png")
    embed = Embedder.embed

    def broken(self: Embedder, *arguments: object) -> np.ndarray:
        vectors = embed(self, *arguments)
        vectors[0, 3], vectors[1] = np.nan, 0
        return vectors

    monkeypatch.setattr(Embedder, "embed", broken)
    outcome = cli("embed", tmp_path / "photos", "--out", tmp_path / "v.parquet", "--crops", tmp_path / "crops")
    assert "1 of 3 photographs embedded" in outcome.out
    assert "skipped: 0.png: mobilefacenet's embedding is zero or holds NaN or infinity" in outcome.err
    assert pq.read_table(tmp_path / "v.parquet")["detected"].to_pylist() == [False, False, True]
    assert len(list((tmp_path / "crops").rglob("*.png"))) == 1
