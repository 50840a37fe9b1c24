"""IDiff-Face as a generator: every image is a function of its vector and its own seed, whatever the sampler."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F

from nonesuch import load_embedder, load_generator
from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.from_plan import PlannedImages
from nonesuch.formats.dataset import read_identities
from nonesuch.generators.idiff.generator import IDiffGenerator
from nonesuch.measures.similarity import normalised
from tests.cards import SMALL_LATENT, write_tiny_idiff
from tests.conftest import Cli
from tests.generators.own_seeds import check_images_are_of_their_seeds

SEEDS = np.array([7, 2**64 - 1, 0, 9], dtype=np.uint64)
SETTINGS: list[dict[str, Any]] = [
    {"sampler": "ddim", "steps": 3},
    {"sampler": "ddim", "steps": 3, "eta": 1.0},
    {"sampler": "ddpm", "steps": 4},
    {"sampler": "ddpm-posterior", "steps": 4},
    {"sampler": "dpm", "steps": 4},
    {"sampler": "ddim", "steps": 2, "guidance": 2.0},
    {"sampler": "ddim", "steps": 2, "least_cosine": 0.6},
    {"sampler": "dpm", "steps": 3, "negative": 0.5},
]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("idiff") / "own.safetensors"
    return write_tiny_idiff(path, SMALL_LATENT, sampling={"steps": 3}, learned_without_identity=True)


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
    check_images_are_of_their_seeds(_with(own, sampling=sampling), vectors, SEEDS)


def test_guidance_and_perturbation_change_images(own: IDiffGenerator, vectors: np.ndarray) -> None:
    plain = own.render(vectors[:1], SEEDS[:1], 1)
    for sampling in ({"steps": 3, "guidance": 3.0}, {"steps": 3, "least_cosine": 0.0}):
        assert np.abs(_with(own, sampling=sampling).render(vectors[:1], SEEDS[:1], 1) - plain).max() > 0.5


def test_negative_guidance_is_that_of_the_formula(own: IDiffGenerator, vectors: np.ndarray) -> None:
    """(1 + w) eps(c) - w eps(c_neg), NegFaceDiff; in one step from the noisiest time, whose clean latent is decoded."""
    generator = _with(own, sampling={"sampler": "ddim", "steps": 1, "negative": 0.5})
    seeds, unet = SEEDS[:2], generator.network.unet
    own_context, other_context = (F.normalize(torch.from_numpy(vectors[part])) for part in (slice(0, 2), slice(2, 4)))
    noise = generator.draw(seeds).fixed["noise"]
    share, times = float(generator._signal[999]), torch.full((2,), 999.0)
    with torch.inference_mode():
        eps = 1.5 * unet(noise, times, own_context) - 0.5 * unet(noise, times, other_context)
        clean = (noise - (1 - share) ** 0.5 * eps) / share**0.5
        expected = (generator.network.first_stage.decode(clean).clamp(-1, 1) + 1) * 127.5
    made = generator.render(vectors[:2], seeds, 2, others=vectors[2:])
    np.testing.assert_allclose(made, expected.permute(0, 2, 3, 1), atol=0.5)
    with pytest.raises(NonesuchError, match="give vectors of other identities"):
        generator.render(vectors[:2], seeds, 2)


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
    x, context = torch.randn(2, 3, 14, 14), torch.randn(2, 192)
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


def test_a_sampler_is_chosen_and_kept(cli: Cli, file: Path, tmp_path: Path) -> None:
    """Negative guidance draws another identity of the plan: same bits for any batch, from the shards or the plan."""
    options = ["--generator", file, "--identities", 3, "--images", 2, "--codec", "png", "--no-summary"]
    chosen = [*options, "--sampler", "dpm,steps=2,negative=0.5"]
    assert cli("generate", tmp_path / "one", *chosen, "--shard-images", 2, "--workers", 1).status == 0
    assert cli("generate", tmp_path / "two", *chosen, "--workers", 2).status == 0
    assert cli("generate", tmp_path / "plain", *options, "--sampler", "dpm,steps=2").status == 0
    one, two, plain = (
        [np.asarray(image) for who in read_identities(tmp_path / name, 3, 2) for image in who.images]
        for name in ("one", "two", "plain")
    )
    assert np.array_equal(one, two)
    assert all(np.abs(np.subtract(a, b, dtype=np.float32)).max() > 3 for a, b in zip(one, plain, strict=True))
    record = json.loads((tmp_path / "one" / "dataset.json").read_text())["render"]["sampler"]
    assert record == "dpm,steps=2,eta=0,guidance=1,negative=0.5,least_cosine=1"
    planned = PlannedImages(tmp_path / "two", load_generator(file, "cpu"))
    assert np.array_equal(planned.read(planned.photographs), two)
    assert "made with sampler dpm,steps=2" in cli("generate", tmp_path / "two", *options).error
    assert "has no other" in cli("generate", tmp_path / "x", *chosen, "--identities", 1).error
    assert "cannot be steered" in cli("generate", tmp_path / "x", *chosen, "--steer", "yaw=20").error
    assert (
        "at most 20"
        in cli("generate", tmp_path / "x", *options, "--sampler", "ddim,steps=25", "--steer", "yaw=20").error
    )
    assert "in one pass" in cli("generate", tmp_path / "x", "--generator", "vec2face_small", "--sampler", "ddim").error


def test_few_steps_can_be_steered(cli: Cli, file: Path, tmp_path: Path) -> None:
    options = ["--generator", file, "--identities", 1, "--images", 1, "--no-summary", "--sampler", "dpm,steps=2"]
    outcome = cli("generate", tmp_path / "out", *options, "--steer", "yaw=20", "--steer-steps", 2)
    assert outcome.status == 0, outcome.err
    assert pq.read_table(tmp_path / "out" / "columns" / "steering" / "000000.parquet").num_rows == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("euler", "'euler' is none of ddpm, ddpm-posterior, ddim, dpm"),
        ("ddim,steps", "'steps' has no number"),
        ("steps=0", "expected `int` >= 1"),
        ("ddim,colour=3", "'colour=3' is no setting"),
        ("guidance=2,negative=1", "give one of them"),
        ("guidance=nan", "guidance"),
        ("dpm,eta=0.5", "eta is a setting of ddim"),
        ("", "'' is none of"),
    ],
)
def test_samplers_that_cannot_be(own: IDiffGenerator, text: str, said: str) -> None:
    with pytest.raises(NonesuchError, match=f"--sampler {text}: ") as raised:
        own.with_sampler(text)
    assert said in str(raised.value)


def test_guidance_of_weights_that_never_saw_nobody_is_a_note(cli: Cli, file: Path, tmp_path: Path) -> None:
    card = json.loads(file.with_suffix(".json").read_text()) | {"learned_without_identity": False}
    (tmp_path / "own.safetensors").write_bytes(file.read_bytes())
    (tmp_path / "own.json").write_text(json.dumps(card))
    options = ["--generator", tmp_path / "own.safetensors", "--identities", 1, "--images", 1, "--no-summary"]
    outcome = cli("generate", tmp_path / "out", *options, "--sampler", "steps=2,guidance=2")
    assert outcome.status == 0
    assert "note: own: guidance 2 drives away from images without an identity" in outcome.err


@pytest.mark.parametrize("change", [{"schedule": "square"}, {"prediction": "score"}, {"latent_scale": 0.0}])
def test_cards_with_unknown_words_are_refused(file: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    (tmp_path / "own.safetensors").write_bytes(file.read_bytes())
    (tmp_path / "own.json").write_text(json.dumps(json.loads(file.with_suffix(".json").read_text()) | change))
    with pytest.raises(NonesuchError, match=next(iter(change))):
        load_generator(tmp_path / "own.safetensors", "cpu")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampling": {"steps": 0}}, "steps"),
        ({"sampling": {"steps": 2.5}}, "steps"),
        ({"sampling": {"sampler": "euler"}}, "invalid enum value 'euler'"),
        ({"sampling": {"guidance": 1e9}}, "<= 20"),
        ({"sampling": {"guidance": float("nan")}}, "guidance"),
        ({"sampling": {"eta": 2.0}}, "<= 1"),
        ({"sampling": {"sampler": "dpm", "eta": 0.5}}, "eta is a setting of ddim"),
        ({"sampling": {"least_cosine": 1.5}}, "least_cosine"),
        ({"sampling": {"colour": 1}}, "bad sampling"),
        ({"sampling": {"guidance": 2.0, "negative": 0.5}}, "give one of them"),
        ({"feature_dim": 512}, "the network takes 192"),
    ],
    ids=str,
)
def test_cards_that_cannot_be(own: IDiffGenerator, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(NonesuchError, match=message):
        _with(own, **changes)


def test_the_weights_that_ship_draw_whom_they_are_asked_for(cli: Cli, tmp_path: Path) -> None:
    outcome = cli("generate", tmp_path / "faces", "--generator", "idiff_small", "--identities", 4, "--images", 2)
    assert outcome.status == 0, outcome.err
    people = read_identities(tmp_path / "faces", 4, 2)
    unit = normalised(load_embedder("mobilefacenet", "cpu").embed(np.concatenate([person.images for person in people])))
    cosines = unit @ normalised(np.stack([person.vector for person in people])).T
    own = cosines[np.arange(8), np.arange(8) // 2]
    assert own.mean() > 0.65  # 0.76 over many people
    assert (cosines.argmax(1) == np.arange(8) // 2).all()
