from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from nonesuch import NonesuchError, create_model, load_embedder
from nonesuch.core import weights
from nonesuch.embedders.embedder import EmbedderCard, Preprocessing


@pytest.fixture
def crops() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 112, 112, 3), dtype=np.uint8)


def test_preprocessing_travels_with_the_weights(crops: np.ndarray) -> None:
    embedder = load_embedder("mobilefacenet", "cpu")
    network = create_model("mobilefacenet", pretrained=True).eval()
    prepared = torch.from_numpy(crops).permute(0, 3, 1, 2).float().sub(127.5).div(128)
    with torch.inference_mode():
        expected = network(prepared).numpy()
    assert np.allclose(embedder.embed(crops), expected, atol=1e-3)
    assert np.allclose(embedder(crops), embedder.embed(crops, batch=2), atol=1e-3)


def test_bgr_mean_and_std_are_applied() -> None:
    pixels = torch.tensor([10.0, 20.0, 30.0]).view(1, 3, 1, 1).expand(1, 3, 112, 112)
    prepared = Preprocessing(colour="bgr", mean=10.0, std=2.0).apply(pixels)
    assert prepared[0, :, 0, 0].tolist() == [10.0, 5.0, 0.0]


def test_second_embedder_sees_a_dlib_chip() -> None:
    chip = load_embedder("dlib_resnet", "cpu").preprocessing.apply(torch.rand(1, 3, 112, 112) * 255)
    assert chip.shape == (1, 3, 150, 150)


def test_gradients_flow_to_the_pixels() -> None:
    for name in ("mobilefacenet", "dlib_resnet"):
        embedder = load_embedder(name, "cpu")
        pixels = (torch.rand(1, 3, 112, 112) * 255).requires_grad_()
        embedder.pixels_to_embeddings(pixels).square().sum().backward()
        assert pixels.grad.abs().sum() > 0
        assert all(parameter.grad is None for parameter in embedder.network.parameters())


def test_wrong_crops_are_refused(crops: np.ndarray) -> None:
    embedder = load_embedder("mobilefacenet", "cpu")
    for wrong in (crops[:, :100], crops.astype(np.float32), crops[0], crops.transpose(0, 3, 1, 2)):
        with pytest.raises(NonesuchError, match="112, 112, 3"):
            embedder.embed(wrong)
    assert embedder.embed(crops[:0]).shape == (0, 192)


def test_thresholds() -> None:
    card = load_embedder("mobilefacenet", "cpu").card
    assert (card.threshold(1e-3), card.threshold(1e-4), card.threshold(0.00001)) == (0.457, 0.541, 0.611)
    with pytest.raises(NonesuchError, match=r"known: 1e-3, 1e-4, 1e-5"):
        card.threshold(0.5)


@pytest.mark.parametrize("batch", ["N", 2])
def test_onnx_models_in_any_batch(tmp_path: Path, crops: np.ndarray, batch: str | int) -> None:
    # The mean colour through a known matrix: an embedder whose output is plain arithmetic.
    matrix = np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)
    nodes = [
        helper.make_node("GlobalAveragePool", ["in"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, [batch, 3, 112, 112])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [batch, 4])],
        [helper.make_tensor("matrix", TensorProto.FLOAT, [3, 4], matrix.ravel())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "toy.onnx"
    onnx.save(model, path)
    with pytest.raises(NonesuchError, match="no card"):
        load_embedder(path)
    preprocessing = {"colour": "bgr", "mean": 100.0, "std": 50.0}
    fields = {"name": "toy", "architecture": "onnx", "sha256": "", "licence": "-", "source": "-", "training_data": "-"}
    weights.write_card(path, EmbedderCard(**fields, embedding_dim=4, preprocessing=preprocessing))

    expected = (crops.mean((1, 2))[:, ::-1] - 100) / 50 @ matrix
    assert np.allclose(load_embedder(path, "cpu").embed(crops), expected, atol=1e-3)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(NonesuchError, match="SHA-256"):
        load_embedder(path)
