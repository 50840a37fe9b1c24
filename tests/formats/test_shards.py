"""A shard as it is written: a tar that others read, and an index that vouches for it."""

import hashlib
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.formats.dataset import read_identities, shard_images
from nonesuch.formats.shard_writer import ShardWriter
from nonesuch.formats.shards import INDEX_SCHEMA, is_complete, key_of, read_index, shard_files

KEYS = ["0000004/00000", "0000004/00001", "0000009/00000", "0000009/00001"]


def test_a_tar_that_others_read(shards: Path) -> None:
    with tarfile.open(shard_files(shards, 0).tar) as archive:
        members = {member.name: member for member in archive}
        assert list(members) == [key + suffix for key in KEYS for suffix in (".png", ".cls")]
        labels = [archive.extractfile(f"{key}.cls").read() for key in KEYS]
    assert labels == [b"4", b"4", b"9", b"9"]
    assert {member.mode for member in members.values()} == {0o644}


def test_an_index_that_vouches_for_it(shards: Path) -> None:
    place = shard_files(shards, 0)
    table, content = read_index(place.index), place.tar.read_bytes()
    assert [table[name].to_pylist() for name in ("key", "label", "image", "seed", "sigma")] == [
        KEYS, [4, 4, 9, 9], [0, 1, 0, 1], [40, 41, 90, 91], [0.5] * 4,
    ]  # fmt: skip
    for offset, size, digest in zip(*(table[name].to_pylist() for name in ("offset", "size", "sha256")), strict=True):
        assert hashlib.sha256(content[offset : offset + size]).digest() == digest
    metadata = table.schema.metadata
    assert metadata[b"tar_sha256"].decode() == hashlib.sha256(content).hexdigest()
    assert (metadata[b"tar_bytes"], metadata[b"made_from"]) == (str(len(content)).encode(), b"made")
    assert json.loads(metadata[b"render"]) == {"codec": "png"}
    assert [key_of(key + ".png") for key in KEYS] == KEYS


def test_images_by_shard_and_row(shards: Path) -> None:
    assert [int(image[0, 0, 0]) for image in shard_images(shards, 0)] == [40, 41, 90, 91]
    assert [int(image[0, 0, 0]) for image in shard_images(shards, 0, np.array([3, 0]))] == [91, 40]
    for identities, most, wanted in ((1, 2, {4: [40, 41]}), (9, 1, {4: [40], 9: [90], 7: [70], 2: [20]})):
        found = read_identities(shards, identities, most)
        assert {person.label: person.images[:, 0, 0, 0].tolist() for person in found} == wanted
        assert [person.vector.tolist() for person in found] == [[label, 1] for label in wanted]


def test_a_shard_is_complete_only_with_both_files_of_this_plan(shards: Path) -> None:
    place = shard_files(shards, 0)
    assert is_complete(place, "made")
    assert not is_complete(place, "made from another plan")
    with place.tar.open("ab") as file:
        file.write(b"x")
    assert not is_complete(place, "made")
    place.tar.unlink()
    assert not is_complete(place, "made")
    place = shard_files(shards, 1)
    place.index.write_bytes(place.index.read_bytes()[:-5])
    with pytest.raises(NonesuchError, match=r"000001\.parquet: damaged; remove it"):
        is_complete(place, "made")
    place.index.unlink()
    assert not is_complete(place, "made")


def test_a_shard_that_is_given_up_leaves_nothing(shards: Path) -> None:
    before = sorted(shards.rglob("*"))
    writer = ShardWriter(shards, 2, ".png", "made", {})
    writer.add(1, 0, 1, 0.5, b"image")
    assert sorted(shards.rglob("*")) != before
    writer.abort()
    assert sorted(shards.rglob("*")) == before


@pytest.mark.parametrize(
    ("column", "value"),
    [("offset", -1), ("size", -1), ("sha256", None), ("label", None), (None, "metadata"), (None, "")],
)
def test_indexes_that_are_none(shards: Path, column: str | None, value: object) -> None:
    path = shard_files(shards, 0).index
    table = pq.read_table(path)
    if column is not None:
        at, field = table.column_names.index(column), table.schema.field(column)
        values = [*table[column].to_pylist()[:-1], value]
        table = table.set_column(at, field, pa.array(values, field.type))
    elif value == "metadata":
        table = table.replace_schema_metadata(None)
    else:
        table = table.set_column(2, "image", table["image"].cast(pa.int64()))
    pq.write_table(table, path)
    with pytest.raises(NonesuchError, match=r"lacks a value or the hash|are not those of a shard index"):
        read_index(path)
    assert pq.read_schema(path).names == INDEX_SCHEMA.names
