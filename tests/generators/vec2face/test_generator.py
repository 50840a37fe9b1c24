"""What only Vec2Face has as a generator: masks, style codes, the scale of its network, its card."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch

from nonesuch import NonesuchError, load_generator
from nonesuch.core import files, weights
from nonesuch.core.seeding import Stream, normal
from nonesuch.generators.vec2face.generator import MaskSetting, Vec2FaceCard, Vec2FaceGenerator
from nonesuch.generators.vec2face.network import Vec2Face
from nonesuch.models import ASSETS, create_model


@pytest.fixture(scope="module", params=["tiny", "vec2face_small"])
def generator(request: pytest.FixtureRequest, tiny_generator: Path) -> Vec2FaceGenerator:
    loaded = load_generator(tiny_generator if request.param == "tiny" else request.param, "cpu")
    assert isinstance(loaded, Vec2FaceGenerator)
    return loaded


def test_masks_follow_their_distribution() -> None:
    setting = MaskSetting()
    drawn = [setting.draw(seed) for seed in range(3000)]
    ratios = np.array([ratio for ratio, _ in drawn])
    expected = scipy.stats.truncnorm((0.1 - 0.15) / 0.25, (1 - 0.15) / 0.25, loc=0.15, scale=0.25)
    assert scipy.stats.kstest(ratios, expected.cdf).pvalue > 0.01
    assert all(noise.shape == (49,) for _, noise in drawn)


def test_an_image_draws_its_mask_and_its_style_code(generator: Vec2FaceGenerator) -> None:
    seeds, width = np.array([5, 2**63 + 1], dtype=np.uint64), generator.network.style_dim
    drawn = generator.draw(seeds, style_spread=0.5)
    for row, seed in enumerate(seeds.tolist()):
        ratio, noise = generator.mask.draw(seed)
        assert drawn.fixed["ratio"][row].item() == np.float32(ratio)
        assert np.array_equal(drawn.fixed["noise"][row].numpy(), noise)
        assert np.array_equal(drawn.style[row].numpy(), (0.5 * normal(seed, Stream.STYLE, width)).astype(np.float32))
    nothing = generator.draw(seeds[:0])
    assert nothing.style.shape == (0, width)
    assert {name: tuple(part.shape) for name, part in nothing.fixed.items()} == {"ratio": (0,), "noise": (0, 49)}


def test_raw_vectors_are_scaled(generator: Vec2FaceGenerator) -> None:
    vectors = np.random.default_rng(0).standard_normal((2, 192)).astype(np.float32) * 5
    seeds = np.array([0, 1_000_003], dtype=np.uint64)
    drawn = generator.draw(seeds)
    with torch.inference_mode():
        images = generator.network(
            torch.from_numpy(vectors) * 0.2,
            noise=drawn.fixed["noise"],
            mask_ratio=drawn.fixed["ratio"],
            drop_ratio=0.1,
            style=drawn.style,
        )
    expected = (images.clamp(-1, 1) + 1).permute(0, 2, 3, 1).numpy() * 127.5
    assert np.allclose(generator.render(vectors, seeds, 2), expected, atol=1e-3)


def test_only_some_have_a_style_code(generator: Vec2FaceGenerator) -> None:
    assert generator.has_style
    plain = create_model("vec2face_tiny", style_dim=0)
    assert isinstance(plain, Vec2Face)
    assert not Vec2FaceGenerator(generator.card, plain, torch.device("cpu")).has_style


def test_a_card_is_written_as_it_was_read(tmp_path: Path) -> None:
    shipped = ASSETS / "vec2face_small.safetensors"
    card = weights.read_card(shipped, Vec2FaceCard)
    files.write_json(tmp_path / "card.json", card.record())
    assert (tmp_path / "card.json").read_bytes() == weights.card_path(shipped).read_bytes()


def test_cards_that_do_not_fit_are_refused(generator: Vec2FaceGenerator) -> None:
    place = torch.device("cpu")
    for mask, reason in (({"low": 2.0}, "masks need 0 <= low"), ({"width": 1.0}, "has unknown width")):
        with pytest.raises(NonesuchError, match=rf"card of .*: bad mask \(.*{reason}"):
            Vec2FaceGenerator(replace(generator.card, mask=mask), generator.network, place)
    with pytest.raises(NonesuchError, match="feature_dim 512, the network takes 192"):
        Vec2FaceGenerator(replace(generator.card, feature_dim=512), generator.network, place)
