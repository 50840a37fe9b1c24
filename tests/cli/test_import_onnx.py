"""ONNX models of strangers: what import-weights refuses, and what works although it is unusual."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file

from nonesuch import NonesuchError, create_model, load_embedder
from nonesuch.core import weights
from nonesuch.embedders.onnx import OnnxNetwork
from tests.conftest import Cli
from tests.onnx_networks import pooling_network

FLOAT, HALF, DOUBLE = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE
MEAN = [helper.make_node("GlobalAveragePool", ["in"], ["p"]), helper.make_node("Flatten", ["p"], ["out"])]
IMPORT = ["--architecture", "onnx"]
CROPS = np.random.default_rng(1).integers(0, 256, (3, 112, 112, 3), dtype=np.uint8)


def _model(
    path: Path, nodes: list[onnx.NodeProto] = MEAN, shape: tuple[object, ...] = ("N", 3, 112, 112), kind: int = FLOAT,
    outputs: tuple[str, ...] = ("out",), constants: tuple[onnx.TensorProto, ...] = (),
) -> Path:  # fmt: skip
    """A model of these nodes: in -> out."""
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("in", kind, shape)],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
        list(constants),
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def _integers(name: str, *values: int) -> onnx.TensorProto:
    return helper.make_tensor(name, TensorProto.INT64, [len(values)], values)


@pytest.mark.parametrize("kind", [FLOAT, HALF, DOUBLE])
def test_models_of_any_precision_work(cli: Cli, tmp_path: Path, kind: int) -> None:
    out = tmp_path / "mean.onnx"
    nodes = [helper.make_node("ReduceMean", ["in"], ["out"], axes=[2, 3], keepdims=0)]
    assert cli("import-weights", _model(tmp_path / "m.onnx", nodes, kind=kind), "--out", out, *IMPORT).status == 0
    found = load_embedder(out, "cpu").embed(CROPS)
    assert found.dtype == np.float32
    assert np.allclose(found, (CROPS.mean((1, 2)) - 127.5) / 127.5, atol=2e-3)


def test_one_fixed_batch_and_channels_last_work(cli: Cli, tmp_path: Path) -> None:
    nodes = [helper.make_node("Transpose", ["in"], ["first"], perm=[0, 3, 1, 2])]
    nodes += [helper.make_node("GlobalAveragePool", ["first"], ["p"]), MEAN[1]]
    out = tmp_path / "mean.onnx"
    model = _model(tmp_path / "m.onnx", nodes, (2, 112, 112, 3))
    assert cli("import-weights", model, "--out", out, *IMPORT).status == 0
    assert np.allclose(load_embedder(out, "cpu").embed(CROPS), (CROPS.mean((1, 2)) - 127.5) / 127.5, atol=1e-4)


def _baked_in(path: Path) -> Path:
    nodes = [MEAN[0], helper.make_node("Reshape", ["p", "shape"], ["out"])]
    return _model(path, nodes, constants=(_integers("shape", 1, -1),))


def _fails_together(path: Path) -> Path:
    nodes = [MEAN[0], helper.make_node("Reshape", ["p", "shape"], ["out"])]
    return _model(path, nodes, constants=(_integers("shape", 1, 3),))


def _of_neighbours(path: Path) -> Path:
    nodes = [
        *MEAN[:1],
        helper.make_node("Flatten", ["p"], ["vectors"]),
        helper.make_node("ReduceMean", ["vectors"], ["mean"], axes=[0]),
        helper.make_node("Add", ["vectors", "mean"], ["out"]),
    ]
    return _model(path, nodes)


def _two_outputs(path: Path) -> Path:
    return _model(path, [*MEAN, helper.make_node("ReduceL2", ["out"], ["norm"], axes=[1])], outputs=("out", "norm"))


def _two_inputs(path: Path) -> Path:
    model = onnx.load(_model(path))
    model.graph.input.append(helper.make_tensor_value_info("flag", FLOAT, [1]))
    onnx.save(model, path)
    return path


def _constant(path: Path) -> Path:
    nodes = [*MEAN[:1], helper.make_node("Flatten", ["p"], ["v"]), helper.make_node("Sub", ["v", "v"], ["out"])]
    return _model(path, nodes)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_baked_in, "takes one image at a time only"),
        (_fails_together, "takes one image at a time only"),
        (_of_neighbours, "depends on its neighbours in a batch"),
        (_two_outputs, "should have one output, this model has out, norm"),
        (_two_inputs, "should have one input, this model has 2"),
        (_constant, "are all the same, or NaN"),
        (lambda path: _model(path, shape=("N", 1, 112, 112)), "should take square colour images"),
        (lambda path: _model(path, shape=("N", 3, 112, 96)), "should take square colour images"),
        (lambda path: _model(path, shape=("N", 3, 1 << 20, 1 << 20)), "should take square colour images"),
        (lambda path: _model(path, [helper.make_node("Relu", ["in"], ["out"])]), "not a vector for each"),
    ],
)
def test_what_gives_no_vector_for_each_image_is_refused(cli: Cli, tmp_path: Path, make, says: str) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out.onnx"
    assert says in cli("import-weights", make(tmp_path / "m.onnx"), "--out", out, *IMPORT).error
    assert not out.exists()
    assert not out.with_suffix(".json").exists()


@pytest.mark.parametrize("options", [["--std", 0], ["--std", "nan"], ["--mean", "inf"]])
def test_preprocessing_that_makes_no_sense_is_refused(cli: Cli, tmp_path: Path, options: list[object]) -> None:
    model = _model(tmp_path / "m.onnx")
    save_file(create_model("iresnet_tiny").state_dict(), tmp_path / "a.safetensors")
    for source, architecture in ((model, "onnx"), (tmp_path / "a.safetensors", "iresnet_tiny")):
        out = tmp_path / f"out{source.suffix}"
        assert "std" in cli("import-weights", source, "--out", out, "--architecture", architecture, *options).error
        assert not out.exists()


def test_weights_with_nan_are_refused(cli: Cli, tmp_path: Path) -> None:
    state = {name: torch.full_like(tensor, torch.nan) if tensor.is_floating_point() else tensor
             for name, tensor in create_model("iresnet_tiny").state_dict().items()}  # fmt: skip
    save_file(state, tmp_path / "a.safetensors")
    out = tmp_path / "out.safetensors"
    outcome = cli("import-weights", tmp_path / "a.safetensors", "--out", out, "--architecture", "iresnet_tiny")
    assert "NaN or infinity" in outcome.error
    assert not out.exists()


def _external(path: Path, location: str) -> Path:
    matrix = np.eye(3 * 14 * 14, 8, dtype=np.float32)
    pooling_network(path, 112, matrix, 8)
    model = onnx.load(path)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(matrix, "matrix"))
    onnx.save(model, path, save_as_external_data=True, location="beside.bin", size_threshold=0)
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer[0].external_data[0].value = location
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("location", ["beside.bin", "../beside.bin", "/etc/passwd", "*/_ORT_MEM_ADDR_/*"])
def test_tensors_in_other_files_are_refused(cli: Cli, tmp_path: Path, location: str) -> None:
    model, out = _external(tmp_path / "m.onnx", location), tmp_path / "out.onnx"
    says = "keeps tensors in other files, which its hash does not cover; make one file of it"
    assert says in cli("import-weights", model, "--out", out, *IMPORT).error
    # Nor does a card make up for it: the hash of the file alone is right.
    whole = pooling_network(tmp_path / "whole.onnx", 112, np.eye(3 * 14 * 14, 8, dtype=np.float32), 8)
    assert cli("import-weights", whole, "--out", out, *IMPORT).status == 0
    card = json.loads(out.with_suffix(".json").read_text()) | {"sha256": weights.files.sha256(model)}
    model.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(NonesuchError, match="keeps tensors in other files"):
        load_embedder(model, "cpu")
    onnx.save(
        onnx.load(_external(tmp_path / "n.onnx", "beside.bin")), tmp_path / "one.onnx"
    )  # what the message advises
    assert OnnxNetwork(tmp_path / "one.onnx").size == 112


def test_external_tensors_of_subgraphs_and_attributes_are_found(tmp_path: Path) -> None:
    hidden = helper.make_tensor("c", FLOAT, [3], [1.0, 2.0, 3.0])
    hidden.data_location = TensorProto.EXTERNAL
    constant = helper.make_node("Constant", [], ["c"], value=hidden)
    branch = helper.make_graph([constant], "b", [], [helper.make_tensor_value_info("c", FLOAT, [3])])
    chosen = helper.make_node("If", ["yes"], ["out"], then_branch=branch, else_branch=branch)
    for nodes in ([constant], [chosen]):
        with pytest.raises(NonesuchError, match="keeps tensors in other files"):
            OnnxNetwork(_model(tmp_path / "m.onnx", nodes))


@pytest.mark.parametrize("other", ["safetensors", "onnx", ""])
def test_the_card_of_other_weights_stays(cli: Cli, tmp_path: Path, other: str) -> None:
    save_file(create_model("iresnet_tiny").state_dict(), tmp_path / "a.safetensors")
    model = _model(tmp_path / "m.onnx")
    places = {name: tmp_path / f"net.{name}" for name in ("safetensors", "onnx")}
    options = ["--architecture", "iresnet_tiny"]
    jobs = {
        "safetensors": ["import-weights", tmp_path / "a.safetensors", "--out", places["safetensors"], *options],
        "onnx": ["import-weights", model, "--out", places["onnx"], *IMPORT],
    }
    if other:
        assert cli(*jobs.pop(other)).status == 0
        before = (tmp_path / "net.json").read_bytes()
        assert json.loads(before)["architecture"] in ("onnx", "iresnet_tiny")
    else:
        (tmp_path / "net.json").write_bytes(before := b"a configuration of the user's")
    for job in jobs.values():
        assert "net.json: is not the card of net." in cli(*job).error
        assert (tmp_path / "net.json").read_bytes() == before


def test_the_same_weights_may_be_imported_again(cli: Cli, tmp_path: Path) -> None:
    job = ["import-weights", _model(tmp_path / "m.onnx"), "--out", tmp_path / "net.onnx", *IMPORT]
    assert [cli(*job, "--licence", licence).status for licence in ("MIT", "other")] == [0, 0]
    assert json.loads((tmp_path / "net.json").read_text())["licence"] == "other"
