"""Samples and the training task: planted identities are learned, and a resumed run equals one that was not stopped."""

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import is_half_written
from nonesuch.embedders.iresnet import SqueezeExcitation
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.readers import find
from nonesuch.loop.settings import TrainSettings
from nonesuch.loop.step_results import Progress
from nonesuch.loop.trainer import Trainer
from nonesuch.measures.similarity import normalised
from nonesuch.models import create_model
from nonesuch.recognition.augmentation import Augmentation
from nonesuch.recognition.heads import MarginHead
from nonesuch.recognition.margins import CombinedMargin
from nonesuch.recognition.samples import FaceSamples
from nonesuch.recognition.task import Recogniser, RecogniserTask
from tests.faults import files_of_at_most
from tests.loop.claimed import claimed_trainer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Photograph]:
    """Eight planted people of 12 images: a colour of their own each, under noise and a changing light."""
    folder = tmp_path_factory.mktemp("people")
    draws = np.random.default_rng(0)
    for person in range(8):
        colours = np.kron(draws.integers(60, 200, (4, 4, 3)), np.ones((28, 28, 1)))
        (folder / f"person{person}").mkdir()
        for image in range(12):
            pixels = np.clip(colours + draws.normal(0, 25) + draws.normal(0, 20, colours.shape), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"person{person}" / f"{image:02d}.png")
    return find(folder)


def _trainer(folder: Path, photographs: list[Photograph], images: int = 1_000, workers: int | None = 0) -> Trainer:
    samples = FaceSamples(photographs)
    torch.manual_seed(0)
    head = MarginHead(32, len(samples.identities), CombinedMargin(m2=0.2, scale=16.0))
    task = RecogniserTask(Recogniser(create_model("iresnet_tiny"), head), Augmentation(erase=0.3))
    settings = TrainSettings(images=images, batch=16, optimizer="sgd", lr=0.05, warmup=160, ema_images=200)
    return claimed_trainer(task, samples, settings, folder, workers=workers)


def test_planted_identities_are_learned(photographs: list[Photograph], tmp_path: Path) -> None:
    known = [photograph for photograph in photographs if int(Path(photograph.name).stem) < 8]
    trainer = _trainer(tmp_path, known)
    trainer.run(lambda progress: None, lambda: None)
    trainer.network.load_state_dict(trainer.averaged())
    backbone = trainer.network.get_submodule("backbone").eval()
    unseen = [photograph for photograph in photographs if int(Path(photograph.name).stem) >= 8]
    crops = np.stack([photograph.read_crop() for photograph in unseen])
    with torch.inference_mode():
        unit = normalised(backbone(torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 127.5 - 1).numpy())
    cosines = unit @ unit.T
    same = np.equal.outer(*[[photograph.identity for photograph in unseen]] * 2)
    np.fill_diagonal(cosines, np.nan)
    assert np.nanmin(cosines[same]) > np.nanmax(cosines[~same])


def test_resuming_caching_and_workers_change_nothing(photographs: list[Photograph], tmp_path: Path) -> None:
    straight = _trainer(tmp_path / "straight", photographs, 160, workers=None)
    straight.run(lambda progress: None, lambda: None)
    for workers, stop, from_memory in ((0, 3, False), (1, 2, False), (0, 2, True)):
        part = _trainer(tmp_path / "parts", photographs, 160, workers=workers)
        assert isinstance(part.samples, FaceSamples)
        memory = part.samples.kept(part.folder) if from_memory else nullcontext()
        with memory, pytest.raises(RuntimeError, match="enough"):
            part.run(_stop_after(stop), lambda: None)
        part.save()
        assert not list((tmp_path / "parts").glob(".crops*"))
    last = _trainer(tmp_path / "parts", photographs, 160)
    last.run(lambda progress: None, lambda: None)
    assert last.seen == straight.seen == 160
    for name, tensor in straight.averaged().items():
        assert torch.equal(tensor, last.averaged()[name]), name


def _stop_after(steps: int) -> Callable[[Progress], None]:
    seen: list[int] = []

    def on_step(progress: Progress) -> None:
        seen.append(1)
        if len(seen) == steps:
            raise RuntimeError("enough")

    return on_step


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="asks /proc what is mapped")
def test_a_host_keeps_decoded_images_once(photographs: list[Photograph], tmp_path: Path) -> None:
    """This process and its worker map one file, and neither decodes an image again."""
    trainer = _trainer(tmp_path / "run", photographs, 32, workers=1)
    mapped: list[str] = []

    def on_step(progress: Progress) -> None:
        (worker,) = trainer._loading._pool._processes  # type: ignore[union-attr]
        for process in ("self", worker):
            lines = Path(f"/proc/{process}/maps").read_text().splitlines()
            mapped.extend(line.split()[-1] for line in lines if ".crops_" in line)

    assert isinstance(trainer.samples, FaceSamples)
    with trainer.samples.kept(trainer.folder):
        trainer.samples._read = lambda wanted: pytest.fail("decoded again")
        trainer.run(on_step, lambda: None)
    assert len(mapped) == 4
    assert len(set(mapped)) == 1
    assert not Path(mapped[0]).exists()


