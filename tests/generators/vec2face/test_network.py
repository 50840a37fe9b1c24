from pathlib import Path

import numpy as np
import pytest
import torch

from nonesuch import create_model
from nonesuch.generators.vec2face.image_decoder import Upsample
from nonesuch.generators.vec2face.network import Vec2Face
from tests.filling import fill

DATA = Path(__file__).parents[2] / "data"


def test_base_gives_what_the_published_network_gives() -> None:
    network = create_model("vec2face_base").eval()
    assert isinstance(network, Vec2Face)
    fill(network)
    for name in ("a", "c"):
        expected = np.load(DATA / f"vec2face_base_{name}.npz")
        vectors, noise = torch.from_numpy(expected["vectors"]), torch.from_numpy(expected["noise"])
        with torch.inference_mode():
            tokens = network.tokens(vectors, noise, float(expected["mask_ratio"]), float(expected["drop_ratio"]))
            feature_map = network.im_decoder_proj(tokens).transpose(1, 2).reshape(2, 256, 7, 7)
            image = network.decode(tokens)
        for ours, key, tolerance in ((feature_map, "feature_map", 1e-4), (image, "image", 2e-4)):
            difference = np.abs(ours.flatten().numpy()[expected[f"{key}_index"]] - expected[key]).max()
            assert difference <= tolerance * expected[f"{key}_std"], (name, key)


def test_published_sizes() -> None:
    with torch.device("meta"):
        base = create_model("vec2face_base")
    assert sum(parameter.numel() for parameter in base.parameters()) == 174_126_998
    assert len(base.state_dict()) == 349


@pytest.fixture(scope="module")
def tiny() -> Vec2Face:
    torch.manual_seed(0)
    network = create_model("vec2face_tiny").eval()
    fill(network)
    assert isinstance(network, Vec2Face)
    return network


def test_each_image_has_its_own_mask_ratio(tiny: Vec2Face) -> None:
    vectors, noise, ratios = torch.randn(4, 192), torch.rand(4, 49), torch.tensor([0.1, 0.35, 0.8, 1.0])
    with torch.inference_mode():
        together = tiny(vectors, noise=noise, mask_ratio=ratios, drop_ratio=0.1)
        alone = [
            tiny(vectors[i : i + 1], noise=noise[i : i + 1], mask_ratio=float(ratios[i]), drop_ratio=0.1)
            for i in range(4)
        ]
    assert together.shape == (4, 3, 112, 112)
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-4, rtol=1e-4)


def test_the_rows_of_lowest_noise_are_masked(tiny: Vec2Face) -> None:
    """With one row kept per image, only that row's noise matters."""
    vectors = torch.randn(1, 192)
    noise = torch.linspace(0.01, 0.98, 49)[None]
    swapped = noise.clone()
    swapped[0, [3, 20]] = noise[0, [20, 3]]  # both masked either way
    moved = noise.clone()
    moved[0, [3, 48]] = noise[0, [48, 3]]  # another row is kept
    with torch.inference_mode():
        images = [tiny(vectors, noise=rows, mask_ratio=48 / 49, drop_ratio=0.0) for rows in (noise, swapped, moved)]
    torch.testing.assert_close(images[0], images[1], atol=1e-5, rtol=1e-5)
    assert (images[0] - images[2]).abs().max() > 1e-3


def test_nothing_masked_makes_noise_irrelevant(tiny: Vec2Face) -> None:
    vectors = torch.randn(2, 192)
    with torch.inference_mode():
        images = [tiny(vectors, noise=torch.rand(2, 49), mask_ratio=0.0, drop_ratio=0.0) for _ in range(2)]
    torch.testing.assert_close(*images, atol=1e-5, rtol=1e-5)


def test_a_ratio_of_k_rows_masks_k_rows() -> None:
    """49 * (k / 49) is a little above k for some k in binary fractions, which must not mask one row more."""
    network = create_model("vec2face_tiny", encoder_blocks=0, decoder_blocks=0).eval()
    fill(network)
    rows_equal_to_the_first = []
    for k in range(50):
        with torch.inference_mode():
            tokens = network.tokens(torch.ones(1, 192), torch.linspace(0, 0.9, 49)[None], k / 49, 0.0)
            plain = network.decoder_norm(
                network.decoder_embed(network.norm(network.token_emb(_first_rows(network))))[:, :1]
                + network.decoder_pos_embed_learned
            )[:, 1:]
        rows_equal_to_the_first.append(int(torch.isclose(tokens, plain, atol=1e-5).all(2).sum()))
    assert rows_equal_to_the_first == list(range(50))


def _first_rows(network: Vec2Face) -> torch.Tensor:
    return network.latent_prior_proj_f(torch.ones(1, 192))[:, None].expand(-1, 50, -1)


def test_upsampling_at_the_lower_resolution_is_the_same_map() -> None:
    layer = Upsample(6, 4)
    x = torch.randn(2, 6, 5, 7, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain = layer.conv(torch.nn.functional.interpolate(x, scale_factor=2.0, mode="nearest"))
        torch.testing.assert_close(layer(x), plain, atol=1e-5, rtol=0)
