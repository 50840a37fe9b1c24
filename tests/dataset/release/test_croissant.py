"""Croissant metadata read by a small reader of its own, which knows the specification and nothing of this package."""

import fnmatch
import hashlib
import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.conftest import Cli

Record = dict[str, Any]


@pytest.fixture
def released(cli: Cli, faces: Path) -> Path:
    assert cli("release", faces).status == 0
    return faces


def _node(metadata: dict[str, Any], wanted: str) -> dict[str, Any]:
    """The file object, file set, record set or field of an `@id`."""
    parts = [*metadata["distribution"], *metadata["recordSet"]]
    parts += [field for record_set in metadata["recordSet"] for field in record_set["field"]]
    found = [part for part in parts if part["@id"] == wanted]
    assert len(found) == 1, wanted
    return found[0]


def _files(folder: Path, metadata: dict[str, Any], file_set: dict[str, Any]) -> list[tuple[str, bytes]]:
    """The files of a file set: members of the archives that it is contained in, or files of the folder."""
    if "containedIn" not in file_set:
        places = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        return [
            (place, (folder / place).read_bytes()) for place in places if fnmatch.fnmatch(place, file_set["includes"])
        ]
    found = []
    for container in file_set["containedIn"]:
        archive = _node(metadata, container["@id"])
        assert archive["encodingFormat"] == "application/x-tar"
        with tarfile.open(folder / archive["contentUrl"]) as opened:
            for member in opened:
                if fnmatch.fnmatch(member.name, file_set["includes"]):
                    handle = opened.extractfile(member)
                    assert handle is not None
                    found.append((member.name, handle.read()))
    return found


def _values(folder: Path, metadata: dict[str, Any], field: dict[str, Any]) -> list[Any]:
    """A field's values: of a column, of a file's content or of its name, as its source says."""
    source = field["source"]
    files = _files(folder, metadata, _node(metadata, source["fileSet"]["@id"]))
    if column := source["extract"].get("column"):
        return [value for _, data in files for value in pq.read_table(io.BytesIO(data))[column].to_pylist()]
    if source["extract"]["fileProperty"] == "content":
        return [data for _, data in files]
    names = [re.match(source["transform"]["regex"], name) for name, _ in files]
    return [match.group(1) for match in names if match is not None]


def _records(folder: Path, metadata: dict[str, Any], name: str) -> list[Record]:
    record_set = _node(metadata, name)
    fields = {field["@id"]: field for field in record_set["field"]}
    own = {place: field for place, field in fields.items() if "fileSet" in field["source"]}
    columns = {place: _values(folder, metadata, field) for place, field in own.items()}
    records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    joined = [(place, field["references"]["field"]["@id"]) for place, field in own.items() if "references" in field]
    for place, other in joined:
        rows = {row[other]: row for row in _records(folder, metadata, other.split("/")[0])}
        for record in records:
            for far, field in fields.items():
                if far not in own:
                    record[far] = rows[record[place]][field["source"]["field"]["@id"]]
    return records


def test_its_records_are_the_dataset(released: Path) -> None:
    """Images with label, seed and sigma, joined over their keys, equal what shards and plan hold."""
    metadata = json.loads((released / "croissant.json").read_text())
    records = _records(released, metadata, "images")
    plan = pq.read_table(released / "plan.parquet").to_pylist()
    assert len(records) == len(plan) == 12
    for record, row in zip(records, plan, strict=True):
        assert record["images/key"] == f"{row['identity']:07d}/{row['image']:05d}"
        assert record["images/label"] == row["identity"]
        assert record["images/number"] == row["image"]
        assert record["images/seed"] == row["seed"]
        assert record["images/sigma"] == np.float32(row["sigma"])
        assert Image.open(io.BytesIO(record["images/image"])).size == (112, 112)
    types = {field["@id"]: field["dataType"] for field in _node(metadata, "images")["field"]}
    assert types["images/image"] == "sc:ImageObject"
    assert types["images/label"] == ["cr:Int64", "cr:Label"]


def test_a_png_dataset_too(cli: Cli, tiny_generator: Path, tmp_path: Path) -> None:
    options = ["--identities", 2, "--images", 2, "--codec", "png", "--no-summary"]
    assert cli("generate", tmp_path / "png", "--generator", tiny_generator, *options).status == 0
    assert cli("release", tmp_path / "png").status == 0
    metadata = json.loads((tmp_path / "png" / "croissant.json").read_text())
    assert [record["images/label"] for record in _records(tmp_path / "png", metadata, "images")] == [0, 0, 1, 1]
    assert cli("verify", tmp_path / "png").status == 0


def test_every_file_object_is_there_with_its_hash_and_size(released: Path) -> None:
    metadata = json.loads((released / "croissant.json").read_text())
    objects = [item for item in metadata["distribution"] if item["@type"] == "cr:FileObject"]
    for item in objects:
        content = (released / item["contentUrl"]).read_bytes()
        assert item["sha256"] == hashlib.sha256(content).hexdigest()
        assert item["contentSize"] == f"{len(content)} B"
    tars = {path.relative_to(released).as_posix() for path in (released / "shards").iterdir()}
    assert tars <= {item["contentUrl"] for item in objects}


def test_what_the_specification_requires_is_there(released: Path) -> None:
    metadata = json.loads((released / "croissant.json").read_text())
    required = ("@context", "@type", "conformsTo", "description", "license", "name", "url", "creator", "datePublished")
    assert all(metadata[name] for name in required)
    assert metadata["conformsTo"][0] == "http://mlcommons.org/croissant/1.1"
    manifest = json.loads((released / "dataset.json").read_text())
    assert metadata["datePublished"] == metadata["dateCreated"] == manifest["created"]
    ids = re.findall(r'"@id": "([^"]*)"', (released / "croissant.json").read_text())
    assert not any(re.search(r"\s", name) for name in ids)


def test_provenance_leads_from_seed_weights_and_plan_to_every_shard(released: Path) -> None:
    metadata = json.loads((released / "croissant.json").read_text())
    manifest = json.loads((released / "dataset.json").read_text())
    activity = metadata["prov:wasGeneratedBy"]
    assert activity["@type"] == "prov:Activity"
    used = activity["prov:used"]
    files = {item["@id"]: _node(metadata, item["@id"])["sha256"] for item in used if len(item) == 1}
    assert files["plan.parquet"] == manifest["plan_sha256"]
    assert files["identities.parquet"] == manifest["identities_sha256"]
    hashes = {item["sha256"] for item in used if "sha256" in item}
    generator = manifest["generator"]
    assert {generator["sha256"], generator["embedder_sha256"], manifest["options"]["statistics_sha256"]} == hashes
    assert [item["prov:value"] for item in used if item["@id"] == "seed"] == [5]
    for shard in manifest["shards"]:
        node = _node(metadata, shard["tar"])
        assert node["sha256"] == shard["sha256"]
        assert node["prov:wasGeneratedBy"] == {"@id": activity["@id"]}
    assert metadata["@context"]["prov"] == "http://www.w3.org/ns/prov#"
