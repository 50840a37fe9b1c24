"""Images made from a plan on the fly: the same as those that are stored, for training too."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from nonesuch import load_generator
from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.from_plan import PlannedImages, read_planned
from nonesuch.formats.readers import find
from tests.conftest import Cli

OPTIONS = ["--identities", 6, "--images", 4, "--shard-images", 8, "--no-summary"]


@pytest.fixture
def stored(cli: Cli, tiny_generator: Path, tmp_path: Path) -> Path:
    outcome = cli("generate", tmp_path / "stored", "--generator", tiny_generator, *OPTIONS)
    assert outcome.status == 0, outcome.err
    return tmp_path / "stored"


@pytest.fixture
def plan(cli: Cli, tiny_generator: Path, tmp_path: Path) -> Path:
    outcome = cli("generate", tmp_path / "plan", "--generator", tiny_generator, *OPTIONS, "--plan-only")
    assert outcome.status == 0, outcome.err
    assert "a plan of 6 identities, 24 images" in outcome.out
    return tmp_path / "plan"


def test_planned_images_are_those_that_are_stored(
    cli: Cli, stored: Path, plan: Path, tiny_generator: Path, tmp_path: Path
) -> None:
    assert not (plan / "shards").exists()
    planned = PlannedImages(plan, load_generator(str(tiny_generator), "cpu"))
    photographs = find(stored)
    assert [(p.name, p.identity) for p in planned.photographs] == [(p.name, p.identity) for p in photographs]
    order = np.random.default_rng(0).permutation(24).tolist()
    made = planned.read([planned.photographs[row] for row in order])
    for image, row in zip(made, order, strict=True):
        assert np.array_equal(image, photographs[row].read_crop())
    other = PlannedImages(stored, load_generator(str(tiny_generator), "cpu"))
    both = [planned.photographs[5], other.photographs[3], planned.photographs[0]]
    together = read_planned([planned, other], both)
    for image, row in zip(together, (5, 3, 0), strict=True):
        assert np.array_equal(image, photographs[row].read_crop())
    # The plan is the beginning of the dataset.
    assert cli("generate", plan, "--generator", tiny_generator, *OPTIONS).status == 0
    for tar in sorted((stored / "shards").glob("*.tar")):
        assert (plan / "shards" / tar.name).read_bytes() == tar.read_bytes()


def test_training_from_a_generator_equals_training_from_files(
    cli: Cli, stored: Path, plan: Path, tiny_generator: Path, tmp_path: Path
) -> None:
    weights = []
    for name, options in {
        "files": ["--data", stored],
        "made": ["--data", plan, "--from-generator", tiny_generator],
        "kept": ["--data", plan, "--from-generator", tiny_generator, "--cache"],
    }.items():
        run = tmp_path / name
        outcome = cli("recognize", "train", run, *options, "--preset", "tiny", "--epochs", 2)
        assert outcome.status == 0, outcome.err
        weights.append((run / "tiny.safetensors").read_bytes())
    assert weights[0] == weights[1] == weights[2]
    assert not (plan / "shards").exists()


def test_plans_that_cannot_be_made(cli: Cli, plan: Path, tiny_generator: Path, tmp_path: Path) -> None:
    train = ["recognize", "train", tmp_path / "run", "--preset", "tiny", "--data"]
    assert "was planned for tiny, not for" in cli(*train, plan, "--from-generator", "vec2face_small").error
    assert "no dataset here" in cli(*train, tmp_path, "--from-generator", tiny_generator).error
    assert "leave it out" in cli(*train, plan, "--from-generator", tiny_generator, "--where", "sigma > 0").error
    assert "holds no images" in cli(*train, plan).error
    assert not (tmp_path / "run").exists()
    copy = tmp_path / "copy"
    shutil.copytree(plan, copy)
    manifest = json.loads((copy / "dataset.json").read_text())
    manifest["options"]["steering"] = {}
    (copy / "dataset.json").write_text(json.dumps(manifest))
    with pytest.raises(NonesuchError, match="its images are steered"):
        PlannedImages(copy, load_generator(str(tiny_generator), "cpu"))
