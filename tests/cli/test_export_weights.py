"""Embedders as ONNX: the same embeddings from the file, and nothing left of what failed."""

import json
import shutil
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from nonesuch import create_model, export_weights, load_embedder
from nonesuch.cli.app import main
from nonesuch.core import weights
from nonesuch.core.weights import read_card
from nonesuch.embedders.embedder import EmbedderCard
from tests.conftest import Cli

CARD: dict[str, Any] = {
    "sha256": "",
    "licence": "test only",
    "source": "made up",
    "training_data": "none",
    "embedding_dim": 32,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    torch.manual_seed(0)
    network = create_model("iresnet_tiny")
    for _ in range(3):  # batch norm's running means away from 0 and 1
        network(torch.rand(8, 3, 112, 112) * 3 - 1)
    card = EmbedderCard(name="own", architecture="iresnet_tiny", **CARD, preprocessing={"colour": "bgr", "std": 100.0})
    weights.save(folder / "own.safetensors", network.state_dict(), card)
    return folder / "own.safetensors"


@pytest.fixture(scope="module")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """What the command writes, and what it prints."""
    file, printed = tmp_path_factory.mktemp("exported") / "as_onnx.onnx", StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr(sys, "argv", ["nonesuch", "export-weights", str(trained), "--out", str(file)])
        with pytest.raises(SystemExit) as stopped:
            main()
    assert not stopped.value.code
    return file, printed.getvalue()


def test_the_file_embeds_like_the_network(exported: tuple[Path, str]) -> None:
    file, printed = exported
    assert "of an embedding's length" in printed
    onnx.checker.check_model(file)
    card = json.loads(file.with_suffix(".json").read_text())
    assert (card["architecture"], card["preprocessing"]) == ("onnx", {"colour": "bgr", "std": 100.0})
    assert card["licence"] == "test only"


def test_python_exports_like_the_command(exported: tuple[Path, str], trained: Path, tmp_path: Path) -> None:
    again = export_weights(trained, tmp_path / "b.onnx")
    assert f"by {again.difference:.1e} of an embedding's length" in exported[1]
    assert again.card == read_card(tmp_path / "b.onnx", EmbedderCard)
    assert again.card.architecture == "onnx"


def test_any_batch_and_the_same_preprocessing(exported: tuple[Path, str], trained: Path) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (7, 112, 112, 3), dtype=np.uint8)
    expected = load_embedder(trained, "cpu").embed(crops)
    for batch in (1, 4, 7):
        found = load_embedder(exported[0], "cpu").embed(crops, batch)
        assert np.allclose(found, expected, atol=1e-4 * np.linalg.norm(expected, axis=1).max())


def test_exports_that_cannot_be(cli: Cli, exported: tuple[Path, str], trained: Path, tmp_path: Path) -> None:
    assert "is not the card of" in cli("export-weights", trained, "--out", trained.with_suffix(".onnx")).error
    assert "must end in .onnx" in cli("export-weights", trained, "--out", tmp_path / "own.pt").error
    assert (
        "no such weight file"
        in cli("export-weights", tmp_path / "no.safetensors", "--out", tmp_path / "new.onnx").error
    )
    for suffix in (".onnx", ".json"):
        shutil.copy(exported[0].with_suffix(suffix), tmp_path / f"first{suffix}")
    assert "is ONNX already" in cli("export-weights", tmp_path / "first.onnx", "--out", tmp_path / "second.onnx").error
    assert not (tmp_path / "second.onnx").exists()
    first = tmp_path / "first.onnx"
    assert "is one of the files to read" in cli("export-weights", first, "--out", first).error
    assert "Missing option '--out'" in cli("export-weights", trained).error
    (tmp_path / "file").write_text("")
    assert "file" in cli("export-weights", trained, "--out", tmp_path / "file" / "own.onnx").error
