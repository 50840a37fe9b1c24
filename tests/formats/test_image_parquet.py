"""Parquet with images, as Hugging Face's datasets write it, made here by pyarrow alone."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nonesuch.core import images
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import Notice
from nonesuch.dataset.export_dataset import export_dataset
from nonesuch.formats import image_parquet
from nonesuch.formats.readers import find
from tests.conftest import Cli
from tests.people import faces_of_no_one

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def _image(level: int) -> bytes:
    return images.encode(np.full((8, 8, 3), level, np.uint8), "png", 1)


def write(
    path: Path,
    labels: pa.Array | None,
    names: object = None,
    paths: list[str | None] | None = None,
    kind: pa.DataType = IMAGE,
    rows: int = 2,
    column: str = "image",
) -> Path:
    """One file; the images are of grey levels 0, 1, ...; `names` are those of a ClassLabel."""
    path.parent.mkdir(exist_ok=True)
    count = len(labels) if labels is not None else len(paths or [])
    paths = [None] * count if paths is None else paths
    values = [{"bytes": _image(level), "path": place} for level, place in enumerate(paths)]
    columns = {column: pa.array(values, kind)} | ({} if labels is None else {"label": labels})
    label = {"_type": "Value", "dtype": "int64"} if names is None else {"_type": "ClassLabel", "names": names}
    told = {"info": {"features": {column: {"_type": "Image"}, "label": label}}}
    table = pa.table(columns).replace_schema_metadata({"huggingface": json.dumps(told)})
    pq.write_table(table, path, row_group_size=rows)
    return path


def test_a_published_folder(tmp_path: Path) -> None:
    labels = pa.array([1, 0, 1, 2, 0])
    write(tmp_path / "data" / "train-00000-of-00002.parquet", labels, ["ann", "bob", "Zoë"])
    write(tmp_path / "data" / "train-00001-of-00002.parquet", labels[:2], ["ann", "bob", "Zoë"])
    write(tmp_path / "data" / "test-00000-of-00001-3f0c.parquet", labels[3:], ["ann", "bob", "Zoë"])
    (tmp_path / "data" / "README.md").write_text("about")
    found = find(tmp_path / "data", split="train")
    assert [item.identity for item in found] == ["bob", "ann", "bob", "Zoë", "ann", "bob", "ann"]
    assert [item.name for item in found] == [str(number) for number in range(7)]
    assert [int(item.read()[0, 0, 0]) for item in found] == [0, 1, 2, 3, 4, 0, 1]
    assert [int(item.read()[0, 0, 0]) for item in reversed(found)] == [1, 0, 4, 3, 2, 1, 0]
    assert [item.identity for item in find(tmp_path / "data")][:2] == ["Zoë", "ann"]
    assert len(find(tmp_path / "data" / "test-00000-of-00001-3f0c.parquet", split="train")) == 2
    with pytest.raises(NonesuchError, match="has no split val, but test, train"):
        find(tmp_path / "data", split="val")


LARGE = pa.struct([("bytes", pa.large_binary()), ("path", pa.large_string())])
NO_PATH = pa.struct([("bytes", pa.binary()), ("path", pa.null())])


@pytest.mark.parametrize(
    ("labels", "kind", "identities"),
    [
        (pa.array(["b", "a", "b"]), IMAGE, ["b", "a", "b"]),
        (pa.array(["b", "a", "b"]).dictionary_encode(), LARGE, ["b", "a", "b"]),
        (pa.array([7, 70, 7], pa.int32()), NO_PATH, ["7", "70", "7"]),
        (None, IMAGE, ["ann", "bob", "c"]),
    ],
)
def test_labels_and_types(tmp_path: Path, labels: pa.Array | None, kind: pa.DataType, identities: list[str]) -> None:
    paths = None if kind == NO_PATH else ["ann/1.png", "bob/1.png", "c.png"]
    path = write(tmp_path / "faces.parquet", labels, paths=paths, kind=kind, column="face")
    found = find(path)
    assert [item.identity for item in found] == identities
    assert [item.name for item in found] == (paths or ["0", "1", "2"])
    assert [int(item.read()[0, 0, 0]) for item in found] == [0, 1, 2]


def test_paths_that_recur_name_no_image(tmp_path: Path) -> None:
    path = write(tmp_path / "faces.parquet", pa.array(["a", "b", "b"]), paths=["1.png", "1.png", "2.png"])
    assert [item.name for item in find(path)] == ["0", "1", "2"]


def test_images_without_a_label_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "faces.parquet", pa.array([0, -1, None, 1]), ["a", "b"])
    with pytest.warns(Notice, match="2 images have no label and are left out"):
        found = find(path)
    assert [(item.identity, int(item.read()[0, 0, 0])) for item in found] == [("a", 0), ("b", 3)]


def _null(path: Path, value: object, statistics: bool) -> None:
    values = [{"bytes": _image(0), "path": "a.png"}, value]
    table = pa.table({"image": pa.array(values, IMAGE), "label": ["a", "b"]})
    pq.write_table(table, path, write_statistics=statistics)


NULLS: list[object] = [None, {"bytes": None, "path": "/etc/passwd"}]


@pytest.mark.parametrize("value", NULLS)
def test_an_image_that_is_null(tmp_path: Path, value: object) -> None:
    """Told at once where the file counts nulls, otherwise when the image is read. Paths are not followed."""
    path = tmp_path / "faces.parquet"
    _null(path, value, True)
    with pytest.raises(NonesuchError, match="1 of its images have no bytes, and paths are not followed"):
        find(path)
    _null(path, value, False)
    found = find(path)
    assert int(found[0].read()[0, 0, 0]) == 0
    with pytest.raises(NonesuchError, match="row 1 of group 0 has no image"):
        found[1].read_bytes()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _scribble(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4:400] = b"\xff" * 396
    path.write_bytes(data)


def _label(labels: pa.Array, names: object = None) -> Callable[[Path], None]:
    return lambda path: (write(path, labels, names), None)[1]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_cut, r"b\.parquet: damaged"),
        (_label(pa.array([0, 2]), ["a", "b"]), "label 2 is none of those that its metadata name"),
        (_label(pa.array([0, 1]), ["a", "a"]), "not a list of different texts"),
        (_label(pa.array([0, 1]), ["a", 3]), "not a list of different texts"),
        (_label(pa.array([0.5, 1])), "neither text nor whole numbers"),
        (_label(pa.array([[1], [2]])), "neither text nor whole numbers"),
        (lambda path: pq.write_table(pa.table({"a": [1]}), path), "has no column of images"),
    ],
)
def test_damage_is_told_in_one_line(tmp_path: Path, damage: Callable[[Path], None], says: str) -> None:
    write(tmp_path / "set" / "a.parquet", pa.array(["a", "b"]))
    write(tmp_path / "set" / "b.parquet", pa.array(["a", "b"]))
    damage(tmp_path / "set" / "b.parquet")
    with pytest.raises(NonesuchError, match=says) as error:
        find(tmp_path / "set")
    assert "\n" not in str(error.value)


def test_pages_that_are_damaged(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", pa.array(["a", "b"]))
    found = find(path)
    assert found[0].read_bytes()
    _scribble(path)
    with pytest.raises(NonesuchError, match="0 cannot be read") as error:
        found[0].read_bytes()
    assert "\n" not in str(error.value)


def test_row_groups_that_are_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.parquet", pa.array(["a", "b"]))
    monkeypatch.setattr(image_parquet, "_SLOW_GROUP", 100)
    with pytest.warns(Notice, match="slow to read in random order"):
        find(path)
    monkeypatch.setattr(image_parquet, "_LARGEST_GROUP", 100)
    with pytest.raises(NonesuchError, match="row groups of more than a GiB"):
        find(path)


def test_a_file_that_is_written_again_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", pa.array(["a", "b"]))
    assert int(find(path)[1].read()[0, 0, 0]) == 1
    path.unlink()
    write(path, pa.array(["a", "b", "c"]))
    assert int(find(path)[2].read()[0, 0, 0]) == 2


def test_what_is_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `datasets` has it: its features in the metadata, images with bytes and path, small row groups."""
    monkeypatch.setattr(image_parquet, "_SHARD", 4)
    monkeypatch.setattr(image_parquet, "_GROUP", 3)
    paths = [f"{name}/1.png" for name in "edcba"]
    source = write(tmp_path / "faces.parquet", None, paths=paths)
    export_dataset(source, tmp_path / "out", format="parquet")
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]
    assert pq.ParquetFile(files[0]).metadata.num_row_groups == 2
    told = json.loads(pq.read_schema(files[1]).metadata[b"huggingface"])["info"]["features"]
    assert told["image"] == {"_type": "Image"}
    assert told["label"] == {"_type": "ClassLabel", "names": list("abcde")}
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    assert rows == [
        {
            "image": {"bytes": _image(level), "path": place},
            "label": 4 - level,
            "sha256": hashlib.sha256(_image(level)).hexdigest(),
        }
        for level, place in enumerate(paths)
    ]
    assert [(item.name, item.identity) for item in find(tmp_path / "out")] == [(place, place[0]) for place in paths]


def test_a_set_that_is_cleaned_twice(cli: Cli, tmp_path: Path) -> None:
    """The manifest's own reader does not take its source for another manifest."""
    crops = [images.encode(crop, "png", 1) for crop in faces_of_no_one(2, 1, images=2, sigma=0.1)]
    values = [{"bytes": crop, "path": None} for crop in crops]
    source = tmp_path / "faces.parquet"
    pq.write_table(pa.table({"image": pa.array(values, IMAGE), "label": ["ann", "ann", "bob", "bob"]}), source)
    for _ in range(2):
        outcome = cli("clean", source, "--out", tmp_path / "cleaned")
        assert outcome.status == 0, outcome.err
    found = find(tmp_path / "cleaned" / "cleaned.parquet")
    assert [item.read_bytes() for item in found] == crops
    assert [item.identity for item in found] == ["ann", "ann", "bob", "bob"]
