"""Arc2Face as a generator: every image is a function of its vector and its own seed, in every command."""

import json
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nonesuch import create_model, load_generator
from nonesuch.core import weights
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import Notice
from nonesuch.formats.dataset import read_identities
from nonesuch.generators.arc2face.generator import Arc2FaceCard, Arc2FaceGenerator
from nonesuch.generators.diffusion.dpm_solver import dpm_solver
from nonesuch.generators.diffusion.lcm import lcm, lcm_visits
from tests.cards import random_generator
from tests.conftest import Cli
from tests.generators.own_seeds import check_images_are_of_their_seeds

diffusers = pytest.importorskip("diffusers", reason="needs nonesuch[diffusers]")

SEEDS = np.array([7, 2**64 - 1, 0, 9], dtype=np.uint64)
SAMPLERS = ["dpm,steps=3,guidance=3", "lcm,steps=2", "ddim,steps=2,eta=1", "dpm,steps=2,negative=0.5"]
# How Stable Diffusion 1.5 is published to be scheduled.
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


@pytest.fixture(scope="module")
def file(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("arc2face") / "own.safetensors"
    sampling = {"sampler": "dpm", "steps": 2, "guidance": 3.0}
    card = random_generator(Arc2FaceCard, "own", "arc2face_tiny", sampling=sampling)
    weights.save(path, weights.halved(network.state_dict()), card)
    return path


@pytest.fixture(scope="module")
def own(file: Path) -> Arc2FaceGenerator:
    generator = load_generator(file, "cpu")
    assert isinstance(generator, Arc2FaceGenerator)
    return generator


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((4, 192)).astype(np.float32) * 5


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_an_image_is_its_vector_and_its_seed(own: Arc2FaceGenerator, vectors: np.ndarray, sampler: str) -> None:
    check_images_are_of_their_seeds(own.with_sampler("guidance=1").with_sampler(sampler), vectors, SEEDS)


def test_images_of_nobody_are_those_of_the_empty_prompt(own: Arc2FaceGenerator, vectors: np.ndarray) -> None:
    nobody = own.unconditional()
    assert own.shows_identity
    assert not nobody.shows_identity
    images = nobody.render(vectors, SEEDS, 4)
    assert np.array_equal(images, nobody.render(vectors[::-1], SEEDS, 4))
    guided_from_nobody = own.with_sampler("guidance=0").render(vectors, SEEDS, 4)
    assert np.abs(images - guided_from_nobody).max() < 0.5


def test_guidance_drives_away_from_the_empty_prompt(own: Arc2FaceGenerator, vectors: np.ndarray) -> None:
    """In one step from the noisiest time, whose clean latent is decoded and framed as FFHQ is."""
    generator = own.with_sampler("ddim,steps=1,guidance=3")
    network, noise = generator.network, generator.draw(SEEDS[:2]).fixed["noise"]
    share, times = 0.0046602, torch.full((2,), 999.0)
    with torch.inference_mode():
        known, nobody = network.encoder(torch.from_numpy(vectors[:2])), network.encoder.of_nobody().expand(2, -1, -1)
        with_it, without = (network.unet(noise, times, context).sample for context in (known, nobody))
        eps = without + 3.0 * (with_it - without)
        clean = (noise - (1 - share) ** 0.5 * eps) / share**0.5
        images = (network.vae.decode(clean / 0.18215).sample.clamp(-1, 1) + 1) * 127.5
        expected = generator._align(images).permute(0, 2, 3, 1)
    np.testing.assert_allclose(generator.render(vectors[:2], SEEDS[:2], 2), expected, atol=0.5)


@pytest.mark.parametrize("steps", [20, 25])
def test_times_and_solver_are_those_of_the_published_scheduler(own: Arc2FaceGenerator, steps: int) -> None:
    pndm = diffusers.PNDMScheduler(skip_prk_steps=True, set_alpha_to_one=False, **SCHEDULE)
    scheduler = diffusers.DPMSolverMultistepScheduler.from_config(pndm.config)
    scheduler.set_timesteps(steps)
    visited = own.with_sampler(f"dpm,steps={steps}")._visits()
    assert visited.times.tolist() == scheduler.timesteps.tolist()
    expected = x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for time in scheduler.timesteps:
        expected = scheduler.step(_guess(expected, float(time)), time, expected).prev_sample
    torch.testing.assert_close(dpm_solver(_guess, x, visited), expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_few_steps_are_those_of_the_published_scheduler(own: Arc2FaceGenerator, steps: int) -> None:
    scheduler = diffusers.LCMScheduler.from_config(diffusers.PNDMScheduler(**SCHEDULE).config)
    scheduler.set_timesteps(steps)
    expected = x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    drawn, generator = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    for time in scheduler.timesteps:
        expected = scheduler.step(_guess(expected, float(time)), time, expected, generator=generator).prev_sample
    visited = lcm_visits(own._signal, steps)
    assert visited.times.tolist() == scheduler.timesteps.tolist()
    found = lcm(_guess, x, visited, lambda step: torch.randn(x.shape, generator=drawn))
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def _guess(x: Tensor, time: float) -> Tensor:
    """Something like the noise in x."""
    return torch.sin(x) + 0.1 * time / 1000.0


def test_generate_takes_it_as_any_other(cli: Cli, file: Path, tmp_path: Path) -> None:
    options = ["--generator", file, "--identities", 3, "--images", 2, "--codec", "png", "--no-summary"]
    assert cli("generate", tmp_path / "one", *options, "--workers", 1, "--shard-images", 2).status == 0
    assert cli("generate", tmp_path / "two", *options, "--workers", 2, "--sampler", "dpm").status == 0
    assert cli("generate", tmp_path / "fast", *options, "--sampler", "lcm,guidance=1").status == 0
    assert cli("verify", tmp_path / "one").status == 0
    one, two, fast = (
        [np.asarray(image) for who in read_identities(tmp_path / name, 3, 2) for image in who.images]
        for name in ("one", "two", "fast")
    )
    assert np.array_equal(one, two)
    assert all(np.abs(np.subtract(a, b, dtype=np.float32)).max() > 3 for a, b in zip(one, fast, strict=True))
    record = json.loads((tmp_path / "one" / "dataset.json").read_text())
    assert record["render"]["micro_batch"] == 1
    assert record["render"]["sampler"] == "dpm,steps=2,eta=0,guidance=3,negative=0,least_cosine=1"
    assert "no style code" in cli("generate", tmp_path / "three", *options, "--style", 1).error


def test_few_steps_can_be_steered(cli: Cli, file: Path, tmp_path: Path) -> None:
    options = ["--generator", file, "--identities", 1, "--images", 1, "--no-summary", "--steer", "yaw=20"]
    outcome = cli("generate", tmp_path / "out", *options, "--sampler", "dpm,steps=2", "--steer-steps", 2)
    assert outcome.status == 0, outcome.err
    assert pq.read_table(tmp_path / "out" / "columns" / "steering" / "000000.parquet").num_rows == 1
    assert "at most 20" in cli("generate", tmp_path / "x", *options, "--sampler", "dpm,steps=25").error


def test_gradients_reach_the_vectors(own: Arc2FaceGenerator, vectors: np.ndarray) -> None:
    given = torch.from_numpy(vectors[:1]).requires_grad_()
    own.forward(given, own.draw(SEEDS[:1])).mean().backward()  # type: ignore[no-untyped-call]
    assert given.grad is not None
    assert float(given.grad.abs().max()) > 0.0
    assert float(F.cosine_similarity(given.grad, given.detach()).abs()) < 1e-3  # the length of a vector says nothing


def test_odd_settings_are_noted(file: Path, tmp_path: Path) -> None:
    with pytest.warns(Notice, match="lcm needs weights distilled for it"):
        load_generator(file, "cpu").with_sampler("lcm,steps=4,guidance=1")
    card = replace(weights.read_card(file, Arc2FaceCard), distilled=True, sampling={"sampler": "lcm", "steps": 4})
    weights.save(tmp_path / "fast.safetensors", create_model("arc2face_tiny").state_dict(), card)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)
        fast = load_generator(tmp_path / "fast.safetensors", "cpu")
    with pytest.warns(Notice, match="was distilled for few steps"):
        fast.with_sampler("dpm")
    with pytest.raises(NonesuchError, match="lcm takes at most 50 steps"):
        fast.with_sampler("steps=51")


@pytest.mark.parametrize(
    "change", [{"unet": {"colour": 1}}, {"latent_side": 0}, {"encoder": {"width": 10**9}}], ids=str
)
def test_cards_with_other_sizes_are_refused(file: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    (tmp_path / "own.safetensors").write_bytes(file.read_bytes())
    card = json.loads(file.with_suffix(".json").read_text()) | {"sizes": change}
    (tmp_path / "own.json").write_text(json.dumps(card))
    with pytest.raises(NonesuchError, match=r"arc2face_tiny: sizes .*") as raised:
        load_generator(tmp_path / "own.safetensors", "cpu")
    assert "\n" not in str(raised.value)


def test_it_works_on_other_precisions(own: Arc2FaceGenerator, file: Path, vectors: np.ndarray) -> None:
    coarse = load_generator(file, "cpu", "bfloat16").render(vectors[:1], SEEDS[:1], 1)
    assert np.abs(coarse - own.render(vectors[:1], SEEDS[:1], 1)).mean() < 8.0


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, cli: Cli, file: Path, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    said = "Arc2Face needs diffusers: pip install 'nonesuch[diffusers]'"
    assert cli("generate", tmp_path / "out", "--generator", file).error == f"error: {said}"
    options = ["--out", tmp_path / "a.safetensors", "--architecture", "arc2face", "--decodes", "arcface"]
    assert said in cli("import-weights", file, *options).error
    with pytest.raises(NonesuchError, match="needs diffusers"):
        create_model("arc2face_tiny")
