"""Noise that is wider in one direction: found on planted truth, written, and drawn from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nonesuch.training.widen_generator as module
from nonesuch import create_model, load_generator
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import Pixels
from nonesuch.core.seeding import Stream, derive_seed
from nonesuch.generators.generator import Latent
from nonesuch.generators.idiff.network import LatentDiffusion, style_apart
from tests.cards import write_tiny_idiff
from tests.conftest import Cli


def test_a_planted_direction_is_found() -> None:
    rng = np.random.default_rng(0)
    noise, planted = rng.standard_normal((2000, 150)).astype(np.float32), rng.standard_normal(150)
    planted /= np.linalg.norm(planted)
    values = (7.0 + 6.0 * noise @ planted + 8.0 * rng.standard_normal(2000)).astype(np.float32)
    found, correlation = module.direction(noise, values, "planted")
    assert np.linalg.norm(found) == pytest.approx(1.0)
    assert found @ planted > 0.9
    assert correlation == pytest.approx(0.6, abs=0.1)  # 6 / sqrt(6^2 + 8^2), the most there is to tell
    with pytest.raises(NonesuchError, match=r"does not tell which way faces look .* draw more --images"):
        module.direction(noise[:500], rng.standard_normal(500).astype(np.float32), "unrelated")
    with pytest.raises(NonesuchError, match="all look one way"):
        module.direction(noise, np.full(2000, 3.0, dtype=np.float32), "constant")


def test_noise_is_wide_along_the_rows_and_the_same_elsewhere() -> None:
    network = create_model("idiff_tiny", styles=2)
    assert isinstance(network, LatentDiffusion)
    size = network.styles.shape[1]
    rows, _ = torch.linalg.qr(torch.randn(size, 3, generator=torch.Generator().manual_seed(0)))
    network.styles.copy_(rows.T[:2] * torch.tensor([2.2, 1.5])[:, None])
    noise = torch.randn(4, size, generator=torch.Generator().manual_seed(1))
    rest, style = (torch.from_numpy(part) for part in style_apart(noise.numpy(), network.style_units()))
    torch.testing.assert_close(style, noise @ rows[:, :2], rtol=1e-4, atol=1e-4)
    joined = network.with_style(rest.view(4, *network.latent_shape), style).flatten(1)
    torch.testing.assert_close(joined @ rows, noise @ rows * torch.tensor([2.2, 1.5, 1.0]), rtol=1e-4, atol=1e-4)
    across = torch.eye(size) - rows @ rows.T
    torch.testing.assert_close(joined @ across, noise @ across, rtol=1e-3, atol=1e-4)
    alone = style_apart(noise[2:3].numpy(), network.style_units())
    assert np.array_equal(alone[0], rest[2:3].numpy())
    assert np.array_equal(alone[1], style[2:3].numpy())


def test_a_network_without_directions_draws_as_published() -> None:
    plain = create_model("idiff_tiny")
    assert isinstance(plain, LatentDiffusion)
    noise = np.ones((2, plain.styles.shape[1]), dtype=np.float32)
    rest, style = style_apart(noise, plain.style_units())
    assert rest is noise
    assert style.shape == (2, 0)
    assert "styles" not in plain.state_dict()
    with pytest.raises(NonesuchError, match="styles 99: 0 to 16 directions"):
        create_model("idiff_tiny", styles=99)


class _Told:
    """Says of each image what was planted in its noise."""

    def __init__(self, yaw: np.ndarray) -> None:
        self.yaw, self.said = yaw, 0

    def perceive(self, crops: Pixels) -> dict[str, np.ndarray]:
        self.said += len(crops)
        return {"yaw": self.yaw[self.said - len(crops) : self.said]}


def test_a_widened_generator_draws_from_wider_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sampling = {"sampler": "ddim", "steps": 1}
    told: dict[str, Any] = {"prediction": "velocity", "schedule": "cosine", "sampling": sampling}
    plain = load_generator(write_tiny_idiff(tmp_path / "plain.safetensors", {"latent_side": 8}, **told), "cpu")
    size = int(np.prod(plain.network.latent_shape))  # type: ignore[attr-defined]
    planted = np.random.default_rng(0).standard_normal(size)
    planted /= np.linalg.norm(planted)
    seeds = np.array([derive_seed(3, number, int(Stream.OTHER)) for number in range(500)], dtype=np.uint64)
    yaw = 9.0 * plain.draw(seeds).fixed["noise"].flatten(1).numpy() @ planted
    monkeypatch.setattr(module, "load_perceiver", lambda device: _Told(yaw.astype(np.float32)))

    path = tmp_path / "wide.safetensors"
    found = module.widen_generator(str(tmp_path / "plain.safetensors"), path, yaw=4.0, images=500, seed=3, device="cpu")
    assert found.correlation > 0.7
    assert found.yaw_before == pytest.approx(9.0, rel=0.1)
    wide = load_generator(path, "cpu")
    assert wide.card.sizes == {"latent_side": 8, "styles": 1}
    assert "4 times as wide in the direction of yaw" in wide.card.source

    few, vectors = np.arange(10_000, 10_008, dtype=np.uint64), torch.ones(8, 192)
    row = wide.network.styles[0]  # type: ignore[attr-defined]
    along = row / row.norm()
    assert abs(float(along @ torch.from_numpy(planted).float())) > 0.8
    assert float(row.norm()) == pytest.approx(4.0, rel=1e-3)
    moved = plain.draw(few)
    noise = moved.fixed["noise"].flatten(1)
    parts = {**moved.fixed, "noise": (noise + 3.0 * (noise @ along)[:, None] * along).view_as(moved.fixed["noise"])}
    with torch.inference_mode():
        drawn = wide.forward(vectors, wide.draw(few))
        expected = plain.forward(vectors, Latent(moved.style, parts))
        assert (drawn - expected).abs().median() < 0.2  # rounding turns a code of the first stage here and there
        assert (drawn - plain.forward(vectors, plain.draw(few))).abs().mean() > 4.0
    assert wide.has_style
    assert not plain.has_style
    assert not wide.draw(few, style_spread=0.0).style.any()
    with pytest.raises(NonesuchError, match="is one of the files to read; give it another name"):
        module.widen_generator(str(tmp_path / "plain.safetensors"), tmp_path / "plain.safetensors")
    with pytest.raises(NonesuchError, match="is widened already; name the weights that it was made from"):
        module.widen_generator(str(path), tmp_path / "again.safetensors")


def test_wrong_input(cli: Cli, tmp_path: Path) -> None:
    for options, said in (
        (["vec2face_small", "--out", "wide.safetensors"], "vec2face"),
        (["idiff_small", "--out", tmp_path / "wide.onnx"], "name a .safetensors file"),
        (["idiff_small", "--out", tmp_path / "w.safetensors", "--yaw", 9], "9"),
        (["idiff_small", "--out", tmp_path / "w.safetensors", "--images", 20], "20"),
    ):
        outcome = cli("widen-generator", *options)
        assert outcome.status in (1, 2)
        assert said in outcome.err.splitlines()[-1]
        assert not list(tmp_path.iterdir())
