from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from nonesuch import NonesuchError, create_model, load_embedder
from nonesuch.core import weights
from nonesuch.embedders.embedder import Embedder, EmbedderCard, Preprocessing
from nonesuch.embedders.onnx import OnnxNetwork


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


@pytest.mark.parametrize(
    "wrong",
    [
        {"colour": "BGR"}, {"std": 0.0}, {"std": [1.0, 2.0]}, {"mean": float("nan")}, {"size": 0}, {"chip": [[1.0]]},
        {"colour_order": "rgb"},
    ],
)  # fmt: skip
def test_a_card_edited_wrongly_is_refused(wrong: dict[str, object]) -> None:
    card = load_embedder("mobilefacenet", "cpu").card
    with pytest.raises(NonesuchError, match="card of mobilefacenet: bad preprocessing"):
        Embedder(replace(card, preprocessing=wrong), torch.nn.Identity(), torch.device("cpu"))


def test_an_embedder_of_another_width_than_its_card(crops: np.ndarray) -> None:
    embedder = load_embedder("mobilefacenet", "cpu")
    wrong = Embedder(replace(embedder.card, embedding_dim=512), embedder.network, torch.device("cpu"))
    with pytest.raises(NonesuchError, match="its card says width 512"):
        wrong.embed(crops)


def test_three_means_and_another_size() -> None:
    pixels = torch.tensor([10.0, 20.0, 30.0]).view(1, 3, 1, 1).expand(1, 3, 112, 112)
    prepared = Preprocessing(size=160, mean=[10.0, 10.0, 20.0], std=[1.0, 2.0, 5.0]).apply(pixels)
    assert prepared.shape == (1, 3, 160, 160)
    torch.testing.assert_close(prepared[0, :, 80, 80], torch.tensor([0.0, 5.0, 2.0]))


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


@pytest.mark.parametrize(("batch", "channels_last", "side"), [("N", False, 112), (2, False, 112), ("N", True, 160)])
def test_onnx_models_of_any_batch_layout_and_size(
    tmp_path: Path, crops: np.ndarray, batch: str | int, channels_last: bool, side: int
) -> None:
    # The mean colour through a known matrix: an embedder whose output is plain arithmetic.
    matrix = np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)
    to_first = helper.make_node("Transpose", ["in"], ["image"], perm=[0, 3, 1, 2] if channels_last else [0, 1, 2, 3])
    nodes = [
        to_first,
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [
            helper.make_tensor_value_info(
                "in", TensorProto.FLOAT, [batch, side, side, 3] if channels_last else [batch, 3, side, side]
            )
        ],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [batch, 4])],
        [helper.make_tensor("matrix", TensorProto.FLOAT, [3, 4], matrix.ravel())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "toy.onnx"
    onnx.save(model, path)
    with pytest.raises(NonesuchError, match="no card"):
        load_embedder(path)
    preprocessing = {"size": side, "colour": "bgr", "mean": 100.0, "std": 50.0}
    fields = {"name": "toy", "architecture": "onnx", "sha256": "", "licence": "-", "source": "-", "training_data": "-"}
    weights.write_card(path, EmbedderCard(**fields, embedding_dim=4, preprocessing=preprocessing))

    expected = (crops.mean((1, 2))[:, ::-1] - 100) / 50 @ matrix
    assert np.allclose(load_embedder(path, "cpu").embed(crops), expected, atol=1e-3 if side == 112 else 0.1)
    network = load_embedder(path, "cpu", threads=1).network
    assert isinstance(network, OnnxNetwork)
    assert network.session.get_session_options().intra_op_num_threads == 1
    assert network.session.get_providers() == ["CPUExecutionProvider"]
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(NonesuchError, match="SHA-256"):
        load_embedder(path)
