"""`nonesuch identities --quota`: which share of the identities shows what."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

from nonesuch import NonesuchError, load_generator, load_perceiver
from nonesuch.core.images import Pixels
from nonesuch.core.seeding import derive_seed
from nonesuch.generators.generator import Generator, to_grey_levels
from nonesuch.identities import plain_images, sampling, statistics
from nonesuch.identities.distributions import PcaGaussian
from nonesuch.identities.plain_images import PlainImages
from nonesuch.identities.quotas import Quotas
from nonesuch.models import ASSETS
from tests.conftest import Cli

_OPTIONS = ["--generator", "vec2face_small", "--seed", 3]


def test_shares_are_kept(cli: Cli, tmp_path: Path) -> None:
    """As a naive loop fills them: each candidate in turn, seen by the perceiver, unless its group is full."""
    out = tmp_path / "people.parquet"
    quotas = ["--quota", "40%: gender = 'female' and age < 40", "--quota", "20%: gender = 'male' and age >= 30"]
    outcome = cli("identities", out, *_OPTIONS, "--identities", 10, *quotas)
    assert outcome.status == 0, outcome.err
    draw = PcaGaussian(statistics.load(ASSETS / "vec2face_small.statistics.safetensors"))
    candidates = np.stack([draw(derive_seed(3, k)) for k in range(48)])
    generator = load_generator("vec2face_small", "cpu")
    images = generator.render(candidates, np.zeros(48, dtype=np.uint64), 16, style_spread=0.0)
    seen = load_perceiver(device="cpu").perceive(to_grey_levels(images))
    room, expected = {"young women": 4, "older men": 2, "others": 4}, []
    for candidate, gender, age in zip(candidates, seen["gender"], seen["age"], strict=True):
        young, older = gender == "female" and age < 40, gender == "male" and age >= 30
        group = "young women" if young else "older men" if older else "others"
        unit = candidate / np.linalg.norm(candidate)
        apart = all(unit @ other / np.linalg.norm(other) <= 0.541 for other in expected)
        if room[group] and apart:
            room[group] -= 1
            expected.append(candidate)
    assert not any(room.values())
    assert np.array_equal(np.array(pq.read_table(out)["embedding"].to_pylist(), dtype=np.float32), np.stack(expected))
    record = json.loads(pq.read_schema(out).metadata[b"sampled"])
    assert record["quotas"] == ["40%: gender = 'female' and age < 40", "20%: gender = 'male' and age >= 30"]


def test_a_quota_nobody_fills_is_named(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "_BLOCK", 16)
    out = tmp_path / "people.parquet"
    outcome = cli(
        "identities", out, *_OPTIONS, "--identities", 4, "--quota", "50%: age > 130", "--quota", "50%: age > 0"
    )
    assert outcome.status == 1
    assert "only 2 of 4 identities fit" in outcome.err
    assert "missing 2 of 'age > 130';" in outcome.err
    assert not out.exists()


def test_two_judges_look_at_one_image(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is apart from a gallery by another embedder is judged by the quotas without being rendered again."""
    rendered, render = [], plain_images.plain_images

    def counted(generator: Generator, vectors: NDArray[np.float32]) -> Pixels:
        rendered.extend(vector.tobytes() for vector in vectors)
        return render(generator, vectors)

    monkeypatch.setattr(plain_images, "plain_images", counted)
    draw = PcaGaussian(statistics.load(ASSETS / "vec2face_small.statistics.safetensors"))
    image = PlainImages("vec2face_small", "cpu")(draw(derive_seed(9, 0))[None])
    Image.fromarray(image[0]).save(tmp_path / "somebody.png")
    gallery = tmp_path / "gallery.parquet"
    assert cli("embed", tmp_path / "somebody.png", "--embedder", "dlib_resnet", "--out", gallery).status == 0
    rendered.clear()
    options = ["--identities", 4, "--away-from", gallery, "--quota", "50%: gender = 'female'"]
    outcome = cli("identities", tmp_path / "people.parquet", *_OPTIONS, *options)
    assert outcome.status == 0, outcome.err
    assert len(rendered) == len(set(rendered)) >= 4


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["age > 3"], "write it as SHARE%: CONDITION"),
        (["60%: age > 3", "41%: age < 3"], "the shares are 101% together"),
        (["50%: height > 3"], "height"),
        (["50%: age > 3; DROP TABLE seen"], "--quota"),
        (["50%: age > (SELECT count(*) FROM read_csv('/etc/passwd'))"], "--quota"),
    ],
)
def test_quotas_that_are_none(texts: list[str], reason: str) -> None:
    vectors = np.ones((1, 192), dtype=np.float32)
    with pytest.raises(NonesuchError, match=reason):
        Quotas(texts, PlainImages("vec2face_small", "cpu"), load_perceiver(device="cpu")).groups(vectors)


def test_room_is_whole_and_adds_up() -> None:
    quotas = Quotas(["33.3%: age < 3", "33.3%: age > 3"], PlainImages("vec2face_small", "cpu"), load_perceiver())
    for count in range(1, 40):
        room = quotas.room(count)
        assert room.sum() == count
        assert np.abs(room - count * np.array([0.333, 0.333, 0.334])).max() <= 1
