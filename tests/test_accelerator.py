"""All that trains, renders, steers or judges runs on an accelerator, and gives there what it gives on a CPU."""

import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import nonesuch
from nonesuch import load_embedder, load_generator, load_perceiver
from nonesuch.core.augmentation import DRAWS, disturbed
from nonesuch.core.rand_augment import OPERATIONS
from nonesuch.formats.crops import Crops
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.readers import find
from nonesuch.generators.idiff.diffusion_training import DiffusionTask, LatentSamples
from nonesuch.generators.idiff.distillation import DistillationTask
from nonesuch.generators.idiff.presets import DIFFUSION_RECIPES, DISTILLATION_RECIPES
from nonesuch.generators.losses import Lpips
from nonesuch.loop.step_results import Progress
from nonesuch.loop.trainer import Trainer
from nonesuch.models import load_detector
from nonesuch.perception.alignment import TEMPLATE
from nonesuch.perception.attributes import ATTRIBUTES
from nonesuch.perception.labels import LANDMARKS
from nonesuch.recognition.augmentation import AUGMENTATION_DRAWS, Augmentation
from nonesuch.recognition.recipes import HEADS, create_head
from nonesuch.recognition.task import Recogniser, RecogniserTask
from nonesuch.steering.least_age import LeastAge
from nonesuch.steering.steerer import Steerer, SteerSettings
from nonesuch.steering.wishes import parse_wish
from tests.accelerator import DEVICE, accelerator, waits
from tests.cards import write_tiny_idiff
from tests.flip.test_pretraining import batch, learner
from tests.people import faces_of_no_one, planted_person

CPU = torch.device("cpu")
Work = Callable[[torch.device], dict[str, torch.Tensor]]


def _agrees(work: Work) -> None:
    """The work gives the same on the accelerator, forwards and backwards."""
    with accelerator() as device:
        there = {name: tensor.cpu() for name, tensor in work(device).items()}
    torch.testing.assert_close(there, work(CPU), atol=1e-5, rtol=1e-4)


def test_the_accelerator_refuses_what_a_gpu_refuses() -> None:
    with accelerator() as device:
        there = torch.ones(3, 4).to(device).requires_grad_()
        (there * torch.tensor(2.0)).sum().backward()  # a single number may stay in main memory
        assert there.grad is not None
        assert there.grad.cpu().tolist() == [[2.0] * 4] * 3
        assert there.new_tensor([1.0]).device == DEVICE
        assert torch.tensor([1.0], device=device).device == DEVICE
        assert there[torch.tensor([0, 2])].shape == (2, 4)
        rows = torch.nonzero(there[:, 0] > 0)[:, 0]
        assert len(rows) == 3
        for mixed in (
            lambda: there + torch.ones(4),
            lambda: torch.stack([there.sum(), torch.tensor(1.0)]),
            lambda: there @ torch.ones(4, 2),
            lambda: torch.ones(3)[rows],
            lambda: rows.numpy(),
        ):
            with pytest.raises(RuntimeError):
                mixed()


@pytest.mark.parametrize("name", OPERATIONS)
def test_rand_augment(name: str) -> None:
    images = faces_of_no_one(2, 0).transpose(0, 3, 1, 2).astype(np.float32)

    def work(device: torch.device) -> dict[str, torch.Tensor]:
        strength = torch.tensor([0.6, -0.3]).to(device)
        return {name: OPERATIONS[name](torch.from_numpy(images).to(device), strength)}

    _agrees(work)


@pytest.mark.parametrize("change", ["mirror", "crop", "low_resolution", "photometric", "erase", "rand_augment"])
def test_augmentation(change: str) -> None:
    chosen = Augmentation(**{"mirror": 0.0, change: (4, 16.0) if change == "rand_augment" else 1.0})
    random = torch.Generator().manual_seed(1)
    images, draws = torch.rand(3, 3, 112, 112, generator=random), torch.rand(3, AUGMENTATION_DRAWS, generator=random)
    _agrees(lambda device: {change: chosen.apply(images.clone().to(device), draws)})


def test_disturbance_and_lpips() -> None:
    random = torch.Generator().manual_seed(1)
    images, draws = torch.rand(2, 3, 32, 32, generator=random), torch.rand(2, DRAWS, generator=random)

    def work(device: torch.device) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        network, moved = Lpips().to(device), images.to(device).requires_grad_()
        changed = disturbed(moved, draws.to(device))
        distance = network(changed, moved)
        distance.sum().backward()
        assert moved.grad is not None
        return {"changed": changed, "distance": distance, "gradient": moved.grad}

    _agrees(work)


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("name", HEADS)
def test_heads(name: str, share: float) -> None:
    if name == "triplet" and share < 1.0:
        return
    random = torch.Generator().manual_seed(2)
    batch = {
        "pixels": torch.randint(0, 256, (8, 3, 112, 112), generator=random, dtype=torch.uint8),
        "labels": torch.arange(8) // 2,
        "draws_here": torch.rand(8, AUGMENTATION_DRAWS, generator=random),
    }

    def work(device: torch.device) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        backbone = nn.Sequential(nn.AvgPool2d(28), nn.Flatten(), nn.Linear(48, 8))
        network = Recogniser(backbone, create_head(name, 8, 6, share)).to(device).train()
        task = RecogniserTask(network, Augmentation(), symmetry=0.5)
        losses = task.losses({key: tensor.to(device) for key, tensor in batch.items()}, 0)
        torch.stack(list(losses.values())).sum().backward()
        return losses | {key: part.grad for key, part in network.named_parameters() if part.grad is not None}

    _agrees(work)


