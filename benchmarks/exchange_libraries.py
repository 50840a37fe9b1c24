"""Do the libraries of the field read what `nonesuch export` writes, and does `nonesuch import` read what they write?

    python benchmarks/exchange_libraries.py DATASET

Needs mxnet's `recordio` module (PyPI mxnet 1.9.1, of which the folder `mxnet` with recordio.py, base.py, libinfo.py and
its libraries is enough), and the PyPI packages datasets, lmdb, msgpack and webdataset. Each format goes there (written
by ours, read by the library) and back (written by the library, imported by ours); labels, order and the bytes of every
JPEG must be the same.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import datasets
import lmdb
import msgpack
import numpy as np
import webdataset
from mxnet import recordio

import nonesuch
from nonesuch.formats.photograph_lists import classes_of
from nonesuch.formats.readers import find

Records = list[tuple[int, bytes]]


def records(place: Path) -> Records:
    """Class and bytes of each image, as ours reads them."""
    photographs = find(place)
    _, labels = classes_of(photographs)
    return [(int(label), item.read_bytes()) for label, item in zip(labels, photographs, strict=True)]


def from_recordio(folder: Path) -> Records:
    reader = recordio.MXIndexedRecordIO(str(folder / "train.idx"), str(folder / "train.rec"), "r")
    first, _ = recordio.unpack(reader.read_idx(0))
    last = int(np.atleast_1d(first.label)[0]) if first.flag > 0 else len(reader.keys)
    unpacked = [recordio.unpack(reader.read_idx(key)) for key in range(1, last)]
    return [(int(np.atleast_1d(header.label)[0]), data) for header, data in unpacked]


def to_recordio(folder: Path, given: Records) -> Path:
    writer = recordio.MXIndexedRecordIO(str(folder / "train.idx"), str(folder / "train.rec"), "w")
    writer.write_idx(0, recordio.pack(recordio.IRHeader(2, [len(given) + 1, len(given) + 1], 0, 0), b""))
    for number, (label, data) in enumerate(given, 1):
        writer.write_idx(number, recordio.pack(recordio.IRHeader(0, label, number, 0), data))
    writer.close()
    people = max(label for label, _ in given) + 1
    (folder / "property").write_text(f"{people},112,112")
    return folder


def from_lmdb(folder: Path) -> Records:
    place = str(folder / "train.lmdb")
    with lmdb.open(place, subdir=False, readonly=True, lock=False) as opened, opened.begin() as transaction:
        keys = msgpack.unpackb(transaction.get(b"__keys__"))
        found = [msgpack.unpackb(transaction.get(key.encode())) for key in keys]
    return [(int(label), data) for data, label in found]


def to_lmdb(folder: Path, given: Records) -> Path:
    path = folder / "train.lmdb"
    with lmdb.open(str(path), subdir=False, map_size=1 << 30) as opened, opened.begin(write=True) as transaction:
        keys = [f"{number:08d}" for number in range(len(given))]
        for key, (label, data) in zip(keys, given, strict=True):
            transaction.put(key.encode(), msgpack.packb((data, label)))
        transaction.put(b"__keys__", msgpack.packb(keys))
        transaction.put(b"__len__", msgpack.packb(len(keys)))
    return path


def from_webdataset(folder: Path) -> Records:
    shards = [str(path) for path in sorted(folder.glob("*.tar"))]
    found = webdataset.WebDataset(shards, shardshuffle=False, empty_check=False)
    return [(int(sample["cls"]), sample["jpg"]) for sample in found]


def to_webdataset(folder: Path, given: Records) -> Path:
    with webdataset.ShardWriter(str(folder / "%04d.tar"), maxcount=300, verbose=0) as writer:
        for number, (label, data) in enumerate(given):
            writer.write({"__key__": f"{number:06d}", "jpg": data, "cls": label})
    return folder


def from_parquet(folder: Path) -> Records:
    found = datasets.load_dataset("parquet", data_files=str(folder / "*.parquet"), split="train")
    found = found.cast_column("image", datasets.Image(decode=False))
    return [(row["label"], row["image"]["bytes"]) for row in found]


def to_parquet(folder: Path, given: Records) -> Path:
    labels = datasets.ClassLabel(names=[f"person_{n:04d}" for n in range(max(label for label, _ in given) + 1)])
    features = datasets.Features({"image": datasets.Image(), "label": labels})
    rows = {"image": [{"bytes": data, "path": None} for _, data in given], "label": [label for label, _ in given]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(folder / "train.parquet"))
    return folder


def from_imagefolder(folder: Path) -> Records:
    found = datasets.load_dataset("imagefolder", data_dir=str(folder), split="train", drop_labels=False)
    found = found.cast_column("image", datasets.Image(decode=False))
    rows = sorted(((row["image"]["path"], row["label"]) for row in found), key=lambda row: row[0])
    return [(label, Path(path).read_bytes()) for path, label in rows]


def to_imagefolder(folder: Path, given: Records) -> Path:
    lines = ["file_name,label"]
    for number, (label, data) in enumerate(given):
        (folder / f"{number:06d}.jpg").write_bytes(data)
        lines.append(f"{number:06d}.jpg,person_{label:04d}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    return folder


WAYS: dict[str, tuple[Callable[[Path], Records], Callable[[Path, Records], Path]]] = {
    "recordio": (from_recordio, to_recordio),
    "lmdb": (from_lmdb, to_lmdb),
    "webdataset": (from_webdataset, to_webdataset),
    "parquet": (from_parquet, to_parquet),
    "imagefolder": (from_imagefolder, to_imagefolder),
}


def main(dataset: Path) -> None:
    given = records(dataset)
    print(f"{len(given)} images of {max(label for label, _ in given) + 1} identities; datasets {datasets.__version__}")
    with tempfile.TemporaryDirectory() as place:
        for name, (read, write) in WAYS.items():
            out, theirs = Path(place) / name, Path(place) / f"{name}_theirs"
            nonesuch.export_dataset(dataset, out, format=name)
            there = read(out) == given
            theirs.mkdir()
            nonesuch.import_images(write(theirs, given), Path(place) / f"{name}_again", licence="test")
            back = records(Path(place) / f"{name}_again") == given
            print(
                f"{name}: exported and read by the library: {_told(there)}; written by it and imported: {_told(back)}"
            )


def _told(same: bool) -> str:
    return "labels, order and bytes the same" if same else "NOT THE SAME"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
