"""`nonesuch identities --from-unconditional`: an image of nobody in particular gives the vector of a new identity."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from nonesuch import load_embedder, load_generator
from nonesuch.core import files, weights
from nonesuch.core.seeding import Stream, derive_seed, normal
from nonesuch.generators.idiff.generator import IDiffCard, IDiffGenerator
from nonesuch.generators.idiff.presets import IDIFF
from nonesuch.identities import sampling
from nonesuch.identities import two_stage as module_of_two_stage
from nonesuch.identities.two_stage import two_stage
from tests.cards import write_tiny_idiff
from tests.conftest import Cli

# The made-up networks give images that an embedder takes for much the same person.
_APART = ["--max-similarity", 0.9999]


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conditional generator whose training left identities out at times."""
    return write_tiny_idiff(
        tmp_path_factory.mktemp("g") / "learned.safetensors", sampling={"steps": 1}, learned_without_identity=True
    )


@pytest.fixture(scope="module")
def unconditional(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that has no context at all."""
    sizes = {"unet": {**IDIFF["idiff_tiny"]["unet"], "conditioning": "none"}}
    return write_tiny_idiff(tmp_path_factory.mktemp("g") / "unconditional.safetensors", sizes, sampling={"steps": 1})


@pytest.fixture(autouse=True)
def _few_together(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sampling, module_of_two_stage):
        monkeypatch.setattr(module, "RENDERED_BATCH", 4)


@pytest.fixture(params=["learned", "unconditional"])
def source(request: pytest.FixtureRequest) -> Path:
    path = request.getfixturevalue(request.param)
    assert isinstance(path, Path)
    return path


def _rows(path: Path) -> tuple[np.ndarray, list[int]]:
    table = pq.read_table(path)
    return np.array(table["embedding"].to_pylist(), dtype=np.float32), table["seed"].to_pylist()


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_vectors_are_those_of_images_of_nobody(cli: Cli, source: Path, tiny_generator: Path, tmp_path: Path) -> None:
    """One step of DDIM with the zero context, by hand: the clean latent that the first noise's prediction leaves."""
    out = tmp_path / "people.parquet"
    options = ["--generator", tiny_generator, "--from-unconditional", source, "--identities", 3, "--seed", 5, *_APART]
    outcome = cli("identities", out, *options)
    assert outcome.status == 0, outcome.err
    vectors, seeds = _rows(out)
    assert set(seeds) <= {derive_seed(5, k) for k in range(64)}
    generator = load_generator(source, "cpu")
    assert isinstance(generator, IDiffGenerator)
    network, share = generator.network, float(generator._signal[999])
    noise = np.stack([normal(seed, Stream.DIFFUSION, 3 * 28 * 28) for seed in seeds]).reshape(3, 3, 28, 28)
    first = torch.from_numpy(noise.astype(np.float32))
    with torch.inference_mode():
        predicted = network.unet(first, torch.full((3,), 999.0))
        clean = (first - (1 - share) ** 0.5 * predicted) / share**0.5
        pixels = (network.first_stage.decode(clean).clamp(-1, 1) + 1) * 127.5
    expected = load_embedder("mobilefacenet", "cpu").embed(pixels.round().byte().permute(0, 2, 3, 1).contiguous())
    cosines = (vectors * expected).sum(1) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosines.min() > 0.9995
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), np.linalg.norm(expected, axis=1), rtol=0.01)


def test_the_table_says_where_they_come_from_and_generates(
    cli: Cli, learned: Path, tiny_generator: Path, tmp_path: Path
) -> None:
    out, options = (
        tmp_path / "people.parquet",
        ["--generator", tiny_generator, "--from-unconditional", learned, *_APART],
    )
    assert cli("identities", out, *options, "--identities", 2).status == 0
    about = {name.decode(): value.decode() for name, value in pq.read_schema(out).metadata.items()}
    assert about["origin"] == "sampled"
    assert json.loads(about["sampled"]) == {
        "sampling": "two-stage",
        "unconditional": "learned",
        "unconditional_sha256": files.sha256(learned),
        "sampler": "ddim,steps=1,eta=0,guidance=1,negative=0,least_cosine=1",
        "max_similarity": 0.9999,
        "seed": 0,
        "drawn": 2,
        "closest": pytest.approx(_cosine(*_rows(out)[0]), abs=1e-6),
    }
    made = cli("generate", tmp_path / "faces", "--generator", tiny_generator, "--vectors", out, "--plan-only")
    assert made.status == 0, made.err
    assert json.loads((tmp_path / "faces" / "dataset.json").read_text())["shows_real_people"] is False


def test_other_samples_have_their_seeds_too(cli: Cli, tiny_generator: Path, tmp_path: Path) -> None:
    out = tmp_path / "people.parquet"
    assert cli("identities", out, "--generator", tiny_generator, "--identities", 2, "--sampling", "sphere").status == 0
    record = json.loads(pq.read_schema(out).metadata[b"sampled"])
    assert (record["sampling"], record["seed"]) == ("sphere", 0)
    vectors, seeds = _rows(out)
    drawn = normal(seeds[1], Stream.IDENTITY, 192)
    np.testing.assert_allclose(vectors[1], 70.0 * drawn / np.linalg.norm(drawn), rtol=1e-4)


