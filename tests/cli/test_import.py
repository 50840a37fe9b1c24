"""`nonesuch import`: labels, names, order, bytes and hashes survive; what cannot be taken is refused or named."""

import csv
import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nonesuch.core import images as codec
from nonesuch.formats.relabelling import Label, write
from nonesuch.perception.alignment import align
from tests.collected import images, index, jpeg, manifest, members, names, write_people
from tests.conftest import Cli, succeed
from tests.formats.test_lmdb_records import npy
from tests.formats.test_lmdb_records import write as write_lmdb
from tests.people import faces_of_no_one


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def test_labels_names_order_bytes_and_hashes_survive(cli: Cli, tmp_path: Path) -> None:
    planted = write_people(tmp_path / "in", {"bob": 3, "Älice": 1, "carol": 5})
    outcome = cli("import", tmp_path / "in", tmp_path / "out", "--shard-images", 4, "--licence", "CC BY 4.0")
    assert outcome.status == 0
    assert "9 images kept their bytes, 0 did not" in outcome.out
    assert "MAY SHOW REAL PEOPLE" in outcome.out
    order = sorted(planted)
    assert names(tmp_path / "out") == {0: "bob", 1: "carol", 2: "Älice"}
    rows = index(tmp_path / "out")
    assert [row["file"] for row in rows] == order
    assert [row["label"] for row in rows] == [0] * 3 + [1] * 5 + [2]
    assert [row["key"] for row in rows[:4]] == ["0000000/00000", "0000000/00001", "0000000/00002", "0000001/00000"]
    assert [row["sha256"] for row in rows] == [hashlib.sha256(planted[name]).digest() for name in order]
    assert {(row["seed"], row["sigma"], row["part"]) for row in rows} == {(None, None, 0)}
    found = members(tmp_path / "out")
    assert [data for _, data in found[::2]] == [planted[name] for name in order]
    assert [(name, data) for name, data in found[1::2]] == [(f"{r['key']}.cls", b"%d" % r["label"]) for r in rows]
    about = manifest(tmp_path / "out")
    assert (about["identities"], about["images"], about["complete"]) == (3, 9, True)
    assert [shard["images"] for shard in about["shards"]] == [3, 5, 1]  # whole identities, even of more than fit
    assert (about["shows_real_people"], about["generator"], about["licence"]) == (True, None, "CC BY 4.0")
    part = about["made_from"][0]
    assert (part["name"], part["images"], part["shows_real_people"]) == ("in", 9, None)
    assert "sound, 9 images verified" in cli("verify", tmp_path / "out").out
    again = cli("import", tmp_path / "out", tmp_path / "again", "--shard-images", 4)
    assert again.status == 0
    assert (images(tmp_path / "again"), index(tmp_path / "again")) == (images(tmp_path / "out"), rows)


def test_a_tar_with_interleaved_numbers_a_double_name_and_nobody(cli: Cli, tmp_path: Path) -> None:
    owners = ["12", "3", "12", "", "700", "3"]
    with tarfile.open(tmp_path / "in.tar", "w") as archive, (tmp_path / "in.csv").open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["file", "identity"])
        for row, owner in enumerate(owners):
            _add(archive, f"{row}.jpg", jpeg(row))
            writer.writerow([f"{row}.jpg", owner])
        _add(archive, "4.jpg", jpeg(99))
    outcome = cli("import", tmp_path / "in.tar", tmp_path / "out")
    assert outcome.status == 0
    assert "1 images have an empty identity and are left out" in outcome.err
    rows = index(tmp_path / "out")
    assert [(row["label"], row["file"]) for row in rows] == [
        (3, "1.jpg"), (3, "5.jpg"), (12, "0.jpg"), (12, "2.jpg"), (700, "4.jpg"), (700, "4.jpg"),
    ]  # fmt: skip
    assert list(images(tmp_path / "out").values()) == [jpeg(seed) for seed in (1, 5, 0, 2, 4, 99)]
    assert cli("verify", tmp_path / "out").status == 0


