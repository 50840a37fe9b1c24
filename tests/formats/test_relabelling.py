"""Manifests of cleaned images: read in place of their source, wherever it went, and refused where it changed."""

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nonesuch.core import images
from nonesuch.core.errors import NonesuchError
from nonesuch.formats import relabelling
from nonesuch.formats.readers import find
from nonesuch.formats.relabelling import Label

ROWS = [("al/1.png", Label("al", "al")), ("bo/2.png", Label("al", "bo"))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "all" / "faces"
    for level, name in enumerate(["al/1.png", "bo/1.png", "bo/2.png"]):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(images.encode(np.full((8, 8, 3), level, np.uint8), "png", 1))
    return root


@pytest.fixture
def manifest(folder: Path) -> Path:
    path = folder.parent / "cleaned" / "cleaned.parquet"
    path.parent.mkdir()
    relabelling.write(path, folder, ROWS, {"embedder": "x"})
    return path


def _found(path: Path, split: str | None = None) -> list[tuple[str, str, int]]:
    return [(item.name, item.identity, int(item.read()[0, 0, 0])) for item in find(path, split)]


def test_a_manifest_keeps_and_relabels(manifest: Path) -> None:
    assert _found(manifest) == [("al/1.png", "al", 0), ("bo/2.png", "al", 2)]
    assert pq.read_schema(manifest).metadata[b"embedder"] == b"x"


def test_images_and_manifest_may_move_together(folder: Path, manifest: Path, tmp_path: Path) -> None:
    shutil.move(folder.parent, tmp_path / "elsewhere")
    assert len(_found(tmp_path / "elsewhere" / "cleaned" / "cleaned.parquet")) == 2
    shutil.move(tmp_path / "elsewhere" / "faces", tmp_path / "lost")
    with pytest.raises(NonesuchError, match=r"neither at .*all/faces nor, seen from the manifest, at \.\./faces"):
        find(tmp_path / "elsewhere" / "cleaned" / "cleaned.parquet")


def test_images_that_have_changed(folder: Path, manifest: Path) -> None:
    (folder / "bo/2.png").unlink()
    with pytest.raises(NonesuchError, match=r"lacks 1 of its images, the first is bo/2\.png"):
        find(manifest)
    (folder / "al").rename(folder / "cy")
    relabelling.write(manifest, folder, [("cy/1.png", Label("al", "al"))], {})
    with pytest.raises(NonesuchError, match="was of al, and is of cy now"):
        find(manifest)


def test_a_manifest_of_a_tar_with_a_table_and_of_another_manifest(folder: Path, tmp_path: Path) -> None:
    tar, first, second = (tmp_path / name for name in ("faces.tar", "first.parquet", "second.parquet"))
    with tarfile.open(tar, "w") as archive:
        archive.add(folder, arcname=".")
    pq.write_table(
        pa.table({"file": ["al/1.png", "bo/1.png", "bo/2.png"], "identity": ["7", "8", "9"], "split": ["a", "b", "b"]}),
        tmp_path / "faces.parquet",
    )
    relabelling.write(first, tar, [(name, Label("7", was)) for name, was in (("al/1.png", "7"), ("bo/2.png", "9"))], {})
    assert _found(first) == [("al/1.png", "7", 0), ("bo/2.png", "7", 2)]
    assert _found(first, "b") == [("bo/2.png", "7", 2)]
    relabelling.write(second, first, [("bo/2.png", Label("10", "7"))], {})
    assert _found(second) == [("bo/2.png", "10", 2)]
    with pytest.raises(NonesuchError, match="keeps none of the images"):
        find(second, "a")
    with pytest.raises(NonesuchError, match="a table, but not a manifest"):
        find(tmp_path / "faces.parquet")


def test_damaged_manifests(folder: Path, manifest: Path) -> None:
    relabelling.write(manifest, manifest, ROWS, {})
    with pytest.raises(NonesuchError, match="names itself"):
        find(manifest)
    manifest.write_bytes(manifest.read_bytes()[:-20])
    with pytest.raises(NonesuchError, match="not a readable manifest"):
        find(manifest)


def test_manifests_that_name_each_other(tmp_path: Path, folder: Path) -> None:
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    relabelling.write(first, folder, ROWS, {})
    relabelling.write(second, first, ROWS[:1], {})
    assert len(find(second)) == 1  # a manifest of a manifest is fine
    relabelling.write(first, second, ROWS, {})
    for path in (first, second):
        with pytest.raises(NonesuchError, match=r"names itself as its source, over 2 manifests"):
            find(path)


def test_manifests_that_lack_a_value_or_name_no_place(manifest: Path) -> None:
    table = pq.read_table(manifest)
    for at, name in enumerate(table.column_names):
        column = pa.array([None, *table[name].to_pylist()[1:]], pa.string())
        pq.write_table(table.set_column(at, name, column), manifest)
        with pytest.raises(NonesuchError, match="a row lacks its file or its identity"):
            find(manifest)
    for key in (b"source", b"relative_source"):
        pq.write_table(table.replace_schema_metadata({**table.schema.metadata, key: b"a\0b"}), manifest)
        with pytest.raises(NonesuchError, match="the place of its images is none"):
            find(manifest)


def test_the_folder_that_named_the_identities_is_remembered(folder: Path, manifest: Path) -> None:
    for label in ("last", "first", None):
        relabelling.write(manifest, folder, ROWS, {}, label)
        assert relabelling.read(manifest).label == label


def test_a_face_among_several_is_remembered(folder: Path, manifest: Path) -> None:
    points = ((1.5, 2.0), (3.0, 2.0), (2.0, 3.0), (1.0, 4.0), (3.0, 4.0))
    relabelling.write(manifest, folder, [ROWS[0], ("bo/2.png", Label("al", "bo", points))], {}, with_faces=True)
    assert [item.landmarks for item in find(manifest)] == [None, points]
    again = manifest.with_name("again.parquet")
    relabelling.write(again, manifest, [("bo/2.png", Label("al", "al"))], {})
    assert find(again)[0].landmarks == points
    table = pq.read_table(manifest)
    broken = pa.array([None, [1.0] * 9], pa.list_(pa.float64()))
    pq.write_table(table.set_column(3, table.schema.field(3), broken), manifest)
    with pytest.raises(NonesuchError, match="landmarks are not five points"):
        find(manifest)
