"""--steer and --min-age with IDiff-Face: gradients through its samplers, within a budget of passes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nonesuch import load_generator, load_perceiver
from nonesuch.core.errors import NonesuchError
from nonesuch.formats.columns import read_columns
from nonesuch.generators.generator import to_grey_levels
from nonesuch.generators.idiff.generator import IDiffGenerator
from nonesuch.generators.idiff.presets import IDIFF
from nonesuch.steering.steerer import Steerer, SteerSettings
from tests.cards import SMALL_LATENT, write_tiny_idiff
from tests.conftest import Cli

SEEDS = np.arange(3, dtype=np.uint64)
SAMPLERS = [
    "ddim,steps=3",
    "ddim,steps=3,eta=1",
    "ddpm,steps=3",
    "ddpm-posterior,steps=3",
    "dpm,steps=4",
    "dpm,steps=3,guidance=2",
    "ddim,steps=3,least_cosine=0.6",
]


# As idiff_small, in little: its images heed the vector more than those of a made-up idiff_tiny do.
SMOOTH: dict[str, Any] = {
    "unet": {**IDIFF["idiff_tiny"]["unet"], "channels": 8, "conditioning": "time", "context_scale": 13.86},
    "first_stage": {"widths": (16, 16, 16), "decoder_blocks": 1},
    "codebook": False,
    "latent_side": 14,
}


def _written(path: Path, sizes: dict[str, Any]) -> Path:
    about = {"sampling": {"steps": 2}, "vector_scale": 0.2, "learned_without_identity": True, "vector_norm": 70.0}
    return write_tiny_idiff(path, sizes, **about)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _written(tmp_path_factory.mktemp("idiff") / "own.safetensors", SMOOTH)


@pytest.fixture(scope="module", params=["attention", "time"])
def either(request: pytest.FixtureRequest, file: Path, tmp_path_factory: pytest.TempPathFactory) -> IDiffGenerator:
    if request.param == "attention":
        file = _written(tmp_path_factory.mktemp("idiff") / "attention.safetensors", SMALL_LATENT)
    generator = load_generator(file, "cpu")
    assert isinstance(generator, IDiffGenerator)
    return generator


@pytest.fixture(scope="module")
def own(file: Path) -> IDiffGenerator:
    generator = load_generator(file, "cpu")
    assert isinstance(generator, IDiffGenerator)
    return generator


@pytest.fixture(scope="module")
def bases() -> np.ndarray:
    return (5 * np.random.default_rng(0).standard_normal((3, 192))).astype(np.float32)


@pytest.mark.parametrize("text", [*SAMPLERS, "ddim,steps=2,negative=0.5"])
def test_the_budget_counts_every_pass(either: IDiffGenerator, bases: np.ndarray, text: str) -> None:
    generator, passes = either.with_sampler(text), []
    hook = generator.network.unet.register_forward_hook(lambda module, given, found: passes.append(1))
    try:
        generator.render(bases[:1], SEEDS[:1], 1, others=bases[1:2])
    finally:
        hook.remove()
    assert len(passes) == generator.passes


@pytest.mark.parametrize("text", SAMPLERS)
def test_gradients_are_those_of_the_sampler(either: IDiffGenerator, bases: np.ndarray, text: str) -> None:
    """Of the sampled latent, against differences: decoding may round to codes, which have none."""
    generator = either.with_sampler(text)
    fixed = generator.draw(SEEDS[:2]).fixed
    context, across = (F.normalize(torch.from_numpy(bases[rows])) for rows in (slice(0, 2), slice(1, 3)))
    leaf = context.clone().requires_grad_()
    sampled = generator._sample(leaf, None, fixed["noise"], fixed["seed"])
    step = 0.02 * across
    with torch.no_grad():
        change = [generator._sample(context + sign * step, None, fixed["noise"], fixed["seed"]) for sign in (1, -1)]
    weight = change[0] - change[1]  # the direction that moves most, so that rounding counts for little
    (gradient,) = torch.autograd.grad((weight * sampled).sum(), leaf)
    assert float((gradient * step).sum()) == pytest.approx(float(weight.square().sum()) / 2, rel=0.02)
    assert float(weight.abs().max()) > 1e-4


@pytest.mark.parametrize("sizes", [{}, SMOOTH], ids=["attention", "time"])
def test_memory_does_not_grow_with_the_steps(bases: np.ndarray, tmp_path: Path, sizes: dict[str, Any]) -> None:
    """What is kept for the gradient: one pass is as large as the decoding, a hundred times as large as a latent."""
    own = load_generator(_written(tmp_path / "own.safetensors", sizes), "cpu")
    assert isinstance(own, IDiffGenerator)

    def kept(steps: int) -> int:
        generator, kept_sizes = own.with_sampler(f"ddim,steps={steps}"), {}

        def keep(tensor: Tensor) -> Tensor:
            kept_sizes[tensor.untyped_storage().data_ptr()] = (tensor.untyped_storage().nbytes(), tensor)
            return tensor

        vectors = torch.from_numpy(bases).requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            pixels = generator.forward(vectors, generator.draw(SEEDS))
        assert pixels.requires_grad
        weights_of = {part.untyped_storage().data_ptr() for part in generator.network.parameters()}
        return sum(size for place, (size, _) in kept_sizes.items() if place not in weights_of)

    assert kept(12) < 1.25 * kept(2)


@pytest.mark.parametrize("text", ["ddim,steps=2", "dpm,steps=2,guidance=2"])
def test_steering_comes_nearer(own: IDiffGenerator, bases: np.ndarray, text: str) -> None:
    generator, perceiver = own.with_sampler(text), load_perceiver(device="cpu")

    def redness(pixels: Tensor) -> Tensor:
        return (pixels[:, 0] - pixels[:, 2]).mean((1, 2))

    def shown(images: np.ndarray) -> np.ndarray:
        return redness(torch.from_numpy(images).permute(0, 3, 1, 2).float()).numpy()

    start = shown(generator.render(bases, SEEDS, 3))
    wanted = torch.from_numpy(start).mean() + 20.0  # grey levels
    settings = SteerSettings(steps=8, identity=-1.0)
    steerer = Steerer(generator, perceiver, [], settings, lambda pixels: (wanted - redness(pixels)) / 10.0)
    found = steerer.steer(bases, bases, SEEDS, micro_batch=3)
    gained = shown(found.images) - start
    assert (gained > 1.0).all()
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), np.linalg.norm(bases, axis=1), rtol=1e-4)


def test_a_least_age(cli: Cli, file: Path, tmp_path: Path) -> None:
    """Half of the people look younger than this; none of those is in the dataset."""
    sampled: list[Any] = ["--generator", file, "--sampling", "sphere", "--max-similarity", 0.9]
    sampled += ["--images", 1, "--no-summary", "--micro-batch", 1]
    assert cli("generate", tmp_path / "plain", *sampled, "--identities", 6, "--plan-only").status == 0

    def people(folder: Path) -> tuple[np.ndarray, np.ndarray]:
        vectors = np.array(pq.read_table(folder / "identities.parquet")["embedding"].to_pylist(), dtype=np.float32)
        generator, seeds = load_generator(file, "cpu"), np.zeros(len(vectors), dtype=np.uint64)
        crops = to_grey_levels(generator.render(vectors, seeds, 16))
        return vectors, load_perceiver(device="cpu").perceive(crops)["age"]

    before, ages = people(tmp_path / "plain")
    least = round(float(np.median(ages)), 2)
    options = [*sampled, "--identities", 3, "--min-age", least, "--steer-steps", 1]
    outcome = cli("generate", tmp_path / "old", *options)
    assert outcome.status == 0, outcome.err
    admitted, older = people(tmp_path / "old")
    assert (older >= least).all()
    assert admitted.tolist() == before[ages >= least][:3].tolist()
    asked = read_columns(tmp_path / "old", "steering")["age_low"].to_pylist()
    assert asked == pytest.approx([least] * 3)
    assert json.loads((tmp_path / "old" / "dataset.json").read_text())["options"]["min_age"] == least


@pytest.mark.parametrize("asked", [["--steer", "yaw=20"], ["--min-age", 30]])
@pytest.mark.parametrize(
    ("sampler", "said"),
    [
        ("ddim,steps=21", "goes back through 21 passes of the network, at most 20 are bearable; give fewer steps"),
        ("dpm,steps=11,guidance=2", "through 22 passes of the network, at most 20 are bearable; give fewer steps"),
        ("ddpm,steps=1000", "through 1000 passes"),
        ("dpm,steps=2,negative=0.5", "cannot be steered; leave negative out of --sampler"),
    ],
)
def test_what_is_beyond_the_budget_is_one_line(
    cli: Cli, file: Path, tmp_path: Path, asked: list[object], sampler: str, said: str
) -> None:
    outcome = cli("generate", tmp_path / "out", "--generator", file, "--sampler", sampler, *asked)
    assert outcome.status == 1
    assert said in outcome.error
    assert not (tmp_path / "out").exists()


def test_the_advice_can_be_steered(own: IDiffGenerator) -> None:
    perceiver = load_perceiver(device="cpu")
    with pytest.raises(NonesuchError, match=r"such as --sampler (.*)$") as raised:
        Steerer(own.with_sampler("steps=25"), perceiver, [])
    Steerer(own.with_sampler(str(raised.value).rsplit(" ", 1)[1]), perceiver, [])
    Steerer(own.with_sampler("dpm,steps=10,guidance=2"), perceiver, [])
