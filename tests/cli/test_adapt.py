"""Adapting a recogniser through the command line, and using what came out."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from PIL import Image
from safetensors.torch import load_file

from nonesuch import create_model, load_embedder
from nonesuch.cli import recognition
from nonesuch.core import weights
from nonesuch.embedders.embedder import EmbedderCard
from tests.conftest import Cli
from tests.filling import fill
from tests.people import planted_person


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six planted people, and two frozen embedders: iresnet.safetensors (BGR) and vit.safetensors."""
    folder = tmp_path_factory.mktemp("faces")
    for person in range(6):
        planted_person(folder / "train", person, range(8))
        planted_person(folder / "test", person, range(8, 11))
    for name, preprocessing in [("iresnet", {"colour": "bgr", "mean": 100.0}), ("vit", {})]:
        network = create_model(f"{name}_tiny")
        fill(network)
        card = EmbedderCard(
            name=name,
            architecture=f"{name}_tiny",
            sha256="",
            licence="MIT",
            source="filled",
            training_data="None.",
            embedding_dim=32,
            preprocessing=preprocessing,
            thresholds={"1e-4": 0.5},
        )
        weights.save(folder / f"{name}.safetensors", network.state_dict(), card)
    return folder


def _options(folder: Path, name: str, *more: object) -> list[object]:
    base = ["--embedder", folder / f"{name}.safetensors", "--data", folder / "train"]
    return [*base, "--rank", "4", "--batch", "16", "--epochs", "2", "--lr", ".005", *more]


@pytest.mark.parametrize("name", ["iresnet", "vit"])
def test_from_a_frozen_recogniser_to_a_tested_one(cli: Cli, folder: Path, tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    options = _options(folder, name, "--licence", "test only", "--about-data", "Made up.")
    outcome = cli("recognize", "adapt", run, *options)
    assert outcome.status == 0, outcome.err
    assert "adapted.safetensors: trained on 96 images" in outcome.out
    path = run / "adapted.safetensors"
    base, adapted = load_embedder(folder / f"{name}.safetensors", "cpu"), load_embedder(path, "cpu")
    assert (adapted.card.name, adapted.card.adapter_rank) == (f"{name}-adapted", 4)
    assert adapted.card.training_data == "None. Adapters: 48 images of 6 identities from train. Made up."
    assert adapted.card.licence == "MIT; the adapters: test only"
    assert adapted.card.preprocessing == base.card.preprocessing
    assert adapted.card.thresholds == {}

    before, after = load_file(folder / f"{name}.safetensors"), load_file(path)
    for key, tensor in before.items():
        layer, _, leaf = key.rpartition(".")
        kept = after.get(f"network.{key}", after.get(f"network.{layer}.frozen.{leaf}"))
        assert kept is not None
        assert torch.equal(kept, tensor), key
    assert any(".low.1." in key and tensor.any() for key, tensor in after.items())
    crops = np.stack([np.asarray(Image.open(file)) for file in sorted((folder / "test").rglob("*.png"))])
    assert np.abs(adapted.embed(crops) - base.embed(crops)).max() > 1e-3

    tested = cli("evaluate", "--embedder", path, "--data", folder / "test", "--json", tmp_path / "figures.json")
    assert tested.status == 0, tested.err
    saved = path.read_bytes()
    assert cli("recognize", "adapt", run, *options).status == 0
    assert path.read_bytes() == saved
    assert "holds a run with rank 4, not 5" in cli("recognize", "adapt", run, *options, "--rank", "5").error


def test_an_interrupted_run_goes_on_to_the_same_bits(
    cli: Cli, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = _options(folder, "iresnet")
    assert cli("recognize", "adapt", tmp_path / "straight", *options).status == 0

    @contextmanager
    def interrupting() -> Iterator[Callable[..., None]]:
        yield lambda *shown: os.kill(os.getpid(), signal.SIGINT) if shown[:2] == ("training", 48) else None

    with monkeypatch.context() as patched:
        patched.setattr(recognition, "progress_bar", interrupting)
        stopped = cli("recognize", "adapt", tmp_path / "stopped", *options)
    assert stopped.status == 130
    assert "run the same command again" in stopped.error
    assert len((tmp_path / "stopped" / "log.jsonl").read_text().splitlines()) == 3
    assert cli("recognize", "adapt", tmp_path / "stopped", *options, "--cache").status == 0
    for file in ("adapted.safetensors", "adapted.json"):
        assert (tmp_path / "stopped" / file).read_bytes() == (tmp_path / "straight" / file).read_bytes()


def test_embedders_that_cannot_be_adapted(cli: Cli, folder: Path, tmp_path: Path) -> None:
    out, data = tmp_path / "run", ["--data", folder / "train", "--batch", "16"]
    for name in ("mobilefacenet", "dlib_resnet"):
        refused = cli("recognize", "adapt", out, "--embedder", name, *data).error
        assert f"--embedder {name}: " in refused
        assert "cannot be adapted; adapters fit FaceViT and IResNet" in refused

    node = helper.make_node("GlobalAveragePool", ["in"], ["pooled"])
    graph = helper.make_graph(
        [node, helper.make_node("Flatten", ["pooled"], ["out"])],
        "toy",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, ["N", 3, 112, 112])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", 3])],
    )
    toy = tmp_path / "toy.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), toy)
    fields = {"name": "toy", "architecture": "onnx", "sha256": "", "licence": "-", "source": "-", "training_data": "-"}
    weights.write_card(toy, EmbedderCard(**fields, embedding_dim=3))
    assert "an ONNX model cannot be adapted" in cli("recognize", "adapt", out, "--embedder", toy, *data).error
    assert not out.exists()

    assert cli("recognize", "adapt", out, *_options(folder, "vit")).status == 0
    again = cli("recognize", "adapt", tmp_path / "again", "--embedder", out / "adapted.safetensors", *data).error
    assert "AdaptedNetwork cannot be adapted" in again


def test_wrong_inputs(cli: Cli, folder: Path, tmp_path: Path) -> None:
    def error(*more: object, name: str = "iresnet") -> str:
        return cli("recognize", "adapt", tmp_path / "run", *_options(folder, name), *more).error

    assert "iresnet.safetensors: adapters of rank 17 do not fit this network; take 1 to 16" in error("--rank", "17")
    assert "'--rank': 0 is not in the range" in error("--rank", "0")
    assert "no such weight file" in error(name="absent")
    assert "no such file or folder" in error("--data", tmp_path / "absent")
    assert "fewer than one batch of 64" in error("--batch", "64")
    assert "--dtype float16: needs a GPU" in error("--device", "cpu", "--dtype", "float16")
    card = json.loads((folder / "iresnet.json").read_text())
    (tmp_path / "wide.safetensors").write_bytes((folder / "iresnet.safetensors").read_bytes())
    (tmp_path / "wide.json").write_text(json.dumps({**card, "embedding_dim": 64}))
    assert "its card says width 64" in error("--embedder", tmp_path / "wide.safetensors")
    black = tmp_path / "black"
    for person in ("a", "b"):
        (black / person).mkdir(parents=True)
        for image in range(16):
            Image.new("RGB", (112, 112)).save(black / person / f"{image}.png")
    options = ["--embedder", folder / "iresnet.safetensors", "--data", black, "--batch", "16"]
    assert "don't differ in norm" in cli("recognize", "adapt", tmp_path / "run", *options).error
    assert not (tmp_path / "run").exists()
