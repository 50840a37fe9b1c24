"""What IDiff-Face's trainings minimise, and what they draw."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from nonesuch import create_model, load_embedder
from nonesuch.core.errors import NonesuchError
from nonesuch.embedders.embedder import Embedder
from nonesuch.generators.diffusion.schedule import SCHEDULES
from nonesuch.generators.idiff.diffusion_training import (
    DiffusionLosses,
    DiffusionRecipe,
    DiffusionTask,
    LatentSamples,
    scale_to_unit,
)
from nonesuch.generators.idiff.first_stage_training import FirstStageLosses, FirstStageRecipe, FirstStageTask
from nonesuch.generators.idiff.kl_first_stage import KlFirstStage
from nonesuch.generators.idiff.network import LatentDiffusion
from nonesuch.loop.settings import TrainSettings

SEEDS = list(range(100, 132))


def _recipe(**changes: object) -> DiffusionRecipe:
    return DiffusionRecipe(images=8, batch=8, lr=1e-3, warmup=0, ema_images=1, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return load_embedder("mobilefacenet", "cpu")


def _samples(without_identity: float = 0.0) -> LatentSamples:
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((2 * 32, 8, 14, 14)).astype(np.float16)
    return LatentSamples(latents, rng.standard_normal((32, 192)).astype(np.float32), 2.0, without_identity)


def test_what_a_sample_is() -> None:
    """A photograph's latent or its mirror image's, scaled; a context of length 1; times spread over all of them."""
    samples = _samples(0.5)
    indices = np.arange(32)
    batch = samples.load(indices, SEEDS)
    own, mirrored = (2.0 * samples.latents[side::2].astype(np.float32) for side in (0, 1))
    chosen = batch["latents"].numpy()
    is_own, is_mirror = ((chosen == side).all((1, 2, 3)) for side in (own, mirrored))
    assert (is_own ^ is_mirror).all()
    assert 8 < is_own.sum() < 24
    torch.testing.assert_close(batch["contexts"].norm(dim=1), torch.ones(32))
    assert sorted(int(time * 32 / 1000) for time in batch["times"]) == list(range(32))
    assert 8 < int(batch["known"].sum()) < 24
    assert samples.load(indices, [seed + 50 for seed in SEEDS])["known"].tolist() != batch["known"].tolist()
    again = samples.load(indices[::-1].copy(), SEEDS[::-1])
    for name in ("latents", "noise", "contexts", "known", "times"):
        assert torch.equal(again[name].flip(0), batch[name])


@pytest.mark.parametrize(("prediction", "schedule"), [("noise", "linear"), ("velocity", "cosine")])
def test_the_loss_is_that_of_the_formula(embedder: Embedder, prediction: str, schedule: str) -> None:
    network = create_model("idiff_small").eval()
    assert isinstance(network, LatentDiffusion)
    torch.nn.init.normal_(network.unet.final.weight, std=0.02)
    task = DiffusionTask(network, embedder, _recipe(prediction=prediction, schedule=schedule))
    batch = _samples(0.3).load(np.arange(4), SEEDS[:4])
    with torch.no_grad():
        loss = task.losses(batch, 0)["diffusion"]
        total = 0.0
        for i in range(4):
            share = float(SCHEDULES[schedule]()[int(batch["times"][i])])
            z, e = (batch[name][i : i + 1].double() for name in ("latents", "noise"))
            x = math.sqrt(share) * z + math.sqrt(1 - share) * e
            target = e if prediction == "noise" else math.sqrt(share) * e - math.sqrt(1 - share) * z
            context = batch["contexts"][i : i + 1] if batch["known"][i] else None
            found = network.unet(x.float(), batch["times"][i : i + 1], context)
            total += float((found - target).square().mean()) / 4
    assert float(loss) == pytest.approx(total, rel=1e-4)


def test_the_identity_term_sees_what_is_predicted_to_be_clean(embedder: Embedder) -> None:
    """A U-Net that knows the velocity predicts the clean latent itself: the term is the distance of its image."""
    network = create_model("idiff_small").eval()
    assert isinstance(network, LatentDiffusion)
    recipe = _recipe(prediction="velocity", schedule="cosine", losses=DiffusionLosses(identity=2.0), identity_share=1.0)
    task = DiffusionTask(network, embedder, recipe)
    batch = _samples().load(np.arange(4), SEEDS[:4])
    batch["times"] = torch.tensor([0, 300, 849, 900])  # the last is too noisy to show a face
    batch["disturbance"] = torch.full((4, 7), 0.5)  # leaves an image as it is
    signal = torch.from_numpy(SCHEDULES["cosine"]()).float()[batch["times"]][:, None, None, None]
    truth = signal.sqrt() * batch["noise"] - (1 - signal).sqrt() * batch["latents"]
    network.unet.forward = lambda *given: truth  # type: ignore[method-assign, assignment]
    with torch.no_grad():
        terms = task.losses(batch, 0)
        images = (network.first_stage.decode(batch["latents"][:3]) + 1.0) * 127.5
        vectors = embedder.network(embedder.preprocessing.apply(images))
    assert float(terms["diffusion"]) == pytest.approx(0.0, abs=1e-6)
    cosines = torch.nn.functional.cosine_similarity(vectors, batch["contexts"][:3])
    expected = 2.0 * (signal[:3, 0, 0, 0] * (1.0 - cosines)).mean()
    assert float(terms["identity"]) == pytest.approx(float(expected), rel=1e-3)


def test_the_penalty_is_the_divergence_of_normal_distributions() -> None:
    network = KlFirstStage(widths=(16, 16, 16)).eval()
    images, noise = torch.rand(2, 3, 112, 112) * 2 - 1, torch.randn(2, 8, 14, 14)
    with torch.no_grad():
        mean, log_variance = network.posterior(images)
        again, penalties = network.trained(images, noise)
        own = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).mean()
        drawn = network.decode(mean + (0.5 * log_variance).exp() * noise)
    assert float(penalties["kl"]) == pytest.approx(float(own), rel=1e-5)
    torch.testing.assert_close(again, drawn)


@pytest.mark.parametrize("preset", ["idiff_tiny_first_stage", "idiff_small_first_stage"])
def test_the_encoder_stands_still_in_the_end(embedder: Embedder, preset: str) -> None:
    """Until then all learns; with a codebook the gradient passes what is rounded."""
    losses = FirstStageLosses(adversarial=0.0, kl=1e-3)
    settings = {"images": 8, "batch": 2, "lr": 1e-3, "warmup": 0, "ema_images": 1, "adversarial_from": 0}
    recipe = FirstStageRecipe(**settings, encoder_until=4, losses=losses)  # type: ignore[arg-type]
    network = create_model(preset)
    task = FirstStageTask(network, embedder, recipe)  # type: ignore[arg-type]
    batch = {"images": torch.rand(2, 3, 112, 112) * 2 - 1, "noise": torch.randn(2, 8, 14, 14)}
    for seen, moved in ((0, True), (4, False)):
        network.zero_grad()
        torch.stack(list(task.first_stage_losses(batch, seen).values())).sum().backward()
        has = [p.grad is not None and bool(p.grad.any()) for n, p in network.named_parameters() if "encoder" in n]
        assert any(has) == moved
        assert all(p.grad is not None for n, p in network.named_parameters() if "decoder" in n)


def test_latents_are_scaled_to_unit_variance() -> None:
    latents = np.random.default_rng(0).normal(2.0, 3.0, (1_300, 2, 3, 3)).astype(np.float16)
    assert (scale_to_unit(latents) * latents.astype(np.float64)).std() == pytest.approx(1.0, abs=1e-9)


def test_warm_restarts_are_those_of_torch() -> None:
    settings = TrainSettings(images=1_000, batch=10, lr=0.1, period=100)
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    theirs = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=10, T_mult=2)
    for step in range(100):
        assert settings.learning_rate(10 * step) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12), step
        optimizer.step()
        theirs.step()


def test_recipes_with_nothing_to_learn_are_refused() -> None:
    with pytest.raises(NonesuchError, match="nothing has a weight"):
        _recipe(losses=DiffusionLosses(diffusion=0.0))
