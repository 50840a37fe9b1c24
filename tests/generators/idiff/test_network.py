"""The networks of IDiff-Face give what the published ones give (tests/data holds their outputs)."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nonesuch import create_model
from nonesuch.core.errors import NonesuchError
from nonesuch.generators.idiff.first_stage import IDiffFirstStage
from nonesuch.generators.idiff.network import LatentDiffusion
from nonesuch.generators.idiff.unet import IDiffUNet, ResidualBlock
from tests.filling import fill

DATA = Path(__file__).parents[2] / "data"
SMALL = {"width": 32, "multipliers": (1, 2), "blocks": 1, "attended": (False, True), "feature_dim": 16}


def test_unet() -> None:
    expected = np.load(DATA / "idiff_unet.npz")
    network = create_model("idiff_unet").eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == 216_341_187
    assert len(network.state_dict()) == 842
    fill(network)
    x, t, context = (torch.from_numpy(expected[name]) for name in ("x", "t", "context"))
    for given, key in ((context, "eps"), (None, "eps_unconditional")):
        with torch.inference_mode():
            found = network(x, t, given).flatten().numpy()[expected["index"]]
        assert np.abs(found - expected[key]).max() <= 1e-4 * expected[f"{key}_std"], key


def test_first_stage() -> None:
    expected = np.load(DATA / "idiff_first_stage.npz")
    network = create_model("idiff_first_stage").eval()
    assert isinstance(network, IDiffFirstStage)
    encoder = [name for name in network.state_dict() if name.startswith(("encoder.", "quant_conv."))]
    assert (len(encoder), len(network.state_dict())) == (90, 90 + 115)
    fill(network)
    z, x = torch.from_numpy(expected["z"]), torch.from_numpy(expected["x"])
    with torch.inference_mode():
        codes, indices = network.quantise(z)
        assert np.array_equal(indices.numpy(), expected["indices"])
        torch.testing.assert_close(codes[0, :, 3, 5], network.quantize.embedding.weight[indices[0, 3, 5]])
        for found, key in ((network.decode(z), "decoded"), (network.encode(x), "encoded")):
            part = found.flatten().numpy()[expected[f"{key}_index"]]
            assert np.abs(part - expected[key]).max() <= 1e-4 * expected[f"{key}_std"], key


@pytest.mark.parametrize("conditioning", ["attention", "adagn", "time", "none"])
def test_variants_hear_their_context_or_none(conditioning: str) -> None:
    network = create_model("idiff_unet", conditioning=conditioning, **SMALL).eval()
    assert isinstance(network, IDiffUNet)
    fill(network)
    names = {name.split("attn.")[1].split(".")[0] for name in network.state_dict() if "attn." in name}
    assert ("norm" in names) == (conditioning != "attention")  # norm and attention alone, as published
    x, t = torch.randn(2, 3, 8, 8), torch.tensor([5.0, 900.0])
    with torch.inference_mode():
        one, other = (network(x, t, torch.randn(2, 16)) for _ in range(2))
        assert one.shape == (2, 3, 8, 8)
        assert torch.equal(one, other) == (conditioning == "none")
        torch.testing.assert_close(network(x[1:], t[1:]), network(x, t)[1:], atol=1e-5, rtol=1e-4)


def _published_sizes(name: str) -> dict[str, int]:
    """Numbers of parameters of a published U-Net, by tensor."""
    with torch.device("meta"):
        network = create_model(name)
    assert isinstance(network, LatentDiffusion)
    return {name: parameter.numel() for name, parameter in network.unet.named_parameters()}


def test_sizes_of_the_published_variants() -> None:
    """The unconditional one lacks the AdaGN U-Net's layers from 512 to 256, and on to each block's width."""
    unconditional, adagn = (_published_sizes(f"idiff_{name}") for name in ("unconditional", "adagn"))
    assert sum(adagn.values()) == 134_595_939
    layers = {name for name in adagn if "context_emb" in name}
    assert unconditional.keys() == adagn.keys() - layers
    assert len(layers) == 2 + 2 * 22
    assert sum(unconditional.values()) == 132_392_163


def test_a_block_of_the_adagn_variant() -> None:
    """Its output against the formula: context and time are told to the second norm together."""
    block = ResidualBlock(32, 64, 16, 8).eval()
    fill(block)
    x, time, context = torch.randn(2, 32, 5, 5), torch.randn(2, 16), torch.randn(2, 8)
    part = {name: tensor.detach() for name, tensor in block.named_parameters()}
    told = F.silu(time) @ part["time_emb.1.weight"].T + part["time_emb.1.bias"]
    told = told + F.silu(context) @ part["context_emb.1.weight"].T + part["context_emb.1.bias"]
    h = F.silu(F.group_norm(x, 32, part["norm1.weight"], part["norm1.bias"]))
    h = F.conv2d(h, part["conv1.weight"], part["conv1.bias"], padding=1)
    scale, shift = (told @ part[f"{name}_emb.weight"].T + part[f"{name}_emb.bias"] for name in ("scale", "shift"))
    h = F.group_norm(h, 32, part["norm2.norm.weight"], part["norm2.norm.bias"])
    h = F.silu(h * (1 + scale[:, :, None, None]) + shift[:, :, None, None])
    h = F.conv2d(h, part["conv2.weight"], part["conv2.bias"], padding=1)
    expected = h + F.conv2d(x, part["shortcut.weight"], part["shortcut.bias"])
    with torch.inference_mode():
        torch.testing.assert_close(block(x, time, context), expected, atol=1e-4, rtol=1e-4)


def test_a_share_of_the_context_is_dropped_in_training_alone() -> None:
    network = create_model("idiff_unet", context_dropout=0.5, **SMALL)
    fill(network)
    x, t, context = torch.randn(1, 3, 8, 8), torch.tensor([5.0]), torch.randn(1, 16)
    with torch.no_grad():
        assert not torch.equal(network.train()(x, t, context), network(x, t, context))
        assert torch.equal(network.eval()(x, t, context), network(x, t, context))


def test_an_untrained_unet_predicts_nothing() -> None:
    network = create_model("idiff_unet", **SMALL).eval()
    with torch.no_grad():
        assert not network(torch.randn(1, 3, 8, 8), torch.tensor([3.0]), torch.randn(1, 16)).any()


def test_a_size_that_is_unknown() -> None:
    with pytest.raises(NonesuchError, match="colour"):
        create_model("idiff_unet", colour=3)
