"""Every reader of files of strangers, given damaged ones: it reads them, or says in one line what is wrong.

`make fuzz` tries a thousand of each; what it finds becomes an `@example` here.
"""

import contextlib
import io
import json
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import lmdb
import msgpack
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors.torch import save as serialize

from nonesuch.cleaning.answers import read_answers
from nonesuch.core import files, images, weights
from nonesuch.core.errors import NonesuchError
from nonesuch.evaluation.pairs import read_packed, read_pairs
from nonesuch.formats import lmdb_records, relabelling
from nonesuch.formats import manifest as manifests
from nonesuch.formats.photographs import Photograph, read_names
from nonesuch.formats.plan import Plan
from nonesuch.formats.readers import find
from nonesuch.formats.relabelling import Label
from nonesuch.formats.shards import COLLECTED_SCHEMA, INDEX_SCHEMA, TAR_HASH, read_index
from nonesuch.generators.vec2face.generator import Vec2FaceCard
from nonesuch.identities import statistics, table
from nonesuch.models import ASSETS
from tests.formats import recordio_by_hand
from tests.onnx_networks import pooling_network

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
CROP = images.encode(np.zeros((112, 112, 3), np.uint8), "png", 1)


def _image(kind: str) -> bytes:
    buffer = io.BytesIO()
    images.Image.fromarray(PIXELS).save(buffer, kind)
    return buffer.getvalue()


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("ann/1.png", "bob/é.png"):
            member = tarfile.TarInfo(name)
            member.size = 100
            archive.addfile(member, io.BytesIO(CROP[:100]))
    return buffer.getvalue()


def _parquet(
    columns: dict[str, pa.Array], metadata: dict[bytes, bytes] | None = None, schema: pa.Schema = None
) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns, schema=schema).replace_schema_metadata(metadata), buffer)
    return buffer.getvalue()


def _vectors() -> bytes:
    columns = {"identity": pa.array(["a", "b"]), "embedding": pa.array([[1.0, 2.0]] * 2, pa.list_(pa.float32()))}
    return _parquet(columns, {b"embedder": b"e", b"embedder_sha256": b"", b"origin": b"sampled"})


def _index(schema: pa.Schema = INDEX_SCHEMA) -> bytes:
    values = {"sha256": b"0" * 32, "key": "k", "file": "a.jpg"}
    columns = {field.name: pa.array([values.get(field.name, 1)], field.type) for field in schema}
    return _parquet(columns, {TAR_HASH: b"0"}, schema)


def _contexts(packed: bool) -> bytes:
    saved = io.BytesIO()
    content = {name: np.ones(4, np.float32) for name in "ab"}
    torch.save(content, saved, _use_new_zipfile_serialization=packed)
    return saved.getvalue()


def _checkpoint(path: Path) -> bytes:
    torch.save({"state_dict": {"a": torch.zeros(2)}}, path)
    return path.read_bytes()


def _manifest(path: Path) -> bytes:
    relabelling.write(path, path.parent, [("a.png", Label("a", "a"))], {})
    return path.read_bytes()


def _answers(path: Path) -> bytes:
    return b"question,one,other,answer\nimage,a,b,yes\npeople,a,b,no\n"


def _statistics(path: Path) -> bytes:
    fitted = statistics.fit(np.eye(3, dtype=np.float32), ["a", "b", "c"], "")
    statistics.save(fitted, path)
    return path.read_bytes()


def _record(data: bytes, path: Path) -> None:
    """One record of a sound LMDB: the file's own pages are the library's to read."""
    with lmdb.open(str(path), subdir=False, map_size=1 << 24) as environment, environment.begin(write=True) as change:
        change.put(b"0", data)
        change.put(b"__len__", data[:9] or b"x")
    try:
        with contextlib.suppress(NonesuchError):
            lmdb_records.keys(path)
        lmdb_records.read(path, "0")
    finally:
        lmdb_records._close(path)


def _lmdb() -> bytes:
    vector = io.BytesIO()
    np.save(vector, np.zeros(3, np.float32))
    return msgpack.packb([b"image", vector.getvalue(), 7])


