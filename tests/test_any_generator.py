"""A family of generators that the package does not know, of another shape than Vec2Face, passes through every stage."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nonesuch import load_generator, load_perceiver, models
from nonesuch.core import weights
from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import Stream, normal, uniform
from nonesuch.dataset.create import DatasetRequest, create_dataset, plan_dataset
from nonesuch.dataset.from_plan import PlannedImages
from nonesuch.dataset.rendering import RenderSettings
from nonesuch.dataset.vector_sources import VectorSource
from nonesuch.formats.columns import read_columns
from nonesuch.formats.readers import find
from nonesuch.generators.generator import Generator, GeneratorCard, Latent, to_grey_levels
from nonesuch.perception.perceiver import Perceiver
from nonesuch.steering.columns import steered_columns
from nonesuch.steering.least_age import LeastAge
from nonesuch.steering.steerer import Steerer, SteerSettings
from tests.cards import random_generator
from tests.conftest import Cli

SEEDS = np.arange(100, 107, dtype=np.uint64)


class ToyNetwork(nn.Module):
    """(B, 192) -> (B, 3, 14, 14)."""

    def __init__(self, feature_dim: int = 192) -> None:
        super().__init__()
        self.feature_dim = feature_dim
        self.linear = nn.Linear(feature_dim, 3 * 14 * 14)

    def forward(self, vectors: Tensor) -> Tensor:
        return self.linear(vectors).unflatten(1, (3, 14, 14))


class ToyGenerator(Generator):
    """A linear decoder, with a tint and two layers of noise for each image, and no style code."""

    def __init__(
        self, card: GeneratorCard, network: ToyNetwork, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        self.card, self.network, self.device, self.dtype = card, network, device, dtype

    def draw(self, seeds: np.ndarray, style_spread: float = 1.0) -> Latent:
        tint = np.array([uniform(int(seed), Stream.MASK_RATIO, 3) for seed in seeds], dtype=np.float32)
        noise = np.array([normal(int(seed), Stream.MASK_NOISE, 2 * 8 * 8) for seed in seeds], dtype=np.float32)
        count = len(seeds)
        fixed = {"tint": torch.from_numpy(tint).view(count, 3), "noise": torch.from_numpy(noise).view(count, 2, 8, 8)}
        return Latent(torch.zeros(count, 0), fixed)

    def forward(self, vectors: Tensor, latent: Latent) -> Tensor:
        image = F.interpolate(self.network(vectors * self.card.vector_scale), scale_factor=8.0, mode="bilinear")
        grain = F.interpolate(latent.fixed["noise"], scale_factor=14.0).sum(1, keepdim=True)
        return 100.0 + 60.0 * image.tanh() + 40.0 * latent.fixed["tint"][:, :, None, None] + 4.0 * grain.tanh()


@pytest.fixture
def toy_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights and card of a toy; the line that joins the family to the others is the first one."""
    monkeypatch.setitem(models._MODELS, "toy", models._Model(ToyNetwork, GeneratorCard, ToyGenerator))
    torch.manual_seed(1)
    card = random_generator(GeneratorCard, "toy", "toy", vector_scale=0.2, vector_norm=70.0)
    path = tmp_path / "toy.safetensors"
    weights.save(path, ToyNetwork().state_dict(), card)
    return path


@pytest.fixture
def toy(toy_file: Path) -> Generator:
    return load_generator(toy_file, "cpu")


@pytest.fixture(scope="module")
def perceiver() -> Perceiver:
    return load_perceiver(device="cpu")


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((len(SEEDS), 192)).astype(np.float32) * 5


def test_rendering(toy: Generator, vectors: np.ndarray) -> None:
    assert not toy.has_style
    whole = toy.render(vectors, SEEDS, 3)
    assert whole.shape == (7, 112, 112, 3)
    assert np.array_equal(whole[4:5], toy.render(vectors[4:5], SEEDS[4:5], 3))
    with torch.inference_mode():
        plain = toy.forward(torch.from_numpy(vectors), toy.draw(SEEDS)).permute(0, 2, 3, 1).numpy()
    assert np.abs(plain - whole).max() < 1e-3
    assert np.abs(whole - toy.render(vectors, SEEDS + np.uint64(1), 3)).mean() > 1


