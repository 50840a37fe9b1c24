"""A name out of an archive, a card or a manifest never leads out of the folder that it is meant for."""

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from nonesuch.core import files, images
from nonesuch.core.errors import NonesuchError
from nonesuch.core.weights import card_path
from nonesuch.models import ASSETS
from tests.conftest import Cli


@pytest.mark.parametrize(
    "name", ["a.png", "a/b.png", "/a/b.png", "//a/b.png", "./a.png", "a/../b.png", "..a/b.png", "\\x.png"]
)
def test_names_that_stay_inside(tmp_path: Path, name: str) -> None:
    assert tmp_path.resolve() in files.inside(tmp_path, name).resolve().parents


@pytest.mark.parametrize(
    "name", ["../a.png", "a/../../b.png", "/../a.png", "//../x/a.png", "link/a.png", ".", "", "/", "a\0b.png"]
)
def test_names_that_lead_out(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(NonesuchError, match=r"leads out of the folder|is no name of a file"):
        files.inside(folder, name)


def _tar(path: Path, *names: str) -> Path:
    picture = path.with_suffix(".png")
    picture.write_bytes(images.encode(np.zeros((112, 112, 3), np.uint8), "png", 1))
    with tarfile.open(path, "w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = picture.stat().st_size
            with picture.open("rb") as content:
                archive.addfile(member, content)
    picture.unlink()
    return path


def test_crops_of_an_archive_stay_in_their_folder(cli: Cli, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    tar = _tar(tmp_path / "a.tar", f"/{outside}/y.png", "ann/1.png")
    crops = tmp_path / "crops"
    outcome = cli("embed", tar, "--out", tmp_path / "v.parquet", "--crops", crops)
    assert outcome.status == 0, outcome.err
    assert not outside.exists()
    assert len(list(crops.rglob("*.png"))) == 2
    (crops / "link").symlink_to(tmp_path)
    tar = _tar(tmp_path / "b.tar", "bob/1.png", "link/y.png")
    says = "leads out of the folder"
    assert says in cli("embed", tar, "--out", tmp_path / "w.parquet", "--crops", crops).error
    assert not (tmp_path / "w.parquet").exists()
    tar = _tar(tmp_path / "c.tar", "bob/1.png", "ann/../../y.png")
    assert "1 of 1 photographs" in cli("embed", tar, "--out", tmp_path / "w.parquet", "--crops", crops).out
    assert not (tmp_path / "y.png").exists()


def test_where_crops_would_lie_is_looked_at_before_the_work(cli: Cli, tmp_path: Path) -> None:
    """By the folder of their identity, which a table beside the archive names, not by the archive's own names."""
    crops = tmp_path / "crops"
    (crops / "ann").mkdir(parents=True)
    (crops / "link").symlink_to(tmp_path)
    tar = _tar(tmp_path / "a.tar", "1.png", "2.png")
    tar.with_suffix(".csv").write_text("file,identity\n1.png,bob\n2.png,link\n")
    outcome = cli("embed", tar, "--out", tmp_path / "v.parquet", "--crops", crops)
    assert "leads out of the folder" in outcome.error
    assert not (crops / "bob").exists(), "a crop was written first"
    tar = _tar(tmp_path / "b.tar", "link/1.png")
    tar.with_suffix(".csv").write_text("file,identity\nlink/1.png,ann\n")
    outcome = cli("embed", tar, "--out", tmp_path / "v.parquet", "--crops", crops)
    assert outcome.status == 0, outcome.err
    assert (crops / "ann" / "link" / "1.png").is_file()


def _with_card(tmp_path: Path, weights: Path, **changes: object) -> Path:
    copy = tmp_path / "copy" / "copy.safetensors"
    copy.parent.mkdir(exist_ok=True)
    shutil.copyfile(weights, copy)
    card_path(copy).write_text(json.dumps(json.loads(card_path(weights).read_text()) | changes))
    return copy


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "..", "a\\b"])
def test_a_card_names_no_statistics_elsewhere(cli: Cli, tmp_path: Path, tiny_generator: Path, name: str) -> None:
    (tmp_path.parent / "secret").write_text("precious")
    card = _with_card(tmp_path, tiny_generator, statistics=name)
    out = tmp_path / "deep" / "mean.safetensors"
    out.parent.mkdir()
    for arguments in (
        ["generate", tmp_path / "faces", "--generator", card],
        ["average-weights", card, card, "--out", out],
    ):
        outcome = cli(*arguments)
        assert outcome.status == 1
        assert "- at `statistics`" in outcome.error
    assert not out.exists()


def test_a_card_names_no_embedder_elsewhere(cli: Cli, tmp_path: Path, tiny_generator: Path) -> None:
    for suffix in (".safetensors", ".json"):
        shutil.copyfile(ASSETS / f"mobilefacenet{suffix}", tmp_path / f"evil{suffix}")
    card = _with_card(tmp_path, tiny_generator, embedder=str(tmp_path / "evil"))
    options = ["--generator", card, "--identities", 2, "--images", 2, "--fmr", "1e-4", "--no-summary"]
    assert "are not known here" in cli("generate", tmp_path / "faces", *options).error