def test_they_are_kept_apart_and_fewer_are_the_first(
    cli: Cli, learned: Path, tiny_generator: Path, tmp_path: Path
) -> None:
    draws = two_stage(load_generator(learned, "cpu"), load_embedder("mobilefacenet", "cpu"))
    candidates = draws([derive_seed(0, k) for k in range(16)])
    unit = candidates / np.linalg.norm(candidates, axis=1, keepdims=True)
    limit = float(np.quantile((unit @ unit.T)[np.triu_indices(16, 1)], 0.6))
    kept: list[int] = []
    for row in range(16):
        if all(unit[row] @ unit[other] <= limit for other in kept):
            kept.append(row)
    assert 3 <= len(kept) < 16
    options = ["--generator", tiny_generator, "--from-unconditional", learned, "--max-similarity", limit]
    assert cli("identities", tmp_path / "some", *options, "--identities", len(kept)).status == 0
    assert cli("identities", tmp_path / "two", *options, "--identities", 2).status == 0
    some, two = (_rows(tmp_path / name) for name in ("some", "two"))
    assert some[1] == [derive_seed(0, k) for k in kept]
    assert two[1] == some[1][:2]
    assert np.array_equal(some[0], candidates[kept])
    assert np.array_equal(two[0], some[0][:2])


def test_a_vector_is_of_its_seed_alone(learned: Path) -> None:
    draws = two_stage(load_generator(learned, "cpu"), load_embedder("mobilefacenet", "cpu"))
    seeds = list(range(6))
    whole = draws(seeds)
    assert np.array_equal(draws(seeds[4:]), whole[4:])
    assert np.array_equal(draws([seeds[3], seeds[5]]), whole[[3, 5]])
    assert not np.array_equal(whole[0], whole[1])


def test_guidance_and_other_identities_have_no_part_in_it(learned: Path) -> None:
    generator = load_generator(learned, "cpu")
    embedder = load_embedder("mobilefacenet", "cpu")
    plain = two_stage(generator, embedder)([1])
    for sampler in ("guidance=3", "negative=0.5", "least_cosine=0.1"):
        assert np.array_equal(two_stage(generator.with_sampler(sampler), embedder)([1]), plain)
    assert generator.unconditional().passes == 1


def test_too_many_of_them_end_after_a_budget(
    cli: Cli, learned: Path, tmp_path: Path, tiny_generator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "_BLOCK", 32)
    options = ["--generator", tiny_generator, "--from-unconditional", learned, "--max-similarity", -0.9]
    outcome = cli("identities", tmp_path / "p", *options, "--identities", 2)
    assert "only 1 of 2 identities fit at a cosine of at most -0.9 (after 36 draws)" in outcome.error
    assert not (tmp_path / "p").exists()


def test_generators_that_cannot(
    cli: Cli, learned: Path, unconditional: Path, tiny_generator: Path, tmp_path: Path
) -> None:
    out = tmp_path / "people.parquet"
    card = replace(weights.read_card(learned, IDiffCard), learned_without_identity=False)
    never = tmp_path / "never.safetensors"
    never.write_bytes(learned.read_bytes())
    weights.write_card(never, card)
    for generator, said in [
        (never, "learned: its training saw no images without an identity"),
        (tiny_generator, "tiny draws no image without an identity"),
        (tmp_path / "absent.safetensors", "no such weight file"),
    ]:
        assert said in cli("identities", out, "--from-unconditional", generator).error
    given = ["--from-unconditional", unconditional]
    assert "--sampling" in cli("identities", out, *given, "--sampling", "sphere").error
    assert "--statistics" in cli("identities", out, *given, "--statistics", "s.safetensors").error
    assert "goes with --from-unconditional only" in cli("identities", out, "--embedder", "dlib_resnet").error
    assert "decodes vectors of mobilefacenet, not of dlib_resnet" in (
        cli("identities", out, *given, "--embedder", "dlib_resnet").error
    )
    elsewhere = tmp_path / "elsewhere.safetensors"
    elsewhere.write_bytes(learned.read_bytes())
    weights.write_card(elsewhere, replace(card, embedder="elasticface", embedder_sha256="0" * 64))
    missing = "elasticface, which does not ship with the package; name its file with --embedder"
    assert missing in cli("identities", out, *given, "--generator", elsewhere).error
    references = ["--generator", elsewhere, "--reference", tmp_path]
    assert missing in cli("generate", tmp_path / "faces", *references).error
    assert "shows nobody in particular" in cli("generate", tmp_path / "faces", "--generator", unconditional).error
    assert not out.exists()
    assert not (tmp_path / "faces").exists()
