"""`nonesuch generate --steer`."""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from nonesuch import create_model, load_generator, load_perceiver
from nonesuch.core import images, weights
from nonesuch.formats.columns import read_columns
from nonesuch.formats.readers import find
from nonesuch.generators.generator import to_grey_levels
from nonesuch.generators.vec2face.generator import Vec2FaceCard
from tests.conftest import Cli, succeed

_OPTIONS = ["--identities", 2, "--images", 5, "--shard-images", 5, "--no-summary", "--steer-steps", 6]
_OPTIONS += ["--micro-batch", 1]  # so that a shard takes several jobs
_OPTIONS += ["--generator", "vec2face_small"]
_WISHES = ["--steer", "yaw=uniform(-15,15)", "--steer", "50%: smiling=1"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("steered") / "faces"
    succeed("generate", out, *_OPTIONS, *_WISHES)
    return out


@pytest.fixture
def steered(made: Path, tmp_path: Path) -> Path:
    """A copy of one's own."""
    return Path(shutil.copytree(made, tmp_path / "faces"))


def test_the_dataset_says_what_was_wished_for_and_reached(cli: Cli, steered: Path) -> None:
    found = read_columns(steered, "steering").to_pylist()
    assert len(found) == 10
    assert any(row["smiling_low"] is None for row in found)
    pixels = np.stack([images.decode(item.read_bytes(), "") for item in find(steered)])
    seen = load_perceiver(device="cpu").perceive(pixels)
    assert np.abs(seen["yaw"] - [row["yaw"] for row in found]).max() < 3  # the stored image went through JPEG
    for row in found:
        assert row["yaw_high"] - row["yaw_low"] == pytest.approx(6)
        assert row["steps"] <= 6
        inside = row["yaw_low"] <= row["yaw"] <= row["yaw_high"]
        smiles = row["smiling_low"] is None or row["smiling"] >= row["smiling_low"]
        assert row["accepted"] == (inside and smiles and row["identity"] >= 0.7)
    record = json.loads((steered / "dataset.json").read_text())["options"]["steering"]
    assert record["wishes"] == ["yaw=uniform(-15,15)", "50%:smiling=1"]
    assert record["steps"] == 6
    assert cli("verify", steered).status == 0


def test_the_same_whatever_the_workers(cli: Cli, steered: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    outcome = cli("generate", again, *_OPTIONS, *_WISHES, "--workers", 1)
    assert outcome.status == 0, outcome.err
    assert "show yaw=uniform(-15,15) and 50%:smiling=1" in outcome.out
    for shard in ("000000.tar", "000001.tar"):
        assert (steered / "shards" / shard).read_bytes() == (again / "shards" / shard).read_bytes()
    assert read_columns(steered, "steering").equals(read_columns(again, "steering"))


def test_a_lost_record_is_noticed_and_made_again(cli: Cli, steered: Path) -> None:
    lost = steered / "columns" / "steering" / "000001.parquet"
    before = pq.read_table(lost)
    lost.unlink()
    outcome = cli("verify", steered)
    assert outcome.status == 1
    assert "shard 000001: lacks the columns steering" in outcome.out + outcome.err
    untouched = (steered / "shards" / "000000.tar").stat().st_mtime_ns
    assert cli("generate", steered, *_OPTIONS, *_WISHES).status == 0
    assert pq.read_table(lost).equals(before)
    assert (steered / "shards" / "000000.tar").stat().st_mtime_ns == untouched


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        (["--steer", "yaw=left"], "left is not a value, range or distribution"),
        (["--steer", "age=-5"], "age lies in 0..100"),
        (["--steer", "yaw=-30", "--steer", "yaw=30"], "contradict each other"),
        (["--steer", "yaw=3", "--steer-steps", -1], "-1 is not in the range"),
        (["--steer-steps", 3], "go with --steer or --min-age only"),
    ],
)
def test_wrong_wishes(cli: Cli, tmp_path: Path, wishes: list[str], message: str) -> None:
    assert message in cli("generate", tmp_path / "out", *wishes).error
    assert not (tmp_path / "out").exists()


