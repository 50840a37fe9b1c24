"""Adapters against plain networks whose weights are blended by hand, and adapted files that cannot be trusted."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nonesuch import NonesuchError, create_model, load_embedder
from nonesuch.core import weights
from nonesuch.embedders.adapters import AdaptedLayer, AdaptedNetwork
from nonesuch.embedders.embedder import EmbedderCard
from tests.filling import fill

TINY = ["iresnet_tiny", "vit_tiny"]
RANK = 4
# Attention computes in float32 whatever it is given.
EXACTNESS = {"iresnet_tiny": (torch.float64, 1e-10), "vit_tiny": (torch.float32, 1e-5)}


def _plain(name: str) -> nn.Module:
    network = create_model(name)
    fill(network)
    return network.eval()


def _adapted(name: str) -> AdaptedNetwork:
    """Adapters that change much, and a quality scale that the images below spread over."""
    network = AdaptedNetwork(_plain(name), RANK)
    fill(network.network)
    network.standardise(network.norms(_images(16)))
    return network


def _images(count: int) -> Tensor:
    """Noise of growing contrast, in [-1, 1]."""
    noise = torch.rand(count, 3, 112, 112, generator=torch.Generator().manual_seed(count)) * 2 - 1
    return noise * torch.linspace(0.05, 1, count)[:, None, None, None]


def _card(**changes: str) -> EmbedderCard:
    card = EmbedderCard(
        name="low", architecture="iresnet_tiny", sha256="", licence="-", source="-", training_data="-", embedding_dim=32
    )
    return replace(card, **{"adapter_rank": RANK, **changes})


@pytest.mark.parametrize("name", TINY)
def test_an_adapted_network_starts_out_equal_to_the_frozen_one(name: str) -> None:
    images = _images(3)
    with torch.inference_mode():
        before = _plain(name)(images)
        adapted = AdaptedNetwork(_plain(name), RANK)
        assert torch.equal(adapted(images), before)
        assert torch.equal(adapted.train()(images), before), "batch norm looked at the batch"


@pytest.mark.parametrize("name", TINY)
def test_each_image_sees_the_weights_of_its_own_blend(name: str) -> None:
    """W + alpha * B1 A1 + (1 - alpha) * B2 A2 written into a plain network, for one image after the other."""
    dtype, tolerance = EXACTNESS[name]
    adapted, images = _adapted(name).to(dtype), _images(5).to(dtype)
    state = adapted.state_dict()
    layers = {path for path, layer in adapted.network.named_modules() if isinstance(layer, AdaptedLayer)}
    frozen = create_model(name).eval().to(dtype)
    for path, tensor in frozen.state_dict().items():
        layer, _, leaf = path.rpartition(".")
        tensor.copy_(state[f"network.{layer}.frozen.{leaf}" if layer in layers else f"network.{path}"])
    with torch.inference_mode():
        found, alphas = adapted(images), adapted.alpha(images)
        norms = np.linalg.norm(frozen(images).double().numpy(), axis=1)
        by_hand = 1 / (1 + np.exp(-(norms - float(adapted.norm_mean)) / float(adapted.norm_deviation)))
        assert np.allclose(alphas, by_hand, atol=tolerance)
        assert by_hand.max() - by_hand.min() > 0.3, "the images should differ in quality"
        for row, alpha in enumerate(by_hand):
            blended = create_model(name).eval().to(dtype)
            blended.load_state_dict(frozen.state_dict())
            for path in layers:
                high, low = (
                    torch.einsum("or,r...->o...", state[f"network.{path}.{which}.1.weight"].flatten(1), down)
                    for which in ("high", "low")
                    for down in [state[f"network.{path}.{which}.0.weight"]]
                )
                blended.get_parameter(f"{path}.weight").add_(alpha * high + (1 - alpha) * low)
            torch.testing.assert_close(found[row], blended(images[row : row + 1])[0], atol=tolerance, rtol=1e-4)
            assert (found[row] - frozen(images[row : row + 1])[0]).abs().max() > 0.05, "the adapters change nothing"


@pytest.mark.parametrize(
    ("name", "path"), [("iresnet_tiny", "fc"), ("iresnet_tiny", "layer2.0.conv2"), ("vit_tiny", "blocks.0.attn.qkv")]
)
def test_a_layer_by_hand(name: str, path: str) -> None:
    """In numpy and float64: a linear layer, a convolution of stride 2 by its windows, an attention's projection."""
    dtype, tolerance = EXACTNESS[name]
    adapted, images = _adapted(name).to(dtype), _images(4).to(dtype)
    layer, seen = adapted.network.get_submodule(path), []
    layer.register_forward_hook(lambda module, given, made: seen.append((given[0].double(), made.double())))
    with torch.inference_mode():
        adapted(images)
        norms = adapted.norms(images).double().numpy()
    given, made = (tensor.numpy() for tensor in seen[1])  # the second look's
    if made.ndim == 4:
        padded = np.pad(given, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::2, ::2]
        given, made = windows.transpose(0, 2, 3, 1, 4, 5).reshape(4, *made.shape[2:], -1), made.transpose(0, 2, 3, 1)
    alpha = 1 / (1 + np.exp(-(norms - float(adapted.norm_mean)) / float(adapted.norm_deviation)))
    alpha = alpha.reshape(-1, *[1] * (made.ndim - 1))
    w, a1, b1, a2, b2 = (
        layer.get_parameter(part).detach().double().flatten(1).numpy()
        for part in ("frozen.weight", "high.0.weight", "high.1.weight", "low.0.weight", "low.1.weight")
    )
    frozen = given @ w.T
    if made.ndim < 4:
        frozen = frozen + layer.get_parameter("frozen.bias").detach().double().numpy()
    expected = frozen + alpha * (given @ a1.T @ b1.T) + (1 - alpha) * (given @ a2.T @ b2.T)
    assert np.allclose(made, expected, rtol=0, atol=tolerance)
    assert np.ptp(alpha) > 0.3
    assert np.abs(expected - frozen).max() > 0.1