def test_no_space_for_decoded_images(
    photographs: list[Photograph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = FaceSamples(photographs)
    with files_of_at_most(100_000), pytest.raises(NonesuchError, match=r"no space left"), samples.kept(tmp_path):
        pass
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=3_000_000))
    with pytest.raises(NonesuchError, match=r"--cache needs 3\.6 MB there, 3\.0 MB are free"), samples.kept(tmp_path):
        pass
    other = tmp_path / "local" / "disk"
    monkeypatch.undo()
    monkeypatch.setenv("NONESUCH_CACHE", str(other))
    with samples.kept(tmp_path):
        (path,) = tmp_path.rglob(".crops*")
        assert path.parent == other
        assert is_half_written(path)  # so that it goes after a killed run, too
    assert not list(other.iterdir())


def test_what_a_killed_run_kept_takes_no_space_from_the_next(
    photographs: list[Photograph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "local"
    monkeypatch.setenv("NONESUCH_CACHE", str(other))
    samples = FaceSamples(photographs)
    with samples.kept(tmp_path):
        (path,) = other.iterdir()
        written = path.read_bytes()
    path.write_bytes(written[:-1])
    disk = len(written) + 1_000  # of this size it is, and nothing else lies on it
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: SimpleNamespace(free=disk - sum(at.stat().st_size for at in other.iterdir()))
    )
    with samples.kept(tmp_path):
        assert path.read_bytes() == written
    assert not list(other.iterdir())


def test_a_place_for_decoded_images_that_is_no_folder(
    photographs: list[Photograph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("NONESUCH_CACHE", str(tmp_path / "file" / "folder"))
    with pytest.raises(NonesuchError, match=r"file/folder: "), FaceSamples(photographs).kept(tmp_path):
        pass


def test_one_identity_is_refused(photographs: list[Photograph]) -> None:
    with pytest.raises(NonesuchError, match="at least two identities"):
        FaceSamples([replace(photograph, identity="one") for photograph in photographs])


def test_the_mini_backbone_is_as_small_as_it_says() -> None:
    """At most about 0.1 GFLOP (multiply-adds), counted layer by layer."""
    backbone, work = create_model("iresnet_mini").eval(), []

    def count(layer: torch.nn.Module, given: object, made: torch.Tensor) -> None:
        weight = layer.weight
        assert isinstance(weight, torch.Tensor)
        work.append(weight.numel() * made[0].numel() / made.shape[1])

    for layer in backbone.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        assert backbone(torch.zeros(1, 3, 112, 112)).shape == (1, 256)
    assert sum(work) == pytest.approx(0.11e9, rel=0.02)


def test_a_share_of_the_centres_and_symmetry_resume_too(photographs: list[Photograph], tmp_path: Path) -> None:
    def trainer(folder: Path) -> Trainer:
        samples = FaceSamples(photographs)
        torch.manual_seed(0)
        head = MarginHead(32, len(samples.identities), CombinedMargin(m2=0.2, scale=16.0), share=0.5)
        task = RecogniserTask(Recogniser(create_model("vit_tiny"), head), Augmentation(), symmetry=0.1)
        settings = TrainSettings(images=96, batch=8, optimizer="sgd", lr=0.05, milestones=(32, 64))
        return claimed_trainer(task, samples, settings, folder)

    straight, first = trainer(tmp_path / "straight"), trainer(tmp_path / "stopped")
    rates: list[float] = []
    straight.run(lambda progress: rates.append(straight.optimizers[0].param_groups[0]["lr"]), lambda: None)
    assert np.allclose(rates, [0.05] * 4 + [0.005] * 4 + [0.0005] * 4)
    with pytest.raises(RuntimeError, match="enough"):
        first.run(_stop_after(5), lambda: None)
    first.save()
    second = trainer(tmp_path / "stopped")
    second.run(lambda progress: None, lambda: None)
    for name, tensor in straight.averaged().items():
        assert torch.equal(tensor, second.averaged()[name]), name


@pytest.mark.parametrize("name", ["vit_tiny", "se_iresnet10"])
def test_backbones_learn_from_every_weight(name: str) -> None:
    network = create_model(name)
    embeddings = network(torch.randn(2, 3, 112, 112))
    (embeddings * torch.randn(embeddings.shape)).sum().backward()
    for parameter_name, parameter in network.named_parameters():
        assert not parameter.requires_grad or parameter.grad is not None, parameter_name


def test_squeeze_excitation_by_hand() -> None:
    block = SqueezeExcitation(32).double()
    x = torch.randn(2, 32, 3, 3, dtype=torch.float64)
    hidden = np.maximum(x.mean((2, 3)).numpy() @ block.fc1.weight.detach().numpy().T, 0)
    weights = 1 / (1 + np.exp(-hidden @ block.fc2.weight.detach().numpy().T))
    assert np.allclose(block(x).detach(), x.numpy() * weights[:, :, None, None])
