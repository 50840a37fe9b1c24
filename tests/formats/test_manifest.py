"""`dataset.json`: every setting tells datasets apart, and damaged ones are refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.formats import manifest as manifests
from nonesuch.formats.manifest import MANIFEST, Manifest
from nonesuch.formats.plan import IDENTITIES, PLAN

MADE_BY: manifests.Origin = {"name": "g", "sha256": "1", "embedder": "e", "embedder_sha256": "2", "licence": "l"}
OURS = Manifest(
    description="", shows_real_people=False, identities=3, images=6, options={"seed": 0, "sigma": 0.5},
    generator=MADE_BY, render={"codec": "png", "dtype": "float32"}, licence="l", plan_sha256="",
    identities_sha256="", shards=[{"tar": "000000.tar", "images": 6, "identities": 3, "sha256": "3"}],
)  # fmt: skip


def test_round_trip(tmp_path: Path) -> None:
    manifests.write(tmp_path, OURS)
    assert manifests.is_dataset(tmp_path)
    assert manifests.read(tmp_path) == OURS
    assert {"nonesuch", "torch", "numpy", "pyarrow", "python"} == set(OURS.versions)


@pytest.mark.parametrize(
    ("changed", "said", "one_plan"),
    [
        ({"options": {"seed": 1, "sigma": 0.5}}, "made with seed 0, not 1", False),
        ({"options": {"seed": 0}}, "made with sigma 0.5, not None", False),
        ({"options": {"seed": 0, "sigma": 0.5, "min_age": 18}}, "made with min age None, not 18", False),
        ({"generator": {**MADE_BY, "sha256": "9"}}, "made with sha256 1, not 9", False),
        ({"render": {"codec": "jpeg", "dtype": "float32"}}, "made with codec png, not jpeg", True),
    ],
)
def test_every_setting_tells_datasets_apart(tmp_path: Path, changed: dict, said: str, one_plan: bool) -> None:
    other = replace(OURS, **changed)
    manifests.check_same(tmp_path, OURS, replace(OURS, complete=True, created="later"))
    with pytest.raises(NonesuchError, match=said):
        manifests.check_same(tmp_path, OURS, other)
    assert manifests.have_one_plan(OURS, other) is one_plan


PART: manifests.Part = {
    "name": "in", "manifest_sha256": "", "description": "", "shows_real_people": None, "licence": "l",
    "generator": None, "options": {}, "identities": 3, "images": 6, "through": [],
}  # fmt: skip


def test_a_dataset_has_a_generator_or_parts(tmp_path: Path) -> None:
    manifests.write(tmp_path, OURS)
    assert "made_from" not in json.loads((tmp_path / MANIFEST).read_text())  # as before there were any
    collected = replace(OURS, generator=None, made_from=[PART], render={"codec": "png"})
    manifests.write(tmp_path, collected)
    assert manifests.read(tmp_path) == collected
    for wrong in (replace(collected, generator=MADE_BY), replace(OURS, generator=None)):
        manifests.write(tmp_path, wrong)
        with pytest.raises(NonesuchError, match="neither a generator nor parts, or both"):
            manifests.read(tmp_path)


def test_columns_that_belong_to_a_dataset() -> None:
    assert OURS.brought_columns == []
    assert replace(OURS, options={"steering": {}}).brought_columns == ["steering"]
    assert replace(OURS, options={"columns": ["perception", "steering"]}).brought_columns == ["perception", "steering"]


def test_the_plan_is_the_one_that_was_promised(shards: Path) -> None:
    hashes = {"plan_sha256": files.sha256(shards / PLAN), "identities_sha256": files.sha256(shards / IDENTITIES)}
    ours = replace(OURS, **hashes)
    manifests.check_plan(shards, ours)
    for name in (PLAN, IDENTITIES):
        whole = (shards / name).read_bytes()
        (shards / name).write_bytes(whole + b"x")
        with pytest.raises(NonesuchError, match=f"{name}: not the file that the manifest was written for"):
            manifests.check_plan(shards, ours)
        (shards / name).unlink()
        with pytest.raises(NonesuchError, match=f"{name}: not the file"):
            manifests.check_plan(shards, ours)
        (shards / name).write_bytes(whole)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("format", 2, "format 2, this version reads 1"),
        ("images", -1, "damaged"),
        ("surprise", 1, "has unknown surprise"),
        ("render", {"codec": "gif", "dtype": "float32"}, "unknown codec or dtype"),
        ("render", {"codec": ["png"], "dtype": "float32"}, "unknown codec or dtype"),
        ("render", {"codec": "png"}, "unknown codec or dtype"),
        ("shards", [{"tar": "000000.tar", "images": 6, "identities": 3}], "damaged"),
    ],
)
def test_damaged_manifests(tmp_path: Path, key: str, value: object, said: str) -> None:
    manifests.write(tmp_path, OURS)
    content = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps({**content, key: value}))
    with pytest.raises(NonesuchError, match=said):
        manifests.read(tmp_path)


def test_files_of_that_name_that_are_none_of_ours(tmp_path: Path) -> None:
    assert not manifests.is_dataset(tmp_path)
    for text, beside_a_plan in (('{"name": "other"}', False), ("{", True), ("[]", True)):
        (tmp_path / MANIFEST).write_text(text)
        assert not manifests.is_dataset(tmp_path)
        (tmp_path / PLAN).touch()
        assert manifests.is_dataset(tmp_path) is beside_a_plan
        (tmp_path / PLAN).unlink()
        with pytest.raises(NonesuchError, match="no dataset here"):
            manifests.read(tmp_path)
