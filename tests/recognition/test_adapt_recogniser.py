"""Training adapters: only they change, they learn, and a resumed run equals one that was not stopped."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nonesuch.embedders.adapters import AdaptedNetwork
from nonesuch.embedders.embedder import Preprocessing
from nonesuch.formats.readers import find
from nonesuch.loop.settings import TrainSettings
from nonesuch.loop.step_results import Progress
from nonesuch.loop.trainer import Trainer
from nonesuch.models import create_model
from nonesuch.recognition.adapt_recogniser import measure_quality
from nonesuch.recognition.augmentation import Augmentation
from nonesuch.recognition.recipes import create_head
from nonesuch.recognition.samples import FaceSamples
from nonesuch.recognition.task import Recogniser, RecogniserTask
from tests.filling import fill
from tests.loop.claimed import claimed_trainer
from tests.people import planted_person

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> FaceSamples:
    """Six planted people of eight images."""
    folder = tmp_path_factory.mktemp("people")
    for person in range(6):
        planted_person(folder, person, range(8))
    return FaceSamples(find(folder))


def _task(samples: FaceSamples, name: str) -> tuple[AdaptedNetwork, RecogniserTask]:
    torch.manual_seed(0)
    network = create_model(name)
    fill(network)
    adapted = AdaptedNetwork(network, 4)
    head = create_head("arcface", 32, len(samples.identities), m2=0.2, scale=16.0)
    task = RecogniserTask(Recogniser(adapted, head), Augmentation(low_resolution=0.5))
    measure_quality(adapted, task, samples, 0, CPU)
    return adapted, task


def _trainer(samples: FaceSamples, name: str, folder: Path, images: int, dtype: str = "float32") -> Trainer:
    settings = TrainSettings(images=images, batch=16, lr=5e-3, weight_decay=0.1, ema_images=0, dtype=dtype)
    return claimed_trainer(_task(samples, name)[1], samples, settings, folder)


# Rank 4 and stride 2 in float32: torch 2.13 has crashed in convolutions of so few channels, channels last.
@pytest.mark.parametrize(
    ("name", "dtype"), [("iresnet_tiny", "float32"), ("iresnet_tiny", "bfloat16"), ("vit_tiny", "float32")]
)
def test_only_adapters_and_head_change_and_they_learn(
    samples: FaceSamples, tmp_path: Path, name: str, dtype: str
) -> None:
    trainer = _trainer(samples, name, tmp_path, 320, dtype)
    before = {path: tensor.clone() for path, tensor in trainer.network.state_dict().items()}
    losses: list[float] = []
    trainer.run(lambda progress: losses.append(progress.losses["head"]), lambda: None)
    assert np.mean(losses[-6:]) < 0.6 * np.mean(losses[:6])
    for path, tensor in trainer.averaged().items():
        trained = ".high." in path or ".low." in path or path.startswith("head.")
        assert torch.equal(tensor, before[path]) != trained, path


def test_resuming_changes_nothing(samples: FaceSamples, tmp_path: Path) -> None:
    straight = _trainer(samples, "iresnet_tiny", tmp_path / "straight", 96)
    straight.run(lambda progress: None, lambda: None)

    def stop(progress: Progress) -> None:
        if progress.seen == 48:
            raise RuntimeError("enough")

    first = _trainer(samples, "iresnet_tiny", tmp_path / "stopped", 96)
    with pytest.raises(RuntimeError, match="enough"):
        first.run(stop, lambda: None)
    first.save()
    second = _trainer(samples, "iresnet_tiny", tmp_path / "stopped", 96)
    second.run(lambda progress: None, lambda: None)
    for path, tensor in straight.averaged().items():
        assert torch.equal(tensor, second.averaged()[path]), path


def test_quality_is_measured_on_images_as_training_changes_them(samples: FaceSamples) -> None:
    adapted, task = _task(samples, "iresnet_tiny")
    mean, deviation = float(adapted.norm_mean), float(adapted.norm_deviation)
    rows = np.arange(len(samples))
    with torch.inference_mode():
        alphas = []
        for coarse in (0.0, 1.0):
            task.augmentation = Augmentation(low_resolution=coarse)
            seen = task.prepared(samples.load(rows, [0] * len(rows)))
            alphas.append(adapted.alpha(seen))
    assert abs(float(torch.cat(alphas).mean()) - 0.5) < 0.2
    measure_quality(adapted, task, samples, 0, CPU)
    assert (float(adapted.norm_mean), float(adapted.norm_deviation)) != (mean, deviation)
    task.augmentation = Augmentation(low_resolution=0.5)
    measure_quality(adapted, task, samples, 0, CPU)
    assert (float(adapted.norm_mean), float(adapted.norm_deviation)) == (mean, deviation)


def test_images_are_prepared_as_the_frozen_network_takes_them(samples: FaceSamples) -> None:
    task = RecogniserTask(
        Recogniser(torch.nn.Identity(), torch.nn.Identity()),
        Augmentation(mirror=0.0),
        preprocessing=Preprocessing(colour="bgr", mean=0.0, std=255.0),
    )
    batch = samples.load(np.arange(2), [0, 1])
    assert torch.allclose(task.prepared(batch), batch["pixels"].flip(1) / 255.0, atol=1e-6)