def test_a_dataset_and_its_plan(toy: Generator, vectors: np.ndarray, tmp_path: Path) -> None:
    source = VectorSource({}, False, lambda on_progress: ([""] * len(vectors), vectors))
    request = DatasetRequest(images_per_identity=3, sigma_mix={0.3: 1.0}, seed=0, images_per_shard=12, vectors=source)
    settings = RenderSettings(device="cpu", dtype="float32", micro_batch=4, codec="png", quality=95)
    manifest, rendered, _ = create_dataset(tmp_path / "stored", request, toy, settings, workers=2)
    assert (manifest.complete, rendered) == (True, 21)
    plan_dataset(tmp_path / "plan", request, toy, settings)
    planned = PlannedImages(tmp_path / "plan", toy)
    for photograph, image in zip(find(tmp_path / "stored"), planned.read(planned.photographs), strict=True):
        assert np.array_equal(photograph.read_crop(), image)


def test_a_least_age(toy: Generator, perceiver: Perceiver, vectors: np.ndarray) -> None:
    plain = to_grey_levels(toy.render(vectors, np.zeros(7, dtype=np.uint64), 16, style_spread=0.0))
    ages = perceiver.perceive(plain)["age"]
    years = float(np.sort(ages)[3:5].mean())  # between two of them: threads may change last bits
    assert LeastAge(years, toy, perceiver)(vectors).tolist() == (ages >= years).tolist()


def test_steering(toy: Generator, perceiver: Perceiver, vectors: np.ndarray) -> None:
    plain = toy.render(vectors, SEEDS, 3).mean((1, 2, 3))
    most = float(plain.max()) - 3.0

    def too_light(pixels: Tensor) -> Tensor:
        return (pixels.mean((1, 2, 3)) - most) / 5.0

    steerer = Steerer(toy, perceiver, [], SteerSettings(steps=30, identity=-1.0), too_light)
    found = steerer.steer(vectors, vectors, SEEDS, micro_batch=3)
    assert found.accepted.all()
    assert found.steps[plain.argmax()] > 0
    assert found.styles.shape == (7, 0)
    assert "style" not in steered_columns([], found).column_names
    with torch.inference_mode():
        pixels = toy.forward(torch.from_numpy(found.vectors), toy.draw(SEEDS)).permute(0, 2, 3, 1).numpy()
    assert np.abs(to_grey_levels(pixels).astype(int) - found.images).max() <= 1
    alone = steerer.steer(vectors[[5, 2]], vectors[[5, 2]], SEEDS[[5, 2]], micro_batch=3)
    assert np.array_equal(alone.images, found.images[[5, 2]])


def test_the_command_line(cli: Cli, toy_file: Path, tmp_path: Path) -> None:
    options = ["--generator", toy_file, "--identities", 3, "--images", 2, "--no-summary"]
    assert "toy has no style code" in cli("generate", tmp_path / "out", *options, "--style", 1).error
    outcome = cli("generate", tmp_path / "out", *options, "--steer", "yaw=10", "--steer-steps", 1)
    assert outcome.status == 0, outcome.err
    assert "style" not in read_columns(tmp_path / "out", "steering").column_names
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["generator"]["name"] == "toy"
    assert cli("identities", tmp_path / "people.parquet", "--generator", toy_file, "--identities", 3).status == 0
    bare, imported = tmp_path / "bare.pth", tmp_path / "imported.safetensors"
    torch.save(ToyNetwork().state_dict(), bare)
    outcome = cli("import-weights", bare, "--out", imported, "--architecture", "toy", "--decodes", "mobilefacenet")
    assert outcome.status == 0, outcome.err
    assert load_generator(imported, "cpu").card.feature_dim == 192
    shown = [line.split() for line in cli("models", "toy").out.splitlines() if " toy " in line]
    assert [line[3] for line in shown] == ["generator"]


def test_weights_that_are_no_generators(toy_file: Path, tmp_path: Path) -> None:
    card = weights.read_card(toy_file, GeneratorCard)
    other = tmp_path / "other.safetensors"
    for architecture, reason in (
        ("mobilefacenet", "where a generator is needed"),
        ("top", "unknown model 'top'"),
    ):
        weights.save(other, ToyNetwork().state_dict(), replace(card, architecture=architecture))
        with pytest.raises(NonesuchError, match=reason):
            load_generator(other, "cpu")
    with pytest.raises(NonesuchError, match="where a generator is needed"):
        load_generator("mobilefacenet", "cpu")


def test_a_family_that_forgets_to_draw_is_refused_at_once(toy_file: Path) -> None:
    class Forgetful(Generator):
        def forward(self, vectors: torch.Tensor, latent: Latent) -> torch.Tensor:
            return vectors

    with pytest.raises(TypeError, match="draw"):
        Forgetful()