def test_images_of_another_kind_are_encoded_anew_or_keep_theirs(cli: Cli, tmp_path: Path) -> None:
    planted = write_people(tmp_path / "in", {"ann": 2})
    pixels = np.asarray(Image.open(io.BytesIO(jpeg(5))))
    Image.fromarray(pixels).save(tmp_path / "in" / "ann" / "2.png")
    png = (tmp_path / "in" / "ann" / "2.png").read_bytes()
    outcome = cli("import", tmp_path / "in", tmp_path / "out")
    assert "2 of 3 images kept their bytes; 1 were aligned or of another kind than jpeg" in outcome.err
    found = list(images(tmp_path / "out").values())
    assert found[:2] == list(planted.values())
    assert found[2] == codec.encode(pixels, "jpeg", 95)
    assert cli("import", tmp_path / "in", tmp_path / "png", "--codec", "png").status == 0
    found = list(images(tmp_path / "png").values())
    assert found[2] == png
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(found[0]))), codec.decode(planted["ann/0.jpg"], ""))
    assert next(name for name, _ in members(tmp_path / "png")) == "0000000/00000.png"
    assert cli("verify", tmp_path / "png").status == 0


def test_other_sizes_are_refused_without_align_and_nothing_stays(cli: Cli, tmp_path: Path) -> None:
    write_people(tmp_path / "in", {"ann": 1})
    write_people(tmp_path / "in", {"bob": 1}, size=200)
    outcome = cli("import", tmp_path / "in", tmp_path / "out")
    assert outcome.status == 1
    assert "bob/0.jpg is 200x200, no aligned 112x112 crop; give --align" in outcome.error
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """abe/: an aligned JPEG; ann/: one, and a photograph; bob/: no face; cy/: no image, and a photograph."""
    folder = tmp_path_factory.mktemp("align") / "in"
    write_people(folder, {"abe": 1, "ann": 1})
    write_people(folder, {"bob": 2}, size=200)
    (folder / "cy").mkdir()
    (folder / "cy" / "0.jpg").write_bytes(jpeg(1)[:300])
    for person, crop in zip(("ann", "cy"), faces_of_no_one(2, 3), strict=True):
        canvas = Image.new("RGB", (400, 360), (90, 120, 150))
        canvas.paste(Image.fromarray(crop).resize((224, 224), Image.Resampling.BICUBIC), (90, 60))
        canvas.save(folder / person / "1.png")
    return folder


