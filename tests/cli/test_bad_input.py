"""Each wrong input ends in one clear line and a non-zero exit status, and nothing is left behind."""

import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from nonesuch.core import images
from nonesuch.core.weights import card_path
from nonesuch.models import ASSETS
from tests.conftest import Cli


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["generate", "{out}", "--identities", "-3"], "-3 is not in the range x>=1"),
        (["generate", "{out}", "--images", "0"], "0 is not in the range x>=1"),
        (["generate", "{out}", "--images", "many"], "'many' is not a valid integer"),
        (["generate", "{out}", "--seed", "-1"], "--seed"),
        (["generate", "{out}", "--shard-images", "0"], "0 is not in the range x>=1"),
        (["generate", "{out}", "--workers", "-2"], "-2 is not in the range x>=1"),
        (["generate", "{out}", "--sigma", "0.3:x"], "--sigma 0.3:x: write"),
        (["generate", "{out}", "--dtype", "int8"], "'int8' is not one of"),
        (["generate", "{out}", "--dtype", "float16", "--device", "cpu"], "needs a GPU"),
        (["generate", "{out}", "--device", "quantum"], "--device quantum: not available here"),
        (["generate", "{out}", "--device", "cuda:77"], "--device cuda:77: not available here"),
        (["generate", "{out}", "--generator", "vec2face_tall"], "ships no weights named 'vec2face_tall'"),
        (["generate", "{out}", "--generator", "vec2face_base"], "ships no weights named 'vec2face_base'"),
        (["generate", "{out}", "--generator", "{absent}.safetensors"], "no such weight file"),
        (["generate", "{out}", "--generator", "x.pth"], "import-weights"),
        (["generate", "{out}", "--reference", "{absent}"], "no such file or folder"),
        (["generate", "{out}", "--vectors", "{absent}"], "no such table"),
        (["generate", "{out}", "--vectors", "a", "--reference", "b"], "give only one of them"),
        (["generate", "{out}", "--max-similarity", "1.5"], "1.5 is not in the range -1<=x<=1"),
        (["generate", "{out}", "--fmr", "0.02"], "no threshold of mobilefacenet is known at FMR 0.02"),
        (["generate", "{out}", "--statistics", "{absent}"], "no such statistics file"),
        (["generate", "{out}", "--identities", "200", "--max-similarity", "-0.5"], "of 200 identities fit"),
        (["identities", "{out}", "--identities", "0"], "0 is not in the range x>=1"),
        (["statistics", "{absent}", "--out", "{out}"], "no such table"),
        (["embed", "{absent}", "--out", "{out}"], "no such file or folder"),
        (["embed", "{absent}"], "Missing option '--out'"),
        (["verify", "{absent}"], "no dataset here"),
        (["train-generator", "{out}"], "Missing option '--data'"),
        (["train-generator", "{out}", "--data", "{absent}"], "no such file or folder"),
        (["train-generator", "{out}", "--preset", "vec2face_vast"], "is not one of"),
        (["import-weights", "{absent}", "--out", "{out}", "--architecture", "iresnet50"], "must end in .safetensors"),
        (
            ["import-weights", "{absent}", "--out", "{out}.safetensors", "--architecture", "iresnet50"],
            "no such weight file",
        ),
        (["models", "nothing*"], "no model fits"),
        (["paint"], "No such command 'paint'"),
        (["generate"], "Missing argument 'OUT'"),
        (["generate", "{out}", "--colour", "blue"], "No such option"),
    ],
)
def test_one_line_says_what_is_wrong(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.delenv("NONESUCH_DATA", raising=False)
    places = {"out": tmp_path / "out", "absent": tmp_path / "absent"}
    outcome = cli(*[argument.format(**places) for argument in arguments])
    assert outcome.status in (1, 2)
    assert says in outcome.error
    leftovers = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"]
    assert leftovers == []


def test_an_output_that_is_a_file_or_somebody_elses_folder(cli: Cli, tmp_path: Path, tiny_generator: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("precious")
    folder.mkdir()
    (folder / "thesis.tex").write_text("precious")
    for out, says in ((file, "a file stands where a folder is needed"), (folder, "holds other files")):
        assert says in cli("generate", out, "--generator", tiny_generator).error
    assert file.read_text() == (folder / "thesis.tex").read_text() == "precious"
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


def _table(path: Path, vectors: list[list[float]], sha256: str, name: str = "mobilefacenet") -> Path:
    columns = {"identity": pa.array(["a", "b"]), "embedding": pa.array(vectors, pa.list_(pa.float32()))}
    metadata = {"embedder": name, "embedder_sha256": sha256, "origin": "sampled"}
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)
    return path


def test_vectors_that_do_not_fit(cli: Cli, tmp_path: Path, tiny_generator: Path) -> None:
    import json

    sha256 = json.loads(card_path(ASSETS / "mobilefacenet.safetensors").read_text())["sha256"]
    good = np.ones((2, 192)).tolist()
    for vectors, hash_, name, says in [
        (np.full((2, 192), np.nan).tolist(), sha256, "mobilefacenet", "NaN"),
        (np.ones((2, 512)).tolist(), sha256, "mobilefacenet", "takes vectors of width 192, (N, 192), not (2, 512)"),
        (good, "0" * 64, "mobilefacenet", "vectors of mobilefacenet (00000000)"),
        (good, sha256, "arcface", "vectors of arcface"),
    ]:
        out = tmp_path / "out"
        table = _table(tmp_path / "v.parquet", vectors, hash_, name)
        outcome = cli("generate", out, "--generator", tiny_generator, "--vectors", table)
        assert outcome.status == 1
        assert says in outcome.error
        assert not (out / "dataset.json").exists()


def test_statistics_of_another_embedder(cli: Cli, tmp_path: Path, tiny_generator: Path) -> None:
    table = _table(tmp_path / "v.parquet", np.random.default_rng(0).standard_normal((2, 192)).tolist(), "0" * 64)
    fitted = cli("statistics", table, "--out", tmp_path / "s.safetensors")
    assert fitted.status == 0
    assert fitted.err.startswith("note: identity statistics of 2 people span 1 of 192 dimensions")
    options = ["--generator", tiny_generator, "--statistics", tmp_path / "s.safetensors"]
    assert "statistics of another embedder" in cli("generate", tmp_path / "out", *options).error


def test_images_that_cannot_be_read(cli: Cli, tmp_path: Path) -> None:
    empty, cut, tar = tmp_path / "empty.jpg", tmp_path / "cut.jpg", tmp_path / "zero.tar"
    empty.touch()
    cut.write_bytes(images.encode(np.zeros((300, 300, 3), np.uint8), "jpeg", 90)[:400])
    tar.touch()
    for source, says in (
        (empty, "empty"),
        (cut, "cut.jpg: not a readable image"),
        (tar, "zero.tar: the file is empty"),
    ):
        outcome = cli("embed", source, "--out", tmp_path / "v.parquet")
        assert outcome.status == 1
        assert says in outcome.error
        assert not (tmp_path / "v.parquet").exists()


def test_weights_that_would_run_code(cli: Cli, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (tmp_path / "executed").touch, ()  # type: ignore[return-value]

    torch.save(Evil(), tmp_path / "evil.pth")
    options = ["--architecture", "iresnet18"]
    outcome = cli("import-weights", tmp_path / "evil.pth", "--out", tmp_path / "o.safetensors", *options)
    assert "would run code" in outcome.error
    assert not (tmp_path / "executed").exists()
    assert not (tmp_path / "o.safetensors").exists()


def test_weights_of_another_network_and_tampered_ones(cli: Cli, tmp_path: Path, tiny_generator: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "a.safetensors")
    options = ["--architecture", "vec2face_tiny", "--decodes", "e"]
    outcome = cli("import-weights", tmp_path / "a.safetensors", "--out", tmp_path / "o.safetensors", *options)
    assert "tensors are missing or have another shape" in outcome.error

    copy = tmp_path / "copy.safetensors"
    content = bytearray(tiny_generator.read_bytes())
    content[-5] ^= 1
    copy.write_bytes(content)
    card_path(copy).write_text(card_path(tiny_generator).read_text())
    assert "its SHA-256 is not the one on its card" in cli("generate", tmp_path / "out", "--generator", copy).error


def test_training_photographs_of_other_sizes_are_skipped_with_the_mend(cli: Cli, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "photos.tar", "w") as archive:
        for name, side in (("a.png", 112), ("b.png", 300)):
            (tmp_path / name).write_bytes(images.encode(np.zeros((side, side, 3), np.uint8), "png", 1))
            archive.add(tmp_path / name, arcname=name)
    options = ["--data", tmp_path / "photos.tar", "--preset", "vec2face_tiny", "--batch", 4]
    outcome = cli("train-generator", tmp_path / "run", *options)
    assert "b.png: 300x300, not an aligned 112x112 crop; align it with 'nonesuch embed" in outcome.err
    assert "at least two people" in outcome.error


@pytest.mark.parametrize("command", ["generate", "embed", "audit", "models", "flip attributes", "flip sketches"])
def test_several_processes_do_not_write_the_same_thing(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    outcome = cli(*command.split(), *([] if command == "models" else [tmp_path / "faces"]))
    assert outcome.status == 1
    assert f"{command}: torchrun would do the same work in every process" in outcome.error
    assert not any(tmp_path.iterdir())
