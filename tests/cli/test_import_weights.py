"""Published checkpoints become weight files that the other commands take."""

import json
from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
import torch
from onnx import TensorProto, helper
from PIL import Image
from safetensors.torch import save_file

from nonesuch import NonesuchError, create_model, import_weights, load_embedder
from nonesuch.core.weights import read_card
from nonesuch.embedders.embedder import EmbedderCard
from nonesuch.models import ASSETS
from tests.conftest import Cli


def _crops(folder: Path) -> Path:
    folder.mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (112, 112, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_a_generator_checkpoint_generates(cli: Cli, tmp_path: Path) -> None:
    torch.save({"model_vec2face": create_model("vec2face_tiny").state_dict()}, tmp_path / "v2f.pth")
    out = tmp_path / "mine.safetensors"
    options = ["--architecture", "vec2face_tiny", "--licence", "MIT"]
    assert "--decodes: name the embedder" in cli("import-weights", tmp_path / "v2f.pth", "--out", out, *options).error
    decodes = ["--decodes", ASSETS / "mobilefacenet.safetensors"]
    assert cli("import-weights", tmp_path / "v2f.pth", "--out", out, *options, *decodes).status == 0
    card = json.loads(out.with_suffix(".json").read_text())
    assert (card["name"], card["licence"], card["embedder"], card["feature_dim"]) == (
        "mine",
        "MIT",
        "mobilefacenet",
        192,
    )
    assert card["embedder_sha256"] == load_embedder("mobilefacenet", "cpu").card.sha256

    faces = ["generate", tmp_path / "faces", "--generator", out, "--identities", 3, "--images", 2, "--no-summary"]
    assert "ships no identity statistics" in cli(*faces, "--sampling", "pca").error
    assert cli(*faces).status == 0
    assert json.loads((tmp_path / "faces" / "dataset.json").read_text())["options"]["sampling"] == "sphere"

    # Statistics of the same embedder, fitted by the user, make the other sampling possible.
    assert cli("embed", _crops(tmp_path / "crops"), "--out", tmp_path / "v.parquet").status == 0
    assert cli("statistics", tmp_path / "v.parquet", "--out", tmp_path / "s.safetensors").status == 0
    options = ["--statistics", tmp_path / "s.safetensors", "--max-similarity", 0.99]
    assert cli(*faces[:1], tmp_path / "more", *faces[2:], *options).status == 0


def test_an_embedder_that_ships_is_known_by_its_name(cli: Cli, tmp_path: Path) -> None:
    torch.save(create_model("vec2face_tiny").state_dict(), tmp_path / "v2f.pth")
    out = tmp_path / "mine.safetensors"
    command = ["import-weights", tmp_path / "v2f.pth", "--out", out, "--architecture", "vec2face_tiny", "--decodes"]
    assert "gives vectors of 128 numbers, this generator takes 192" in cli(*command, "dlib_resnet").error
    assert not out.exists()
    assert cli(*command, "mobilefacenet").status == 0
    shipped = load_embedder("mobilefacenet", "cpu").card.sha256
    assert json.loads(out.with_suffix(".json").read_text())["embedder_sha256"] == shipped


def test_a_generator_whose_embedder_is_only_named(cli: Cli, tmp_path: Path) -> None:
    torch.save(create_model("vec2face_tiny").state_dict(), tmp_path / "v2f.pth")
    out = tmp_path / "mine.safetensors"
    options = ["--architecture", "vec2face_tiny", "--decodes", "arcface"]
    assert cli("import-weights", tmp_path / "v2f.pth", "--out", out, *options).status == 0
    faces = ["generate", tmp_path / "faces", "--generator", out, "--identities", 3, "--images", 2]
    assert cli(*faces).status == 0  # the generator's own cosine keeps identities apart, judges see no vectors of theirs
    assert json.loads((tmp_path / "faces" / "dataset.json").read_text())["options"]["max_similarity"] == 0.4
    assert "thresholds of arcface are not known" in cli(*faces[:1], tmp_path / "x", *faces[2:], "--fmr", "1e-4").error


def test_an_embedder_checkpoint_embeds(cli: Cli, tmp_path: Path) -> None:
    network = create_model("iresnet18").eval()
    torch.save({"state_dict": {f"module.{name}": t for name, t in network.state_dict().items()}}, tmp_path / "a.pth")
    out = tmp_path / "arc.safetensors"
    options = ["--architecture", "iresnet18", "--colour", "bgr", "--threshold", "1e-4=0.38"]
    assert cli("import-weights", tmp_path / "a.pth", "--out", out, *options).status == 0
    crops = _crops(tmp_path / "crops")
    assert cli("embed", crops, "--out", tmp_path / "v.parquet", "--embedder", out).status == 0
    found = np.array(pq.read_table(tmp_path / "v.parquet")["embedding"].to_pylist())
    pixels = np.stack([np.asarray(Image.open(path)) for path in sorted(crops.iterdir())])
    prepared = (torch.from_numpy(pixels).permute(0, 3, 1, 2).flip(1).float() - 127.5) / 127.5
    with torch.inference_mode():
        assert np.allclose(found, network(prepared).numpy(), atol=1e-4)
    assert load_embedder(out, "cpu").card.threshold(1e-4) == 0.38


def test_from_python_and_what_it_refuses(cli: Cli, tmp_path: Path) -> None:
    checkpoint = tmp_path / "a.safetensors"
    save_file(create_model("iresnet_tiny").state_dict(), checkpoint)
    before = checkpoint.read_bytes()
    (tmp_path / "python").mkdir()
    by_python, by_command = tmp_path / "python" / "own.safetensors", tmp_path / "own.safetensors"
    card = import_weights(checkpoint, by_python, architecture="iresnet_tiny", std=100.0, threshold={"0.0001": 0.38})
    options = ["--architecture", "iresnet_tiny", "--std", 100, "--threshold", "1e-4=0.38"]
    assert cli("import-weights", checkpoint, "--out", by_command, *options).status == 0
    assert by_python.read_bytes() == by_command.read_bytes()
    assert card == read_card(by_python, EmbedderCard) == read_card(by_command, EmbedderCard)
    assert card.thresholds == {"0.0001": 0.38}
    assert "is one of the files to read" in cli("import-weights", checkpoint, "--out", checkpoint, *options[:2]).error
    assert checkpoint.read_bytes() == before
    assert "write FMR=cosine" in cli("import-weights", checkpoint, "--out", by_command, *options[:-1], "high").error
    with pytest.raises(NonesuchError, match="of a kind that is not imported"):
        import_weights(checkpoint, by_python, architecture="perceiver_tiny")


def test_an_onnx_file_embeds(cli: Cli, tmp_path: Path) -> None:
    nodes = [helper.make_node("GlobalAveragePool", ["in"], ["p"]), helper.make_node("Flatten", ["p"], ["out"])]
    graph = helper.make_graph(
        nodes,
        "mean",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, ["N", 3, 112, 112])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", 3])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    out = tmp_path / "mean.onnx"
    options = ["--architecture", "onnx", "--mean", 0, "--std", 1]
    assert cli("import-weights", tmp_path / "m.onnx", "--out", out, *options).status == 0
    crops = _crops(tmp_path / "crops")
    assert cli("embed", crops, "--out", tmp_path / "v.parquet", "--embedder", out).status == 0
    found = np.array(pq.read_table(tmp_path / "v.parquet")["embedding"].to_pylist())
    expected = [np.asarray(Image.open(path)).mean((0, 1)) for path in sorted(crops.iterdir())]
    assert np.allclose(found, expected, atol=1e-2)
    (tmp_path / "torn.onnx").write_bytes(b"torn")
    assert "not a readable ONNX model" in cli("import-weights", tmp_path / "torn.onnx", "--out", out, *options).error
