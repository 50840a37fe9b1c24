"""A source: images with their place, and the columns that are kept of them."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.formats import manifest as manifests
from nonesuch.formats.source import Source
from tests.conftest import Cli
from tests.faults import read_only


def test_a_folder_keeps_its_columns_where_it_is_told(folder: Path, tmp_path: Path) -> None:
    source = Source.at(folder, columns_in=tmp_path / "columns")
    assert (len(source.photographs), source.is_dataset, source.shows_real_people) == (4, False, None)
    store = source.columns
    assert source.columns is store
    assert store.spans == [slice(0, 4)]
    table = pa.table({"age": [1, None, 3, 4]})
    assert not store.has("seen", 0, "a model")
    store.write("seen", 0, "a model", table)
    assert store.has("seen", 0, "a model")
    assert not store.has("seen", 0, "another model")
    assert store.read("seen", 0).equals(table)
    assert Source.at(folder, columns_in=tmp_path / "columns").columns.has("seen", 0, "a model")
    assert not (folder / "columns").exists()
    os.utime(folder / "al/1.png", ns=(0, 0))
    assert not store.has("seen", 0, "a model")


def test_folders_of_one_name_keep_their_columns_apart(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    shutil.copytree(folder, tmp_path / "copy" / folder.name)
    for path in (folder, tmp_path / "copy" / folder.name):
        Source.at(path, columns_in=tmp_path / "columns").columns.write("seen", 0, "a model", pa.table({"age": [1] * 4}))
    assert len(list((tmp_path / "columns").iterdir())) == 2


def test_without_a_place_there_are_no_columns(folder: Path) -> None:
    with pytest.raises(ValueError, match="columns_in"):
        _ = Source.at(folder).columns


def test_a_dataset_keeps_its_columns_itself(cli: Cli, tiny_generator: Path, tmp_path: Path) -> None:
    path = tmp_path / "faces"
    options = ["--identities", "2", "--images", "2", "--shard-images", "2", "--no-summary"]
    outcome = cli("generate", path, "--generator", tiny_generator, *options)
    assert outcome.status == 0, outcome.err
    source = Source.at(path, columns_in=tmp_path / "columns")
    assert (source.is_dataset, source.shows_real_people) == (True, False)
    assert source.columns.spans == [slice(0, 2), slice(2, 4)]
    source.columns.write("seen", 1, "a model", pa.table({"age": [1, 2]}))
    assert (path / "columns" / "seen" / "000001.parquet").is_file()
    assert not (tmp_path / "columns").exists()
    with pytest.raises(NonesuchError, match="does not match its index"):
        _ = replace(source, photographs=source.photographs[:1]).columns
    manifests.write(path, replace(manifests.read(path), shows_real_people=True, complete=False))
    assert source.shows_real_people is True
    with pytest.raises(NonesuchError, match="not complete"):
        _ = Source.at(path).columns


def test_a_dataset_that_cannot_be_written_keeps_new_columns_apart(
    cli: Cli, tiny_generator: Path, tmp_path: Path
) -> None:
    path, place = tmp_path / "faces", tmp_path / "columns"
    options = ["--identities", "2", "--images", "2", "--no-summary"]
    assert cli("generate", path, "--generator", tiny_generator, *options).status == 0
    Source.at(path, columns_in=place).columns.write("known", 0, "a model", pa.table({"age": [1, 2, 3, 4]}))
    table = pa.table({"age": [4, 3, 2, 1]})
    with read_only(path):
        store = Source.at(path, columns_in=place).columns
        with store.locked():
            store.write("seen", 0, "a model", table)
        again = Source.at(path, columns_in=place).columns
        assert again.has("seen", 0, "a model")
        assert again.has("known", 0, "a model")
        assert not again.has("known", 0, "another model")
        assert again.read("seen", 0).equals(table)
        assert again.read("known", 0)["age"].to_pylist() == [1, 2, 3, 4]
        assert "name a table to write with --out" in cli("perceive", path).error
    assert not (path / "columns" / "seen").exists()


def test_a_dataset_that_cannot_be_written_is_audited(cli: Cli, tiny_generator: Path, tmp_path: Path) -> None:
    path = tmp_path / "faces"
    options = ["--identities", "3", "--images", "2", "--no-summary"]
    assert cli("generate", path, "--generator", tiny_generator, *options).status == 0
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
    with read_only(path):
        outcome = cli("audit", path, "--embedder", "mobilefacenet", "--out", tmp_path / "report")
    assert outcome.status == 0, outcome.err
    assert (tmp_path / "report" / "report.html").is_file()
    assert {file: file.stat().st_mtime_ns for file in path.rglob("*")} == before


def _manifest() -> manifests.Manifest:
    made_by: manifests.Origin = {"name": "g", "sha256": "1", "embedder": "e", "embedder_sha256": "2", "licence": "l"}
    return manifests.Manifest(
        description="", shows_real_people=False, identities=3, images=6, options={"sigma": 0.5}, generator=made_by,
        render={"codec": "png", "dtype": "float32"}, licence="l", plan_sha256="", identities_sha256="", complete=True,
    )  # fmt: skip


def test_a_damaged_column_is_made_again(shards: Path, folder: Path, tmp_path: Path) -> None:
    """Beside a dataset's shards and apart from them: it does not count as there, and is not read."""
    manifests.write(shards, _manifest())
    assert Source.at(shards).columns.spans == [slice(0, 4), slice(4, 6), slice(6, 8)]
    stores = [Source.at(shards).columns, Source.at(folder, columns_in=tmp_path / "columns").columns]
    for store in stores:
        path = store.write("seen", 0, "a model", pa.table({"age": [1, 2, 3, 4]})) / "000000.parquet"
        assert store.has("seen", 0, "a model")
        path.write_bytes(path.read_bytes()[:-9])
        assert not store.has("seen", 0, "a model")
        with pytest.raises(NonesuchError, match=r"000000\.parquet: damaged; remove it"):
            store.read("seen", 0)


def test_one_process_at_a_time_writes_columns_of_a_dataset(shards: Path, folder: Path, tmp_path: Path) -> None:
    manifests.write(shards, _manifest())
    one, other = Source.at(shards).columns, Source.at(shards).columns
    with one.locked(), pytest.raises(NonesuchError, match="another process"), other.locked():
        pass
    apart = Source.at(folder, columns_in=tmp_path / "columns").columns
    with apart.locked():
        assert not list(folder.glob(".lock"))
