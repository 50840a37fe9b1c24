"""A dataset shipped as its recipe: the same bits again, and a plain word where they are others."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import nonesuch
from nonesuch.core import images
from nonesuch.dataset import rebuild_dataset, rendering
from nonesuch.dataset.rendering import RenderSettings, render_rows
from nonesuch.formats.plan import PlanRows
from tests.conftest import Cli, succeed

_OPTIONS = ["--identities", 4, "--images", 3, "--shard-images", 6, "--workers", 1, "--no-summary"]
_RECIPE = {"dataset.json", "plan.parquet", "identities.parquet"}


@pytest.fixture(scope="module")
def faces(tiny_generator: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("recipes") / "faces"
    succeed("generate", out, "--generator", tiny_generator, *_OPTIONS)
    return out


@pytest.fixture(scope="module")
def recipe(faces: Path) -> Path:
    out = faces.parent / "recipe"
    succeed("recipe", faces, out)
    return out


def _tars(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "shards").glob("*.tar")}


def test_a_recipe_holds_no_images_and_says_so(cli: Cli, faces: Path, recipe: Path, tmp_path: Path) -> None:
    assert {path.name for path in recipe.iterdir()} - {".lock"} == _RECIPE
    assert all((recipe / name).read_bytes() == (faces / name).read_bytes() for name in _RECIPE)
    outcome = cli("verify", recipe)
    assert outcome.status == 1
    assert f"a recipe, which holds no images; make them with 'nonesuch rebuild {recipe}'" in outcome.err
    assert "missing" not in outcome.err
    shutil.copytree(recipe, tmp_path / "damaged")
    with (tmp_path / "damaged" / "plan.parquet").open("ab") as handle:
        handle.write(b" ")
    assert "plan.parquet: not the file that the manifest was written for" in cli("verify", tmp_path / "damaged").err


def test_the_images_are_made_again_bit_by_bit(
    cli: Cli, faces: Path, recipe: Path, tiny_generator: Path, tmp_path: Path
) -> None:
    outcome = cli("rebuild", recipe, tmp_path / "again", "--generator", tiny_generator)
    assert outcome.status == 0, outcome.err
    assert "12 images made" in outcome.out
    assert "every hash is the manifest's" in outcome.out
    assert _tars(tmp_path / "again") == _tars(faces)
    assert (tmp_path / "again" / "dataset.json").read_bytes() == (recipe / "dataset.json").read_bytes()
    assert cli("verify", tmp_path / "again").status == 0
    assert {path.name for path in recipe.iterdir()} - {".lock"} == _RECIPE


def test_a_lost_shard_is_made_in_its_place(cli: Cli, faces: Path, tiny_generator: Path, tmp_path: Path) -> None:
    shutil.copytree(faces, tmp_path / "faces")
    for path in (tmp_path / "faces" / "shards").glob("000001.*"):
        path.unlink()
    outcome = cli("rebuild", tmp_path / "faces", "--generator", tiny_generator, "--shards", "0/2")
    assert (outcome.status, "1 shards are left to other parts" in outcome.out) == (0, True), outcome.err
    outcome = cli("rebuild", tmp_path / "faces", "--generator", tiny_generator)
    assert (outcome.status, "6 images made" in outcome.out) == (0, True), outcome.err
    assert _tars(tmp_path / "faces") == _tars(faces)
    assert "nothing left to render" in cli("rebuild", tmp_path / "faces", "--generator", tiny_generator).out


def test_a_steered_dataset_is_steered_again(cli: Cli, tmp_path: Path) -> None:
    steer = ["--steer", "yaw=20", "--steer-steps", 2, "--identities", 2, "--images", 1, "--micro-batch", 2]
    faces = tmp_path / "faces"
    outcome = cli("generate", faces, "--generator", "vec2face_small", *steer, "--workers", 1, "--no-summary")
    assert outcome.status == 0, outcome.err
    nonesuch.write_recipe(faces, tmp_path / "recipe")
    made = nonesuch.rebuild_dataset(tmp_path / "recipe", tmp_path / "again", workers=1)
    assert (made.others, made.rendered) == ((), 2)
    columns = [pq.read_table(folder / "columns/steering/000000.parquet") for folder in (faces, tmp_path / "again")]
    assert columns[0].equals(columns[1])


def test_other_weights_are_refused_in_one_line(cli: Cli, recipe: Path, tiny_generator: Path, tmp_path: Path) -> None:
    out = tmp_path / "again"
    assert "was made by tiny (sha256" in cli("rebuild", recipe, out).error
    assert "which does not ship; give its weights as --generator FILE" in cli("rebuild", recipe, out).error
    assert "not by vec2face_small" in cli("rebuild", recipe, out, "--generator", "vec2face_small").error
    assert "absent.safetensors" in cli("rebuild", recipe, out, "--generator", tmp_path / "absent.safetensors").error
    changed = tmp_path / "changed.safetensors"
    shutil.copy(tiny_generator.with_suffix(".json"), changed.with_suffix(".json"))
    data = bytearray(tiny_generator.read_bytes())
    data[-1] ^= 1
    changed.write_bytes(data)
    assert "changed.safetensors" in cli("rebuild", recipe, out, "--generator", changed).error
    assert not out.exists()


def test_what_is_no_recipe_is_refused(
    cli: Cli, faces: Path, recipe: Path, tiny_generator: Path, tmp_path: Path
) -> None:
    assert "holds other files" in cli("recipe", faces, recipe).error
    assert "no dataset here" in cli("recipe", tmp_path, tmp_path / "out").error
    planned = tmp_path / "planned"
    generate = ["generate", planned, "--generator", tiny_generator, *_OPTIONS]
    assert cli(*generate, "--plan-only", "--seed", 9).status == 0
    assert "not complete, so its hashes are not known" in cli("recipe", planned, tmp_path / "out").error
    assert "not complete, so its hashes are not known" in cli("rebuild", planned).error
    assert "holds another dataset" in cli("rebuild", recipe, planned, "--generator", tiny_generator).error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("codec", "planted", "says"),
    [
        ("png", 1, "within the tolerance: pixels differ by at most 1 grey levels"),
        ("png", 2, "OUTSIDE the tolerance: pixels differ by at most 2 grey levels"),
        ("jpeg", 40, "OUTSIDE the tolerance: pixels differ by at most"),
    ],
)
def test_other_bits_are_compared(
    cli: Cli, tiny_generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, planted: int, says: str
) -> None:
    """A machine that renders identity 2 a little darker, with another torch: the shard is named, and how far it is."""
    faces, again = tmp_path / "faces", tmp_path / "again"
    assert cli("generate", faces, "--generator", tiny_generator, *_OPTIONS, "--codec", codec).status == 0

    def other_rows(rows: PlanRows, *more: Any) -> list[bytes]:
        encoded = render_rows(rows, *more)
        for row in np.flatnonzero(rows.identity == 2):
            pixels = images.decode(encoded[row], "")
            encoded[row] = images.encode(pixels - np.minimum(pixels, planted).astype(np.uint8), codec, 95)
        return encoded

    def other_torch(settings: RenderSettings) -> dict[str, Any]:
        return environment(settings) | {"torch": "2.6.0"}

    environment = rendering.render_environment
    monkeypatch.setattr(rendering, "render_rows", other_rows)
    for module in (rendering, rebuild_dataset):
        monkeypatch.setattr(module, "render_environment", other_torch)
    outcome = cli("rebuild", faces, again, "--generator", tiny_generator)
    assert outcome.status == 1
    assert "shard 000000" not in outcome.err
    assert f"shard 000001: other bits than the manifest's, {says}" in outcome.err
    if planted == 1:
        assert (
            f"1 shards have other bits than the manifest's: rendered in another way (torch {torch.__version__}, "
            in (outcome.error)
        )
        assert "2.6.0); float32 pixels then agree within one grey level before the codec" in outcome.error
    else:
        assert "1 of them outside the tolerance" in outcome.error
    assert len(_tars(again)) == 2, "they are kept"
    verified = cli("verify", again).err
    assert "shard 000001: its hash is not the manifest's" in verified
    assert "rendered in another way" in verified
    (again / "shards" / "000001.parquet").unlink()
    in_place = cli("rebuild", again, "--generator", tiny_generator)
    assert "shard 000001: other bits than the manifest's; the original is not here to compare with" in in_place.err