def test_faces_are_aligned_and_what_has_none_is_named(cli: Cli, photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = cli("import", photographs, out, "--shard-images", 1)
    assert "ann/1.png is 400x360" in first.error
    written = (out / "shards" / "000000.tar").stat().st_mtime_ns
    assert cli("verify", out).err.startswith("the dataset is not complete")
    outcome = cli("import", photographs, out, "--align", "--shard-images", 1, "--device", "cpu")
    assert outcome.status == 0
    assert (out / "shards" / "000000.tar").stat().st_mtime_ns == written  # what was done stays done
    assert "2 of 4 images kept their bytes; 2 were aligned" in outcome.err
    assert outcome.err.count("skipped: ") == 3
    left = [row for path in sorted((out / "left_out").glob("*")) for row in pq.read_table(path).to_pylist()]
    assert [row["file"] for row in left] == ["bob/0.jpg", "bob/1.jpg", "cy/0.jpg"]
    assert all("no face found" in row["problem"] for row in left[:2])
    assert "not a readable image" in left[2]["problem"]
    rows = index(out)
    assert [(row["label"], row["image"], row["file"]) for row in rows] == [
        (0, 0, "abe/0.jpg"), (1, 0, "ann/0.jpg"), (1, 1, "ann/1.png"), (3, 0, "cy/1.png"),
    ]  # fmt: skip
    succeed("embed", photographs, "--out", tmp_path / "v.parquet", "--crops", tmp_path / "crops", "--device", "cpu")
    found = images(out)
    assert found["0000001/00000"] == (photographs / "ann" / "0.jpg").read_bytes()
    for key, name in (("0000001/00001", "ann/1.png"), ("0000003/00000", "cy/1.png")):
        crop = np.asarray(Image.open(tmp_path / "crops" / name))
        assert found[key] == codec.encode(crop, "jpeg", 95)
    assert cli("verify", out).status == 0
    assert (manifest(out)["identities"], manifest(out)["images"]) == (3, 4)
    again = cli("import", photographs, out, "--align", "--shard-images", 1, "--device", "cpu")
    assert again.err.count("skipped: ") == 3


def test_a_known_face_is_the_one_that_is_taken(cli: Cli, photographs: Path, tmp_path: Path) -> None:
    """The manifest of `clean` says which face of several is meant."""
    points = ((160.0, 150.0), (240.0, 152.0), (200.0, 200.0), (165.0, 240.0), (235.0, 241.0))
    write(tmp_path / "cleaned.parquet", photographs, [("ann/1.png", Label("ann", "ann", points))], {}, with_faces=True)
    assert cli("import", tmp_path / "cleaned.parquet", tmp_path / "out").status == 0
    crop = align(np.asarray(Image.open(photographs / "ann" / "1.png")), np.array(points))
    assert images(tmp_path / "out") == {"0000000/00000": codec.encode(crop, "jpeg", 95)}
    assert manifest(tmp_path / "out")["made_from"][0]["name"] == "cleaned.parquet"


def test_an_lmdb_set(cli: Cli, tmp_path: Path) -> None:
    vector = npy(np.zeros(4, np.float32))
    write_lmdb(tmp_path / "in.lmdb", [[jpeg(row), vector, label] for row, label in enumerate((5, 2, 5))])
    assert cli("import", tmp_path / "in.lmdb", tmp_path / "out").status == 0
    assert [(row["label"], row["file"]) for row in index(tmp_path / "out")] == [(2, "1"), (5, "0"), (5, "2")]
    assert list(images(tmp_path / "out").values()) == [jpeg(1), jpeg(0), jpeg(2)]
    assert cli("verify", tmp_path / "out").status == 0


def test_nothing_to_take(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "in" / "ann").mkdir(parents=True)
    (tmp_path / "in" / "ann" / "0.jpg").write_bytes(b"no image")
    outcome = cli("import", tmp_path / "in", tmp_path / "out")
    assert "none of 1 images can be taken; the first: ann/0.jpg: not a readable image" in outcome.error
    assert not (tmp_path / "out").exists()


def test_a_cleaned_dataset_keeps_what_is_known_of_it(cli: Cli, tiny_generator: Path, tmp_path: Path) -> None:
    faces = tmp_path / "faces"
    succeed("generate", faces, "--generator", tiny_generator, "--identities", 2, "--images", 2, "--no-summary")
    moved = [
        ("0000000/00000.jpg", Label("0000000", "0000000")),
        ("0000001/00000.jpg", Label("0000000", "0000001")),
        ("0000001/00001.jpg", Label("0000001", "0000001")),
    ]
    write(tmp_path / "cleaned.parquet", faces, moved, {})
    assert cli("import", tmp_path / "cleaned.parquet", tmp_path / "out").status == 0
    before = images(faces)
    assert list(images(tmp_path / "out").items()) == [
        ("0000000/00000", before["0000000/00000"]),
        ("0000000/00001", before["0000001/00000"]),
        ("0000001/00000", before["0000001/00001"]),
    ]
    about, known = manifest(tmp_path / "out"), manifest(faces)
    assert about["shows_real_people"] is False
    assert (about["licence"], about["description"]) == (known["licence"], known["description"])
    assert about["made_from"][0]["generator"] == known["generator"]


def test_perceive_and_caption_work_on_it(cli: Cli, tmp_path: Path) -> None:
    write_people(tmp_path / "in", {"ann": 1, "bob": 1})
    succeed("import", tmp_path / "in", tmp_path / "out")
    assert "2 images perceived" in cli("perceive", tmp_path / "out", "--device", "cpu").out
    assert "2 of 2 images have a caption" in cli("caption", tmp_path / "out", "--least", 0, "--device", "cpu").out
