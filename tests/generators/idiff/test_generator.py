"""IDiff-Face as a generator: every image is a function of its vector and its own seed, whatever the sampler."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nonesuch import create_model, load_generator
from nonesuch.core import weights
from nonesuch.core.errors import NonesuchError
from nonesuch.generators.idiff.generator import IDiffCard, IDiffGenerator
from tests.cards import random_generator
from tests.conftest import Cli
from tests.filling import fill

SEEDS = np.array([7, 2**64 - 1, 0, 9], dtype=np.uint64)
SETTINGS: list[dict[str, Any]] = [
    {"sampler": "ddim", "steps": 3},
    {"sampler": "ddim", "steps": 3, "eta": 1.0},
    {"sampler": "ddpm", "steps": 4},
    {"sampler": "ddpm-posterior", "steps": 4},
    {"sampler": "dpm", "steps": 4},
    {"sampler": "ddim", "steps": 2, "guidance": 2.0},
    {"sampler": "ddim", "steps": 2, "least_cosine": 0.6},
]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = create_model("idiff_tiny")
    fill(network)
    path = tmp_path_factory.mktemp("idiff") / "own.safetensors"
    card = random_generator(IDiffCard, "own", "idiff_tiny", sampling={"steps": 3}, learned_without_identity=True)
    weights.save(path, network.state_dict(), card)
    return path


@pytest.fixture(scope="module")
def own(file: Path) -> IDiffGenerator:
    generator = load_generator(file, "cpu")
    assert isinstance(generator, IDiffGenerator)
    return generator


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((4, 192)).astype(np.float32) * 20


def _with(own: IDiffGenerator, **changes: Any) -> IDiffGenerator:
    return IDiffGenerator(replace(own.card, **changes), own.network, own.device)  # type: ignore[arg-type]


@pytest.mark.parametrize("sampling", SETTINGS, ids=lambda s: "-".join(str(value) for value in s.values()))
def test_an_image_is_its_vector_and_its_seed(
    own: IDiffGenerator, vectors: np.ndarray, sampling: dict[str, Any]
) -> None:
    generator = _with(own, sampling=sampling)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as each worker of `generate` does
    try:
        whole = generator.render(vectors, SEEDS, 3)
        again = generator.render(vectors[[3, 1]], SEEDS[[3, 1]], 3)
        other = generator.render(vectors[:1], SEEDS[1:2], 3)
    finally:
        torch.set_num_threads(threads)
    assert whole.shape == (4, 112, 112, 3)
    assert np.array_equal(again, whole[[3, 1]])
    assert np.abs(other[0] - whole[0]).mean() > 1.0


def test_guidance_and_perturbation_change_images(own: IDiffGenerator, vectors: np.ndarray) -> None:
    plain = own.render(vectors[:1], SEEDS[:1], 1)
    for sampling in ({"steps": 3, "guidance": 3.0}, {"steps": 3, "least_cosine": 0.0}):
        assert np.abs(_with(own, sampling=sampling).render(vectors[:1], SEEDS[:1], 1) - plain).max() > 0.5


def test_contexts_lie_at_the_cosines_that_were_drawn(own: IDiffGenerator, vectors: np.ndarray) -> None:
    generator = _with(own, sampling={"steps": 1, "least_cosine": 0.6})
    seeds = np.arange(400, dtype=np.uint64)
    latent = generator.draw(seeds)
    heard: list[torch.Tensor] = []
    hook = generator.network.unet.context_emb.register_forward_pre_hook(lambda module, given: heard.append(given[0]))
    try:
        identity = torch.from_numpy(vectors[:1]).expand(4, -1)
        generator.forward(identity, latent.each(lambda part: part[:4]))
    finally:
        hook.remove()
    cosines = F.cosine_similarity(heard[0], identity)
    torch.testing.assert_close(cosines, latent.fixed["cosine"][:4], atol=1e-5, rtol=0)
    drawn = latent.fixed["cosine"].numpy()
    assert drawn.min() >= 0.6
    assert abs(np.quantile(drawn, 0.5) - 0.8) < 0.03


def test_velocity_is_noise_in_another_form(own: IDiffGenerator, vectors: np.ndarray) -> None:
    """v = sqrt(a) noise - sqrt(1 - a) clean, for the noise that is made of v and the clean latent that follows."""
    generator = _with(own, prediction="velocity")
    x, context = torch.randn(2, 3, 28, 28), torch.randn(2, 192)
    share = float(generator._signal[400])
    with torch.inference_mode():
        velocity = generator.network.unet(x, torch.full((2,), 400.0), context)
        noise = generator._noise(x, 400.0, context)
    clean = (x - (1 - share) ** 0.5 * noise) / share**0.5
    torch.testing.assert_close(share**0.5 * noise - (1 - share) ** 0.5 * clean, velocity, atol=1e-4, rtol=1e-4)


def test_generate_takes_it_as_any_other(cli: Cli, file: Path, tmp_path: Path) -> None:
    options = ["--generator", file, "--identities", 3, "--images", 2, "--codec", "png", "--no-summary"]
    assert cli("generate", tmp_path / "one", *options, "--workers", 1).status == 0
    assert cli("generate", tmp_path / "two", *options, "--workers", 2, "--micro-batch", 16).status == 0
    assert cli("verify", tmp_path / "one").status == 0
    one, two = ((tmp_path / name / "shards" / "000000.tar").read_bytes() for name in ("one", "two"))
    assert one == two
    assert "no style code" in cli("generate", tmp_path / "three", *options, "--style", 1).error


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampling": {"steps": 0}}, "steps: a whole number from 1 to 1000"),
        ({"sampling": {"steps": 2.5}}, "steps"),
        ({"sampling": {"sampler": "euler"}}, "sampler: one of ddpm"),
        ({"sampling": {"guidance": 1e9}}, "guidance: 0 to 20"),
        ({"sampling": {"guidance": float("nan")}}, "guidance"),
        ({"sampling": {"eta": 2.0}}, "eta: 0 to 1"),
        ({"sampling": {"sampler": "dpm", "eta": 0.5}}, "eta: goes with ddim"),
        ({"sampling": {"least_cosine": 1.5}}, "least_cosine"),
        ({"sampling": {"colour": 1}}, "bad sampling"),
        ({"sampling": {"guidance": 2.0}, "learned_without_identity": False}, "set guidance to 1"),
        ({"schedule": "square"}, "schedule square"),
        ({"prediction": "score"}, "prediction score"),
        ({"feature_dim": 512}, "the network takes 192"),
    ],
    ids=str,
)
def test_cards_that_cannot_be(own: IDiffGenerator, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(NonesuchError, match=message):
        _with(own, **changes)