@pytest.fixture(scope="module")
def tiny_diffusion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_idiff(tmp_path_factory.mktemp("idiff") / "own.safetensors", learned_without_identity=True)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four planted people of four images, and faces.tar with a table of labels."""
    folder = tmp_path_factory.mktemp("faces")
    known = ["age", "gender", "ethnicity", *LANDMARKS, *ATTRIBUTES]
    lines = [",".join(["file", *known])]
    for person in range(4):
        planted_person(folder / "people", person, range(4))
    with tarfile.open(folder / "faces.tar", "w") as archive:
        for number, image in enumerate(sorted((folder / "people").rglob("*.png"))):
            archive.add(image, f"{number}.png")
            labels = [20 + number, number % 2, number % 5, *TEMPLATE.round(2).ravel(), *[number % 2] * len(ATTRIBUTES)]
            lines.append(",".join([f"{number}.png", *map(str, labels)]))
    (folder / "faces.csv").write_text("\n".join(lines))
    return folder


def _trains(train: Callable[[Path, str], Path], folder: Path, steps: int = 2) -> None:
    """The first two steps have the losses that they have on a CPU; rounding moves later ones apart."""
    with accelerator() as device:
        there = train(folder / "there", str(device))
    here = train(folder / "here", "cpu")
    assert load_file(there).keys() == load_file(here).keys()
    first, second = (
        [json.loads(line) for line in (run.parent / "log.jsonl").read_text().splitlines()] for run in (there, here)
    )
    assert len(first) == len(second) == steps
    for one, other in zip(first[:2], second[:2], strict=True):
        losses = {name: value for name, value in other.items() if name.startswith("loss_")}
        assert losses == pytest.approx({name: one[name] for name in losses}, rel=1e-3, abs=1e-4)


def _watched(monkeypatch: pytest.MonkeyPatch) -> tuple[list[list[str]], list[list[str]]]:
    """What waits for the accelerator in each step, and in each look at the results, from now on."""
    steps, looks, real_step, real_look = [], [], Trainer._step, Trainer._look

    def step(self: Trainer) -> None:
        waits.clear()
        real_step(self)
        steps.append(list(waits))

    def look(self: Trainer) -> Progress:
        waits.clear()
        progress = real_look(self)
        looks.append(list(waits))
        return progress

    monkeypatch.setattr(Trainer, "_step", step)
    monkeypatch.setattr(Trainer, "_look", look)
    return steps, looks


def test_training_of_a_generator(faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its steps do not wait for the accelerator: only a look at the results does, and there is one for many steps."""
    steps, looks = _watched(monkeypatch)

    def train(out: Path, device: str) -> Path:
        return nonesuch.train_generator(
            out, faces / "people", preset="vec2face_tiny", batch=4, images_seen=12, adversarial_from=4,
            loss={"landmarks": 0.1, "adversarial": 0.5}, adaptive=True, device=device,
        ).weights  # fmt: skip

    _trains(train, tmp_path, steps=3)
    assert steps[:3] == [[], [], []]
    assert looks[0] == ["tolist"]


def test_a_diffusions_losses_do_not_wait_either(tiny_diffusion: Path) -> None:
    random = np.random.default_rng(0)
    latents = random.standard_normal((16, 3, 28, 28)).astype(np.float16)
    samples = LatentSamples(latents, random.standard_normal((8, 192)).astype(np.float32), 1.0, 0.3)
    batch = samples.load(np.arange(4), list(range(4)))
    recipe = replace(DIFFUSION_RECIPES["idiff_tiny"], identity_share=0.5)

    def work(device: torch.device) -> dict[str, torch.Tensor]:
        generator = load_generator(tiny_diffusion, str(device))
        task = DiffusionTask(generator.network, load_embedder("mobilefacenet", str(device)), recipe)
        moved = {name: tensor.to(device) for name, tensor in batch.items()}
        waits.clear()
        losses = task.losses(moved, 0)
        assert waits == []
        return losses

    _agrees(work)


