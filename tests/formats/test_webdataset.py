"""WebDataset: folders of shards, labels beside images, against the webdataset library in both directions."""

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset

from nonesuch.core import images
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import Notice
from nonesuch.dataset.export_dataset import export_dataset
from nonesuch.formats import webdataset as ours
from nonesuch.formats.readers import find


def _image(level: int) -> bytes:
    return images.encode(np.full((8, 8, 3), level, np.uint8), "png", 1)


def _tar(path: Path, *members: tuple[str, bytes]) -> Path:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def _label(**told: object) -> bytes:
    return json.dumps(told).encode()


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Five samples in two shards, flat keys, as the library writes them; the label of the third is in a .json."""
    (tmp_path / "set").mkdir()
    for shard, samples in (("b", [(0, 7), (1, 3)]), ("a", [(2, None), (3, 7), (4, 12)])):
        with webdataset.TarWriter(str(tmp_path / "set" / f"{shard}.tar")) as writer:
            for number, label in samples:
                about = {"cls": label} if label is not None else {"json": {"label": "Zoë", "score": 0.5}}
                writer.write({"__key__": f"{number:06d}", "png": _image(number), **about})
    pq.write_table(
        pa.table({"key": ["2"], "url": ["u"]}), tmp_path / "set" / "a.parquet"
    )  # img2dataset leaves tables that say nothing of labels
    (tmp_path / "set" / "a_stats.json").write_text("{}")
    return tmp_path / "set"


def test_shards_of_the_library(shards: Path) -> None:
    found = find(shards)
    assert [item.name for item in found] == ["000002.png", "000003.png", "000004.png", "000000.png", "000001.png"]
    assert [item.identity for item in found] == ["Zoë", "7", "12", "7", "3"]
    assert [int(item.read()[0, 0, 0]) for item in found] == [2, 3, 4, 0, 1]
    assert [item.identity for item in find(shards / "b.tar")] == ["7", "3"]


def test_what_stands_beside_an_image(tmp_path: Path) -> None:
    """identity, .cls, label: the first counts; hidden and large files are none; folders count where there is none."""
    path = _tar(
        tmp_path / "a.tar",
        *(("0.json", _label(identity="ann", label="x")), ("0.cls", b"4"), ("0.png", _image(0))),
        *(("1.PNG", _image(1)), ("1.CLS", b" 5\n"), ("1.json", _label(label="x"))),
        *(("./2.png", _image(2)), ("./2.json", _label(identity=8)), ("._2.json", b"no json")),
        *(("3.seg.png", _image(3)), ("3.cls", b"6"), ("notes.json", b"no json")),
        *(("4.png", _image(4)), ("4.json", _label(label="bob") + b" " * (1 << 20)), ("4.cls", b"9")),
    )
    assert {item.name: item.identity for item in find(path)} == {
        "0.png": "ann", "1.PNG": "5", "2.png": "8", "3.seg.png": "6", "4.png": "9",
    }  # fmt: skip
    folders = _tar(tmp_path / "b.tar", ("ann/1.png", _image(0)), ("ann/1.json", _label(label="smiles")))
    assert [item.identity for item in find(folders)] == ["ann"]
    known = _tar(tmp_path / "c.tar", ("part/1.png", _image(0)), ("part/1.cls", b"3"), ("part/2.png", _image(1)))
    with pytest.warns(Notice, match="1 images have no label and are left out"):
        assert [item.identity for item in find(known)] == ["3"]
    known.with_suffix(".csv").write_text("file,identity\npart/2.png,eve\n")
    with pytest.warns(Notice, match=r"does not name 1 of the 2 images of c\.tar"):
        assert [item.identity for item in find(known)] == ["eve"]


@pytest.mark.parametrize(("name", "data"), [("0.cls", b"\xff\xfe"), ("0.json", b'{"label"'), ("0.json", b"[" * 5000)])
def test_a_label_that_cannot_be_read(tmp_path: Path, name: str, data: bytes) -> None:
    path = _tar(tmp_path / "set" / "a.tar", ("0.png", _image(0)), (name, data))
    for source in (path, path.parent):
        with pytest.raises(NonesuchError, match=rf"a\.tar: {name} is not readable as a label"):
            find(source)


def test_names_that_recur_are_told_apart_by_their_shard(tmp_path: Path) -> None:
    for shard in ("a", "b"):
        _tar(tmp_path / "set" / f"{shard}.tar", ("0.png", _image(0)), ("0.cls", shard.encode()), ("x/1.png", _image(1)))
    with pytest.warns(Notice, match="2 images have no label"):
        found = find(tmp_path / "set")
    assert [(item.name, item.identity) for item in found] == [("a/0.png", "a"), ("b/0.png", "b")]


def test_tables_beside_shards(tmp_path: Path) -> None:
    for shard in ("a", "b"):
        _tar(tmp_path / "set" / f"{shard}.tar", (f"{shard}0.png", _image(0)), (f"{shard}1.png", _image(1)))
    (tmp_path / "set" / "a.csv").write_text("file,identity,split\na0.png,7,train\na1.png,8,test\n")
    (tmp_path / "set" / "b.csv").write_text("file,identity\nb0.png,9\nb1.png,9\n")
    assert [item.identity for item in find(tmp_path / "set")] == ["7", "8", "9", "9"]
    assert [item.identity for item in find(tmp_path / "set", split="train")] == ["7", "9", "9"]
    (tmp_path / "set" / "b.csv").write_text("key,url\n0,x\n")
    with pytest.warns(Notice, match="2 images have no label"):
        assert [item.identity for item in find(tmp_path / "set")] == ["7", "8"]


def test_a_folder_of_images_with_a_tar_beside_them_is_a_folder(tmp_path: Path) -> None:
    _tar(tmp_path / "set" / "old.tar", ("0.png", _image(0)))
    (tmp_path / "set" / "ann").mkdir()
    (tmp_path / "set" / "ann" / "1.png").write_bytes(_image(1))
    assert [item.name for item in find(tmp_path / "set")] == ["ann/1.png"]
    assert not ours.takes(tmp_path / "absent")


def test_the_library_reads_what_is_exported(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "_SHARD", 2)
    export_dataset(shards, tmp_path / "out", format="webdataset")
    urls = sorted(str(path) for path in (tmp_path / "out").iterdir())
    assert [os.path.basename(url) for url in urls] == ["000000.tar", "000001.tar", "000002.tar"]
    read = [*webdataset.WebDataset(urls, shardshuffle=False, empty_check=False).decode()]
    before = find(shards)
    assert [sample["json"]["file"] for sample in read] == [item.name for item in before]
    assert [sample["json"]["identity"] for sample in read] == [item.identity for item in before]
    assert [sample["cls"] for sample in read] == [3, 2, 0, 2, 1], "in order of text: 12, 3, 7, Zoë"
    raw = [*webdataset.WebDataset(urls, shardshuffle=False, empty_check=False)]
    assert [sample["png"] for sample in raw] == [item.read_bytes() for item in before]
    after = find(tmp_path / "out")
    assert [item.read_bytes() for item in after] == [item.read_bytes() for item in before]
    assert [item.identity for item in after] == [item.identity for item in before]


@pytest.mark.parametrize("left", [2000, 1100, 600, 512])
def test_a_shard_that_is_cut_off(shards: Path, left: int) -> None:
    whole = (shards / "b.tar").read_bytes()
    (shards / "b.tar").write_bytes(whole[:left])
    with pytest.raises(NonesuchError, match=r"b\.tar: .*(unexpected end|empty header|truncated)") as error:
        find(shards)
    assert "\n" not in str(error.value)


def test_a_shard_that_is_cut_off_between_two_members(shards: Path) -> None:
    """A tar may lack its end mark, so this is told and no error."""
    with tarfile.open(shards / "b.tar") as archive:
        end = archive.getmembers()[-2].offset
    (shards / "b.tar").write_bytes((shards / "b.tar").read_bytes()[:end])
    with pytest.warns(Notice, match=r"b\.tar: has no end mark"):
        find(shards)


def test_links_and_names_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(_image(9))
    path = _tar(tmp_path / "set" / "a.tar", ("/0.png", _image(0)), ("//1.png", _image(1)), ("../2.png", _image(2)))
    with tarfile.open(path, "a") as archive:
        for kind, name in ((tarfile.SYMTYPE, "3.png"), (tarfile.LNKTYPE, "4.png"), (tarfile.SYMTYPE, "0.cls")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, "../secret.png"
            archive.addfile(link)
    with pytest.warns(Notice, match="1 hidden images; 2 links, which are not followed"):
        found = find(path.parent)
    assert sorted(int(item.read()[0, 0, 0]) for item in found) == [0, 1]
    before = sorted(file for file in tmp_path.rglob("*"))
    with pytest.warns(Notice):
        export_dataset(path.parent, tmp_path / "out", format="imagefolder")
    new = sorted({*tmp_path.rglob("*")} - {*before})
    assert all((tmp_path / "out") in (file, *file.parents) for file in new)
    assert len([file for file in new if file.is_file()]) == 2