def test_quality_is_standardised() -> None:
    network = AdaptedNetwork(_plain("vit_tiny"), RANK)
    network.standardise(torch.tensor([3.0, 4.0, 8.0]))
    assert float(network.norm_mean) == pytest.approx(5.0)
    assert float(network.norm_deviation) == pytest.approx(np.std([3, 4, 8]))
    for norms in ([2.0, 2.0], [2.0], [2.0, float("nan")]):
        with pytest.raises(NonesuchError, match="don't differ in norm"):
            network.standardise(torch.tensor(norms))


def test_threads_keep_apart() -> None:
    network, images = _adapted("vit_tiny"), _images(64)

    def embed(row: int) -> Tensor:
        with torch.inference_mode():
            return network(images[row : row + 1])[0]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(embed, [*range(64)] * 4))
    for row, found in enumerate(together):
        assert torch.equal(found, embed(row % 64))


@pytest.mark.parametrize(("name", "share"), [("iresnet50", 0.06), ("vit_small", 0.03)])
def test_few_parameters_are_trained(name: str, share: float) -> None:
    with torch.device("meta"):
        network = create_model(name)
        whole = sum(parameter.numel() for parameter in network.parameters())
        adapted = AdaptedNetwork(network, 8)
    trained = {path: p.numel() for path, p in adapted.named_parameters() if p.requires_grad}
    assert all(".high." in path or ".low." in path for path in trained)
    assert 0 < sum(trained.values()) < share * whole


def test_only_adapters_get_gradients() -> None:
    network, images = _adapted("iresnet_tiny"), _images(3).requires_grad_()
    network(images).square().sum().backward()
    for path, parameter in network.named_parameters():
        assert (parameter.grad is not None) == (".high." in path or ".low." in path), path
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


@pytest.mark.parametrize(("rank", "most"), [(0, 16), (-1, 16), (17, 16), ("8", 16), (2.0, 16)])
def test_ranks_that_do_not_fit(rank: int, most: int) -> None:
    with pytest.raises(NonesuchError, match=f"take 1 to {most}"):
        AdaptedNetwork(_plain("iresnet_tiny"), rank)


@pytest.mark.parametrize("name", ["mobilefacenet", "dlib_resnet"])
def test_networks_that_cannot_be_adapted(name: str) -> None:
    with pytest.raises(NonesuchError, match="cannot be adapted; adapters fit FaceViT and IResNet"):
        AdaptedNetwork(create_model(name), RANK)


@pytest.mark.parametrize("name", TINY)
def test_an_adapted_file_is_an_embedder(name: str, tmp_path: Path) -> None:
    network, path = _adapted(name), tmp_path / "low.safetensors"
    weights.save(path, network.state_dict(), _card(architecture=name))
    embedder = load_embedder(path, "cpu")
    crops = np.random.default_rng(0).integers(0, 256, (5, 112, 112, 3), dtype=np.uint8)
    with torch.inference_mode():
        expected = network(torch.from_numpy(crops).permute(0, 3, 1, 2) / 127.5 - 1).numpy()
    assert np.allclose(embedder.embed(crops), expected, atol=1e-4)
    assert np.allclose(embedder.embed(crops, batch=2), expected, atol=1e-4)
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float().requires_grad_()
    embedder.pixels_to_embeddings(pixels).square().sum().backward()
    assert pixels.grad is not None
    assert pixels.grad.isfinite().all()


def test_cards_that_lie_about_the_adapters(tmp_path: Path) -> None:
    path = tmp_path / "low.safetensors"
    weights.save(path, _adapted("iresnet_tiny").state_dict(), _card())
    for rank, message in [(8, "does not fit AdaptedNetwork"), (0, "does not fit IResNet"), (10**9, "take 1 to 16")]:
        path.with_suffix(".json").write_text(
            json.dumps({**json.loads(path.with_suffix(".json").read_text()), "adapter_rank": rank})
        )
        with pytest.raises(NonesuchError, match=f"low.safetensors: .*{message}"):
            load_embedder(path, "cpu")


def test_a_card_from_before_adapters_loads(tmp_path: Path) -> None:
    path = tmp_path / "plain.safetensors"
    weights.save(path, _plain("iresnet_tiny").state_dict(), _card())
    card = json.loads(path.with_suffix(".json").read_text())
    del card["adapter_rank"]
    path.with_suffix(".json").write_text(json.dumps(card))
    assert load_embedder(path, "cpu").card.adapter_rank == 0
