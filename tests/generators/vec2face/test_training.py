import numpy as np
import pytest
import torch
from PIL import Image

from nonesuch import create_model, load_embedder
from nonesuch.core.errors import NonesuchError
from nonesuch.formats.crops import Crops
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.readers import find
from nonesuch.generators.vec2face.generator import MaskSetting
from nonesuch.generators.vec2face.network import Vec2Face
from nonesuch.generators.vec2face.presets import GENERATOR_RECIPES
from nonesuch.generators.vec2face.training import GeneratorRecipe, GeneratorTask, LossWeights, PhotographSamples
from nonesuch.loop.trainer import Batch

_NOTHING = LossWeights(pixel=0, ssim=0, perceptual=0, token=0, identity=0, adversarial=0)
_MASK = MaskSetting(low=0.5, high=1.0, mean=0.75, std=0.25)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Photograph]:
    """Eight crops of noise."""
    folder = tmp_path_factory.mktemp("noise")
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 256, (112, 112, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return find(folder)


def _samples(photographs: list[Photograph], prior_share: float = 0.0) -> PhotographSamples:
    vectors = np.random.default_rng(0).normal(0, 5, (8, 192)).astype(np.float32)
    return PhotographSamples(Crops(photographs), vectors, 0.2, _MASK, 4, lambda seed: vectors[seed % 8], prior_share)


def _task(losses: LossWeights, adaptive: bool = False) -> GeneratorTask:
    torch.manual_seed(0)
    network = create_model("vec2face_tiny")
    assert isinstance(network, Vec2Face)
    recipe = GeneratorRecipe(
        images=8, batch=4, lr=1e-3, warmup=0, ema_images=8, adversarial_from=0, adaptive=adaptive, losses=losses,
        discriminator={"stem": (8, 4, 4), "stages": (16, 16, 16)},
    )  # fmt: skip
    return GeneratorTask(network.eval(), load_embedder("mobilefacenet", "cpu"), recipe)


def _batch(photographs: list[Photograph], prior_share: float) -> Batch:
    return _samples(photographs, prior_share).load(np.arange(4), [10, 11, 12, 13])


def test_a_sample_belongs_to_its_own_seed(photographs: list[Photograph]) -> None:
    samples = _samples(photographs)
    many, one = samples.load(np.array([1, 5]), [10, 2**64 - 1]), samples.load(np.array([5]), [2**64 - 1])
    assert set(many) == {"images", "vectors", "mask_ratio", "noise", "style", "disturbance"}
    for name, rows in many.items():
        assert torch.equal(rows[1:], one[name])
        assert not torch.equal(rows[:1], one[name])


def test_sampled_people_come_last_and_whole(photographs: list[Photograph]) -> None:
    batch = _batch(photographs, 0.25)
    assert len(batch["images"]) == 4
    assert {len(batch[name]) for name in ("vectors", "mask_ratio", "noise", "style", "disturbance")} == {5}
    assert torch.equal(_batch(photographs, 0.0)["vectors"], batch["vectors"][:4])
    with pytest.raises(NonesuchError, match="be a multiple of 4"):
        _samples(photographs, 0.25).load(np.arange(3), [1, 2, 3])


@pytest.mark.parametrize(
    "name", ["pixel", "ssim", "perceptual", "token", "identity", "style", "prior_identity", "adversarial"]
)
def test_each_term_alone(photographs: list[Photograph], name: str) -> None:
    one, three = (
        _task(LossWeights(**{**vars(_NOTHING), name: weight})).generator_losses(_batch(photographs, 0.5), 0)
        for weight in (1.0, 3.0)
    )
    assert list(one) == [name]
    assert three[name].item() == pytest.approx(3 * one[name].item(), rel=1e-5)


def test_sampled_people_are_judged_by_embedder_and_discriminator_alone(photographs: list[Photograph]) -> None:
    losses = LossWeights(style=1.0, prior_identity=1.0, prior_adversarial=1.0)
    without = _task(losses).generator_losses(_batch(photographs, 0.0), 0)
    together = _task(losses).generator_losses(_batch(photographs, 0.5), 0)
    assert set(together) - set(without) == {"prior_identity", "prior_adversarial"}
    for name, term in without.items():
        assert together[name].item() == pytest.approx(term.item(), abs=1e-5)


def test_the_adaptive_weight_stands_on_top_of_the_given_one(photographs: list[Photograph]) -> None:
    terms = [
        _task(LossWeights(adversarial=weight), adaptive=True).generator_losses(_batch(photographs, 0.0), 0)
        for weight in (0.5, 1.0)
    ]
    assert terms[1]["adversarial"].item() == pytest.approx(2 * terms[0]["adversarial"].item(), rel=1e-4)
    constant = _task(LossWeights()).generator_losses(_batch(photographs, 0.0), 0)
    assert abs(constant["adversarial"].item() - terms[1]["adversarial"].item()) > 1e-4
    with pytest.raises(NonesuchError, match="give one of them a weight"):
        _task(_NOTHING, adaptive=True)


def test_no_adversarial_weight_no_discriminator(photographs: list[Photograph]) -> None:
    assert len(_task(_NOTHING).players) == 1
    assert len(_task(LossWeights()).players) == 2


def test_the_discriminators_rate_is_constant_as_published_but_for_the_small_preset() -> None:
    assert [player.decays for player in _task(LossWeights()).players] == [True, False]
    assert not GENERATOR_RECIPES["vec2face_base"].discriminator_decays
    network = create_model("vec2face_small")
    assert isinstance(network, Vec2Face)
    task = GeneratorTask(network, load_embedder("mobilefacenet", "cpu"), GENERATOR_RECIPES["vec2face_small"])
    assert [player.decays for player in task.players] == [True, True]
