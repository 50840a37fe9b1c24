"""What distilling a diffusion to one step minimises, and what it draws."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from nonesuch import create_model, load_embedder, load_generator
from nonesuch.embedders.embedder import Embedder
from nonesuch.generators.idiff.distillation import (
    DistillationLosses,
    DistillationRecipe,
    DistillationTask,
    PairSamples,
    pair_seed,
)
from nonesuch.generators.idiff.network import LatentDiffusion

SEEDS = list(range(100, 108))
_LOSSES = DistillationLosses(latent=2.0, pixel=3.0, identity=7.0, steady=5.0, adversarial=11.0)
_RECIPE = DistillationRecipe(
    images=8, batch=8, lr=1e-3, warmup=0, ema_images=1, losses=_LOSSES, pairs=9, teacher="ddim", decoded_from=16,
    discriminator={"bands": (4, 8), "whole": (4, 8), "sure": 1.0},
)  # fmt: skip


class _Crops:
    def read(self, indices: np.ndarray) -> Tensor:
        return torch.from_numpy(np.broadcast_to(indices[:, None, None, None], (len(indices), 112, 112, 3)).copy())


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return load_embedder("mobilefacenet", "cpu")


def _person(seed: int) -> np.ndarray:
    return np.full(192, seed % 1000 + 1.0, dtype=np.float32)


def _samples() -> PairSamples:
    rng = np.random.default_rng(0)
    latents = [rng.standard_normal((count, 8, 14, 14)).astype(np.float16) for count in (5, 4)]
    return PairSamples(_Crops(), latents, _person, np.zeros((0, 8 * 14 * 14)), 3)  # type: ignore[arg-type]


def _task(embedder: Embedder, answer: Tensor) -> DistillationTask:
    """A student that answers this clean latent, whatever it is asked."""
    torch.manual_seed(0)
    network = create_model("idiff_fast").eval()
    assert isinstance(network, LatentDiffusion)
    task = DistillationTask(network, embedder, _RECIPE, latent_scale=0.5)
    network.unet.forward = lambda *given: -answer  # type: ignore[method-assign, assignment]
    return task


def test_a_pair_is_a_person_a_noise_and_the_latent_of_both() -> None:
    samples = _samples()
    batch = samples.load(np.arange(8), SEEDS)
    stored = np.concatenate(samples.latents).astype(np.float32)
    numbers = [int(np.flatnonzero((stored == latent).all((1, 2, 3)))[0]) for latent in batch["latents"].numpy()]
    assert len(set(numbers)) > 3
    pairs = np.array([pair_seed(number, 3) for number in numbers], dtype=np.uint64)
    drawn = load_generator("idiff_small", "cpu").draw(pairs).fixed["noise"]
    torch.testing.assert_close(batch["noise"], drawn)
    assert batch["vectors"][:, 0].tolist() == [int(pair) % 1000 + 1.0 for pair in pairs]
    again = samples.load(np.arange(8)[::-1].copy(), SEEDS[::-1])
    assert all(torch.equal(again[name].flip(0), part) for name, part in batch.items())
    other = samples.load(np.arange(8), [seed + 50 for seed in SEEDS])
    assert not torch.equal(other["noise"], batch["noise"])
    torch.testing.assert_close(other["images"], batch["images"])


def test_a_student_that_draws_as_its_teacher_loses_nothing_but_to_the_judges(embedder: Embedder) -> None:
    batch = _samples().load(np.arange(4), SEEDS[:4])
    batch["disturbance"] = torch.full((4, 7), 0.5)
    task = _task(embedder, batch["latents"])
    with torch.no_grad():
        torch.manual_seed(1)  # of the discriminator's window
        terms = task.losses(batch, 16)
        images = task.network.first_stage.decode(batch["latents"] / 0.5)
        vectors = embedder.network(embedder.preprocessing.apply((images + 1.0) * 127.5))
        cosines = torch.nn.functional.cosine_similarity(vectors, batch["vectors"])
        torch.manual_seed(1)
        missed = task.discriminator.unconvinced(images).mean()
    assert set(terms) == {"latent", "pixel", "identity", "adversarial"}  # nothing tells how steady it is
    for name in ("latent", "pixel"):
        assert terms[name].item() == pytest.approx(0.0, abs=1e-6)
    assert terms["identity"].item() == pytest.approx(7.0 * (1.0 - cosines).mean().item(), rel=1e-3)
    assert terms["adversarial"].item() == pytest.approx(11.0 * missed.item(), rel=1e-4)


def test_the_distance_of_latents_by_hand(embedder: Embedder) -> None:
    batch = _samples().load(np.arange(4), SEEDS[:4])
    offsets = torch.tensor([0.0, 0.01, 0.1, 1.0])[:, None, None, None]
    terms = _task(embedder, batch["latents"] + offsets).losses(batch, 0)
    assert set(terms) == {"latent"}  # images are not decoded yet
    expected = 2.0 * np.mean([math.sqrt(offset**2 + 0.03**2) - 0.03 for offset in (0.0, 0.01, 0.1, 1.0)])
    assert terms["latent"].item() == pytest.approx(expected, rel=1e-4)


def test_images_are_compared_an_eighth_as_wide_and_asked_to_be_steady(embedder: Embedder) -> None:
    batch = _samples().load(np.arange(4), SEEDS[:4])
    task, vectors = _task(embedder, batch["latents"] + 0.5), []
    task.shortfall = lambda maps, of: vectors.append(of) or torch.tensor([0.0, 0.0, 1.0, 3.0])  # type: ignore[func-returns-value]
    with torch.no_grad():
        terms = task.losses(batch, 16)
        decoded = [task.network.first_stage.decode((batch["latents"] + by) / 0.5) for by in (0.0, 0.5)]
    blocks = [image.unfold(2, 8, 8).unfold(3, 8, 8).mean((4, 5)) for image in decoded]
    assert terms["pixel"].item() == pytest.approx(3.0 * float((blocks[0] - blocks[1]).square().mean()), rel=1e-3)
    assert terms["steady"].item() == pytest.approx(5.0)
    assert vectors[0] is batch["vectors"]


def test_the_first_stage_stands_still(embedder: Embedder) -> None:
    batch = _samples().load(np.arange(2), SEEDS[:2])
    answer = (batch["latents"] + 0.1).requires_grad_(True)
    task = _task(embedder, answer)
    torch.stack(list(task.losses(batch, 16).values())).sum().backward()
    assert answer.grad is not None
    assert all(parameter.grad is None for parameter in task.network.first_stage.parameters())
