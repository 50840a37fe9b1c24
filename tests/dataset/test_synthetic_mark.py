"""Generated images say that they are synthetic, unless told otherwise; what was begun without goes on without."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from nonesuch.core import images
from nonesuch.dataset.from_plan import PlannedImages
from nonesuch.models import load_generator
from tests.conftest import Cli
from tests.core.test_synthetic_mark import SYNTHETIC, source_type

_OPTIONS = ["--identities", 4, "--images", 3, "--shard-images", 6, "--no-summary"]


def _members(folder: Path) -> dict[str, bytes]:
    found = {}
    for path in sorted((folder / "shards").glob("*.tar")):
        with tarfile.open(path) as archive:
            for member in archive:
                if not member.name.endswith(".cls"):
                    handle = archive.extractfile(member)
                    assert handle is not None
                    found[member.name] = handle.read()
    return found


def _generate(cli: Cli, out: Path, generator: Path, *options: object) -> dict[str, bytes]:
    outcome = cli("generate", out, "--generator", generator, *_OPTIONS, *options)
    assert outcome.status == 0, outcome.err
    return _members(out)


@pytest.mark.parametrize("codec", ["jpeg", "png"])
def test_on_by_default_and_the_pixels_are_the_same(cli: Cli, tiny_generator: Path, tmp_path: Path, codec: str) -> None:
    marked = _generate(cli, tmp_path / "marked", tiny_generator, "--codec", codec)
    plain = _generate(cli, tmp_path / "plain", tiny_generator, "--codec", codec, "--no-synthetic-mark")
    assert len(marked) == 12
    assert {source_type(data) for data in marked.values()} == {SYNTHETIC}
    assert {source_type(data) for data in plain.values()} == {None}
    assert all(np.array_equal(images.decode(marked[name], name), images.decode(plain[name], name)) for name in plain)
    assert cli("verify", tmp_path / "marked").status == 0
    assert "synthetic_mark" not in json.loads((tmp_path / "plain" / "dataset.json").read_text())["render"]


def test_steered_images_say_so_too(cli: Cli, tmp_path: Path) -> None:
    options = ["--generator", "vec2face_small", "--identities", 1, "--images", 1, "--no-summary"]
    outcome = cli("generate", tmp_path / "faces", *options, "--steer", "yaw=0", "--steer-steps", 0)
    assert outcome.status == 0, outcome.err
    assert {source_type(data) for data in _members(tmp_path / "faces").values()} == {SYNTHETIC}


def test_what_was_begun_without_goes_on_without(cli: Cli, tiny_generator: Path, tmp_path: Path) -> None:
    """A dataset as older versions left it, one shard short."""
    out = tmp_path / "faces"
    begun = _generate(cli, out, tiny_generator, "--no-synthetic-mark")
    for path in (out / "shards").glob("000001.*"):
        path.unlink()
    outcome = cli("generate", out, "--generator", tiny_generator, *_OPTIONS)
    assert outcome.status == 0, outcome.err
    assert "begun with --no-synthetic-mark or by an older version, and goes on without the mark" in outcome.err
    assert _members(out) == begun
    assert cli("verify", out).status == 0


def test_what_was_begun_with_it_is_not_continued_without(cli: Cli, tiny_generator: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces"
    _generate(cli, out, tiny_generator)
    refused = cli("generate", out, "--generator", tiny_generator, *_OPTIONS, "--no-synthetic-mark")
    assert "made with synthetic mark True, not None" in refused.error


def test_images_made_from_the_plan_are_those_of_the_shards(cli: Cli, tiny_generator: Path, tmp_path: Path) -> None:
    stored = _generate(cli, tmp_path / "faces", tiny_generator)
    planned = PlannedImages(tmp_path / "faces", load_generator(str(tiny_generator), "cpu"))
    made = planned.read(planned.photographs)
    assert np.array_equal(made, np.stack([images.decode(data, name) for name, data in stored.items()]))
    index = pq.read_table(tmp_path / "faces" / "shards" / "000000.parquet")
    assert b"synthetic_mark" in index.schema.metadata[b"render"]