def _pair() -> bytes:
    return msgpack.packb([b"image", 7])


def _records() -> bytes:
    """A .rec of two images, one of them parted, and the headers around them."""
    items = recordio_by_hand.with_headers([(0, CROP[:100]), (7, CROP[:80] + recordio_by_hand.WORD + b"more")])
    return b"".join(recordio_by_hand.framed(recordio_by_hand.content(item)) for item in items)


def _index_of_records(path: Path) -> None:
    path.with_suffix(".rec").write_bytes(_records())
    _each(path.with_suffix(".rec"))


def _each(path: Path) -> None:
    for item in find(path):
        item.read_bytes()


def _samples() -> bytes:
    """A tar of two samples, as WebDataset has them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in (
            ("0.png", CROP[:100]),
            ("0.cls", b"7"),
            ("1.json", b'{"label": "ann"}'),
            ("1.png", CROP[:90]),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _images() -> bytes:
    """Parquet of two images, as Hugging Face's datasets have it."""
    image = pa.array([{"bytes": CROP[:50], "path": name} for name in ("a.png", "b.png")])
    told = json.dumps({"info": {"features": {"label": {"_type": "ClassLabel", "names": ["ann", "bob"]}}}})
    return _parquet({"image": image, "label": pa.array([1, 0])}, {b"huggingface": told.encode()})


def _metadata(path: Path) -> None:
    (path.parent / "a.png").write_bytes(CROP)
    find(path.parent)


def _card(path: Path) -> None:
    path.with_suffix(".safetensors").touch()
    weights.read_card(path, Vec2FaceCard)


def _dataset(path: Path) -> None:
    with contextlib.suppress(NonesuchError):
        find(path.parent)
    manifests.read(path.parent)


def _plan(path: Path) -> None:
    path.with_name("identities.parquet").write_bytes(path.read_bytes())
    Plan(path.parent)


def _sound_manifest() -> bytes:
    origin = {"name": "g", "sha256": "", "embedder": "e", "embedder_sha256": "", "licence": "l"}
    sound = {
        "description": "d", "shows_real_people": False, "identities": 1, "images": 1, "options": {}, "format": 1,
        "generator": origin, "render": {"codec": "jpeg", "dtype": "float32"}, "licence": "l", "plan_sha256": "",
        "identities_sha256": "", "shards": [{"tar": "t", "images": 1, "identities": 1, "sha256": ""}],
    }  # fmt: skip
    return json.dumps(sound).encode()


def _pairs(path: Path) -> None:
    read_pairs(path, [Photograph(f"A/A_000{n}.png", "A", path) for n in (1, 2)])


def _onnx(path: Path) -> None:
    from nonesuch.embedders.onnx import OnnxNetwork

    OnnxNetwork(path)