def test_a_run_killed_while_steering_goes_on(cli: Cli, steered: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "nonesuch", "generate", str(out), *map(str, _OPTIONS), *_WISHES]
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not (out / "shards" / "000000.parquet").exists() and run.poll() is None:
        time.sleep(0.02)
    run.kill()
    run.wait()
    assert cli("generate", out, *_OPTIONS, *_WISHES).status == 0
    assert read_columns(out, "steering").equals(read_columns(steered, "steering"))
    for shard in ("000000.tar", "000001.tar"):
        assert (steered / "shards" / shard).read_bytes() == (out / "shards" / shard).read_bytes()


def test_a_generator_without_a_style_code(cli: Cli, tiny_generator: Path, tmp_path: Path) -> None:
    card = replace(weights.read_card(tiny_generator, Vec2FaceCard), sizes={"style_dim": 0}, statistics="")
    plain = tmp_path / "plain.safetensors"
    weights.save(plain, create_model(card.architecture, **card.sizes).state_dict(), card)
    options = ["--generator", plain, "--sampling", "sphere", "--identities", 2, "--images", 2, "--steer-steps", 1]
    assert cli("generate", tmp_path / "out", *options, "--steer", "yaw=10", "--no-summary").status == 0
    assert "style" not in read_columns(tmp_path / "out", "steering").column_names


def test_other_wishes_are_another_dataset(cli: Cli, steered: Path) -> None:
    outcome = cli("generate", steered, *_OPTIONS, "--steer", "yaw=4")
    assert outcome.status == 1
    assert "steering" in outcome.error


def test_a_least_age(cli: Cli, tmp_path: Path) -> None:
    """Half of the people look younger than this one; none of those is in the dataset."""
    plain, old = tmp_path / "plain", tmp_path / "old"
    made_by = ["--generator", "vec2face_small", "--no-summary"]
    assert cli("generate", plain, *made_by, "--identities", 6, "--images", 1).status == 0
    assert cli("perceive", plain).status == 0
    ages = read_columns(plain, "perception")["age"].to_numpy()
    least = float(np.median(ages).round())
    options = [*made_by, "--identities", 6, "--images", 2, "--min-age", least, "--steer-steps", 15]
    outcome = cli("generate", old, *options)
    assert outcome.status == 0
    found = read_columns(old, "steering").to_pylist()
    assert {row["age_low"] for row in found} == {least}
    assert sum(row["accepted"] for row in found) >= 9
    assert all(row["age"] >= least for row in found if row["accepted"])
    assert "images still look younger than" in outcome.out
    admitted, before = (
        np.array(pq.read_table(folder / "identities.parquet")["embedding"].to_pylist(), dtype=np.float32)
        for folder in (old, plain)
    )
    perceiver, generator = load_perceiver(device="cpu"), load_generator("vec2face_small", "cpu")

    def ages_of(vectors: np.ndarray) -> np.ndarray:
        pixels = generator.render(vectors, np.zeros(len(vectors), dtype=np.uint64), 16, style_spread=0.0)
        return perceiver.perceive(to_grey_levels(pixels))["age"]

    assert (ages_of(admitted) >= least).all()
    kept = [any(np.array_equal(vector, other) for other in admitted) for vector in before]
    assert 0 < sum(kept) < 6
    assert kept == (ages_of(before) >= least).tolist()


def test_a_least_age_is_for_sampled_people(cli: Cli, tmp_path: Path) -> None:
    below = cli("generate", tmp_path / "out", "--min-age", 30, "--steer", "20%: age=25")
    assert "goes below --min-age 30" in below.error
    assert "would leave out nobody" in cli("generate", tmp_path / "out", "--min-age", 18).error
    outcome = cli("generate", tmp_path / "out", "--min-age", 30, "--vectors", "people.parquet")
    assert "--min-age is about sampled identities" in outcome.error