def test_a_distillations_losses_do_not_wait_either(tiny_diffusion: Path) -> None:
    random = np.random.default_rng(0)
    batch = {
        "images": random.random((2, 3, 112, 112)) * 2.0 - 1.0,
        "latents": random.standard_normal((2, 3, 28, 28)),
        "noise": random.standard_normal((2, 3, 28, 28)),
        "style": np.zeros((2, 0)),
        "vectors": random.standard_normal((2, 192)),
        "disturbance": random.random((2, 7)),
    }

    def work(device: torch.device) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        network = load_generator(tiny_diffusion, "cpu").network.requires_grad_(True)
        recipe = DISTILLATION_RECIPES["idiff_tiny_fast"]
        task = DistillationTask(network, load_embedder("mobilefacenet", str(device)), recipe, latent_scale=1.0)
        for part in (network, task.discriminator):
            part.to(device)
        moved = {name: torch.from_numpy(part).float().to(device) for name, part in batch.items()}
        waits.clear()
        losses = task.losses(moved, 64)
        losses |= task.discriminator_losses(moved, 64)  # with the penalty
        assert waits == []
        return losses

    _agrees(work)


def test_crops_are_decoded_once(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photographs = find(faces / "people")
    here = Crops(photographs)
    with accelerator() as device:
        there = Crops(photographs, device)
        monkeypatch.setattr(Photograph, "read_crop", lambda self: pytest.fail("decoded again"))
        waits.clear()
        kept = there.read(np.array([3, 0, 3]))
        assert waits == []
        kept = kept.cpu()
    monkeypatch.undo()
    assert torch.equal(kept, here.read(np.array([3, 0, 3])))


def test_training_of_a_recogniser_and_its_adapters(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, looks = _watched(monkeypatch)

    def train(out: Path, device: str) -> Path:
        return nonesuch.train_recogniser(
            out, faces / "people", preset="idiff", backbone="vit_tiny", batch=4, images_seen=8, device=device
        ).weights

    _trains(train, tmp_path)
    assert (steps[:2], looks[0]) == ([[], []], ["tolist"])

    def adapt(out: Path, device: str) -> Path:
        options = {"embedder": tmp_path / "here" / "idiff.safetensors", "rank": 2, "batch": 4, "images_seen": 8}
        return nonesuch.adapt_recogniser(out, faces / "people", device=device, **options).weights

    steps.clear()
    _trains(adapt, tmp_path / "adapted")
    assert steps[:2] == [[], []]


def test_training_of_a_perceiver(faces: Path, tmp_path: Path) -> None:
    def train(out: Path, device: str) -> Path:
        options = {"preset": "perceiver_tiny", "batch": 4, "images_seen": 8}
        return nonesuch.train_perceiver(out, faces / "faces.tar", device=device, **options).weights

    _trains(train, tmp_path)


def test_losses_of_flip() -> None:
    def work(device: torch.device) -> dict[str, torch.Tensor]:
        ours = learner(facts=1.0, twins_after=4).eval().to(device)
        for number in range(3):
            terms = ours({name: tensor.to(device) for name, tensor in batch(number).items()}, seen=4 * number)
        sum(terms.values()).backward()
        gradients = [parameter.grad.sum() for parameter in ours.network.parameters() if parameter.grad is not None]
        return {**terms, "queue": ours.text_queue, "gradients": torch.stack(gradients)}

    _agrees(work)


def test_steering_and_rendering(tiny_generator: Path) -> None:
    vectors = (np.random.default_rng(0).standard_normal((3, 192)) * 5).astype(np.float32)
    seeds = np.arange(3, dtype=np.uint64)
    wishes = [parse_wish(text) for text in ("yaw=15", "50%: smiling=choice(0,1)", "age=30..40", "quality>=60")]

    def work(device: torch.device) -> dict[str, torch.Tensor]:
        generator, perceiver = load_generator(tiny_generator, str(device)), load_perceiver(device=str(device))
        least = LeastAge(30.0, generator, perceiver)
        steerer = Steerer(generator, perceiver, wishes, SteerSettings(steps=1))
        found = steerer.steer(vectors, vectors, seeds, micro_batch=2)
        results = {"vectors": found.vectors / 70, "values": found.values, "old": least(vectors)}
        return {name: torch.from_numpy(values) for name, values in results.items()}

    _agrees(work)


def test_embedding_detecting_and_perceiving() -> None:
    crops = faces_of_no_one(2, 3)
    photograph = np.pad(crops[0], ((30, 30), (40, 40), (0, 0)))

    def work(device: torch.device) -> dict[str, torch.Tensor]:
        name = str(device)
        found = {embedder: load_embedder(embedder, name).embed(crops) for embedder in ("mobilefacenet", "dlib_resnet")}
        seen = load_perceiver(device=name).perceive(crops)
        (face,) = load_detector(name).detect(photograph)
        found |= {"landmarks": face.landmarks, "yaw": seen["yaw"], "age": seen["age"]}
        return {key: torch.from_numpy(np.asarray(values)).float() for key, values in found.items()}

    _agrees(work)