# What is read, the name of its file, and a sound one (from a place to write to).
READERS: dict[str, tuple[Callable[[Path], object], str, Callable[[Path], bytes]]] = {
    **{kind: (images.read, "a.jpg", lambda path, kind=kind: _image(kind)) for kind in images.FORMATS},
    "tar": (find, "a.tar", lambda path: _tar()),
    "records": (_each, "t.rec", lambda path: _records()),
    "index of records": (_index_of_records, "t.idx", lambda path: b"0\t0\n1\t40\n2\t172\n3\t296\n4\t336\n"),
    "samples": (lambda path: find(path.parent), "a.tar", lambda path: _samples()),
    "images in Parquet": (_each, "i.parquet", lambda path: _images()),
    "metadata": (_metadata, "metadata.csv", lambda path: b"file_name,label\na.png,7\n"),
    "record of two": (lambda path: _record(path.read_bytes(), path.with_suffix(".lmdb")), "r", lambda path: _pair()),
    "packed pairs": (find, "p.bin", lambda path: pickle.dumps(([CROP, CROP], [True]), 2)),
    "vectors": (table.read, "v.parquet", lambda path: _vectors()),
    "contexts": (table.read, "c.npy", lambda path: _contexts(True)),
    "contexts before zip": (table.read, "c.npy", lambda path: _contexts(False)),
    "index": (read_index, "i.parquet", lambda path: _index()),
    "collected_index": (read_index, "i.parquet", lambda path: _index(COLLECTED_SCHEMA)),
    "plan": (_plan, "plan.parquet", lambda path: _index()),
    "cleaned": (find, "c.parquet", _manifest),
    "statistics": (statistics.load, "s.safetensors", _statistics),
    "safetensors": (weights.load_checkpoint, "w.safetensors", lambda path: serialize({"a": torch.zeros(2)})),
    "checkpoint": (weights.load_checkpoint, "w.pth", _checkpoint),
    "packed": (read_packed, "p.bin", lambda path: pickle.dumps(([CROP, CROP], [True]), 2)),
    "packed array": (read_packed, "p.bin", lambda path: pickle.dumps(([CROP, CROP], np.array([True])), 4)),
    "record": (lambda path: _record(path.read_bytes(), path.with_suffix(".lmdb")), "r", lambda path: _lmdb()),
    "json": (files.read_json, "a.json", lambda path: b'{"a": [1, {"b": null}], "c": 1e9}'),
    "card": (_card, "c.json", lambda path: (ASSETS / "vec2face_small.json").read_bytes()),
    "manifest": (_dataset, "dataset.json", lambda path: _sound_manifest()),
    "names": (read_names, "n.txt", lambda path: b"Ann\r\nBob\n"),
    "answers": (lambda path: read_answers([path]), "a.csv", _answers),
    "pairs": (_pairs, "pairs.txt", lambda path: b"1\t1\nA\t1\t2\nA\t1\tA\t2\n"),
    "pairs in CSV": (_pairs, "pairs.csv", lambda path: b"left,right,mated,fold\nA_0001,A_0002,1,1\n"),
    "onnx": (_onnx, "m.onnx", lambda path: pooling_network(path, 8, np.eye(3, 2), 8).read_bytes()),
}

# Bytes that are changed, a part that is cut out or said twice: where they are is a share of the file.
SHARE = st.floats(0, 1)
CHANGES = st.lists(st.tuples(SHARE, st.sampled_from([0, 1, 127, 128, 255]) | st.integers(0, 255)), max_size=6)
CUTS = st.none() | st.tuples(SHARE, SHARE, st.integers(0, 2))


def _damaged(data: bytes, changes: list[tuple[float, int]], cut: tuple[float, float, int] | None) -> bytes:
    content = bytearray(data)
    for share, value in changes:
        content[round(share * (len(content) - 1))] = value
    if cut is not None:
        first, last = sorted(round(share * len(content)) for share in cut[:2])
        content[first:last] = content[first:last] * cut[2]
    return bytes(content)


@pytest.mark.parametrize("name", sorted(set(READERS) - {"plan", "cleaned", "manifest"}))
def test_a_sound_file_is_read(tmp_path: Path, name: str) -> None:
    read, file, make = READERS[name]
    (tmp_path / file).write_bytes(make(tmp_path / file))
    read(tmp_path / file)


@pytest.mark.filterwarnings("ignore")  # libraries warn of what they read
@pytest.mark.parametrize("name", READERS)
@given(changes=CHANGES, cut=CUTS)
@example(changes=[(0.328125, 128)], cut=None)  # a column's name that is not UTF-8
@example(changes=[(0.0234375, 128)], cut=None)  # a value that is not UTF-8
@example(changes=[], cut=(0.0, 1.0, 0))
@example(changes=[], cut=(0.5, 1.0, 0))
def test_a_damaged_file_is_read_or_told_in_one_line(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    changes: list[tuple[float, int]],
    cut: tuple[float, float, int] | None,
) -> None:
    read, file, make = READERS[name]
    folder = tmp_path_factory.getbasetemp() / f"fuzz {name}"
    folder.mkdir(exist_ok=True)
    path = folder / file
    path.write_bytes(_damaged(make(path), changes, cut))
    with contextlib.suppress(NonesuchError):
        read(path)
    for left in folder.iterdir():
        left.unlink()
