"""The embedders give what the published networks give (tests/data holds their outputs)."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nonesuch import create_model
from tests.filling import fill

DATA = Path(__file__).parents[1] / "data"


@pytest.mark.parametrize("depth", [18, 50])
def test_iresnet(depth: int) -> None:
    expected = np.load(DATA / f"iresnet{depth}.npz")
    network = create_model(f"iresnet{depth}").eval()
    fill(network)
    crops = np.random.default_rng(int(expected["seed"])).uniform(-1, 1, (2, 3, 112, 112)).astype(np.float32)
    with torch.inference_mode():
        embedding = network(torch.from_numpy(crops)).numpy()
    assert np.abs(embedding - expected["embedding"]).max() <= 1e-4 * np.abs(expected["embedding"]).max()


@pytest.mark.parametrize(("depth", "millions"), [(18, 24.0), (34, 34.1), (50, 43.6), (100, 65.2)])
def test_iresnet_sizes(depth: int, millions: float) -> None:
    with torch.device("meta"):
        network = create_model(f"iresnet{depth}")
    assert sum(parameter.numel() for parameter in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.1)


def test_shipped_embedders_on_random_input() -> None:
    expected = np.load(DATA / "embedders.npz")
    rng = np.random.default_rng(0)
    crops = rng.uniform(-1, 1, (2, 3, 112, 112)).astype(np.float32)
    chips = np.random.default_rng(0).uniform(0, 255, (2, 3, 150, 150)).astype(np.float32)
    for name, pixels, spread in (
        ("mobilefacenet", crops, expected["mobilefacenet_std"]),
        ("dlib_resnet", chips, expected["dlib_std"]),
    ):
        network = create_model(name, pretrained=True).eval()
        key = "mobilefacenet_random" if name == "mobilefacenet" else "dlib_random"
        with torch.inference_mode():
            embedding = network(torch.from_numpy(pixels)).numpy()
        assert np.abs(embedding - expected[key]).max() <= 1e-4 * spread, name


@pytest.mark.parametrize("name", ["mobilefacenet", "iresnet18"])
def test_feature_maps_end_in_the_embedding(name: str) -> None:
    network = create_model(name).eval()
    crops = torch.randn(2, 3, 112, 112)
    with torch.inference_mode():
        maps = network.feature_maps(crops)
        torch.testing.assert_close(network.embed_features(maps[-1]), network(crops))
    assert [feature_map.shape[-1] for feature_map in maps] == [56, 28, 14, 7]
