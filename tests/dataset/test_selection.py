"""Choosing images by columns, against the columns themselves."""

import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.selection import chosen_keys, select
from nonesuch.formats.columns import columns_file, write_columns
from nonesuch.formats.shards import read_index, shard_files
from nonesuch.formats.source import Source
from tests.conftest import Cli


@pytest.fixture
def dataset(cli: Cli, tiny_generator: Path, tmp_path: Path) -> Path:
    """Four identities with three images each, in two shards, with planted yaw and quality; some yaws are unknown."""
    folder = tmp_path / "faces"
    options = ["--identities", "4", "--images", "3", "--shard-images", "6", "--no-summary"]
    outcome = cli("generate", folder, "--generator", tiny_generator, *options, "--sigma", "0.3:34,0.7:66")
    assert outcome.status == 0, outcome.err
    for shard in range(2):
        yaws = pa.array([-40.0, -20.0, None, 20.0, 40.0, 60.0], pa.float32())
        write_columns(folder, "perception", shard, "planted", pa.table({"yaw": yaws}))
        quality = pa.array([float(10 * shard + row) for row in range(6)])
        write_columns(folder, "other", shard, "planted", pa.table({"yaw": quality, "quality": quality}))
    return folder


def test_images_are_chosen_by_the_columns_of_all_groups(dataset: Path) -> None:
    source = Source.at(dataset)
    photographs = source.photographs
    chosen = select(source, "abs(perception.yaw) < 30 and quality >= 3")
    assert chosen == replace(source, photographs=[photographs[row] for row in (3, 7, 9)])
    assert select(replace(source, photographs=photographs[:8]), "quality >= 3").photographs == photographs[3:8]
    sigmas = np.concatenate([read_index(shard_files(dataset, shard).index)["sigma"] for shard in range(2)])
    expected = [photographs[row] for row in np.flatnonzero(sigmas > 0.5)]
    assert select(source, "sigma > 0.5").photographs == expected


def test_columns_that_are_not_whole_are_left_out(dataset: Path) -> None:
    """As an interrupted command leaves them: what needs no other columns works."""
    columns_file(dataset, "other", 1).unlink()
    source = Source.at(dataset)
    assert select(source, "yaw > 50").photographs == [source.photographs[5], source.photographs[11]]
    with pytest.raises(NonesuchError, match=r"quality.*not there: other \(lacks the columns other\)"):
        select(source, "quality > 3")


def test_columns_of_another_tar_or_length_are_left_out(dataset: Path) -> None:
    source = Source.at(dataset)
    path = columns_file(dataset, "other", 1)
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 5), path)
    with pytest.raises(NonesuchError, match=r"not there: other \(its columns other are about other images\)"):
        select(source, "quality > 3")
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"tar_sha256": b"0"}), path)
    with pytest.raises(NonesuchError, match=r"not there: other \(its columns other are about other images\)"):
        select(source, "quality > 3")
    write_columns(dataset, "other", 1, "another", table.drop_columns(["key"]))
    with pytest.raises(NonesuchError, match=r"not there: other \(its shards were made in different runs"):
        select(source, "quality > 3")


def test_a_condition_may_speak_of_all_images(dataset: Path) -> None:
    source = Source.at(dataset)
    chosen = select(source, "quality >= (select median(quality) from other) and key like '%0000%'").photographs
    assert chosen == source.photographs[6:]
    assert select(source, "image = (select max(image) from images)").photographs == source.photographs[2::3]


def test_a_folder_whose_name_is_a_pattern(dataset: Path, tmp_path: Path) -> None:
    """DuckDB would take it for one; and what the pattern matches is another dataset."""
    place = dataset.rename(tmp_path / "face[s]*?'é")
    source = Source.at(place)
    assert select(source, "quality >= 3").photographs == source.photographs[3:]


def test_keys_of_chosen_images(dataset: Path) -> None:
    assert chosen_keys(dataset, "image = 1").tolist() == [f"{person:07d}/00001".encode() for person in range(4)]
    with pytest.raises(NonesuchError, match="none of the 12 images"):
        chosen_keys(dataset, "image = 7")


def test_a_folder_named_by_a_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NonesuchError, match="has no columns"):
        select(Source(Path(), []), "age > 30")


def test_a_tar_is_filtered_by_its_table(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "faces.tar", "w") as archive:
        for name in ("ann/1.png", "ann/2.png", "bob/1.png"):
            Image.new("RGB", (112, 112)).save(tmp_path / "image.png")
            archive.add(tmp_path / "image.png", name)
    tar = tmp_path / "faces.tar"
    with pytest.raises(NonesuchError, match=r"faces\.parquet"):
        select(Source.at(tar), "age > 30")
    (tmp_path / "faces.csv").write_text("file,age\nann/1.png,20\nann/2.png,40\nbob/1.png,60\n")
    assert [item.name for item in select(Source.at(tar), "age > 30").photographs] == ["ann/2.png", "bob/1.png"]


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ("beauty > 3", "beauty"),
        ("qualty > 3", "Candidate bindings"),
        ("nosuch > 3", "offset"),  # of all candidates the nearest; our own column is none
        ("yaw > 3", "Ambiguous"),
        ("quality >", "syntax error"),
        ("1=1); DROP TABLE images; SELECT ('0000000/00000'", "syntax error"),
        ("1=1)--", "syntax error"),
        ("quality > 1 LIMIT 1", "modifier"),
        ("quality > 1000", "none of the 12 images"),
        ("exists (select * from read_text('/etc/hostname'))", "disabled"),
        ("(select count(*) from read_csv('/etc/passwd')) > 0", "disabled"),
        ("exists (select * from read_parquet('{dataset}/plan.parquet'))", "disabled"),
        ("exists (select * from read_parquet('{dataset}/shards/../plan.parquet'))", "disabled"),
        ("exists (select * from glob('{dataset}/*'))", "disabled"),
        ("exists (select * from '/etc/passwd')", "does not exist"),
    ],
)
def test_conditions_that_cannot_be(dataset: Path, condition: str, problem: str) -> None:
    with pytest.raises(NonesuchError, match="--where") as caught:
        select(Source.at(dataset), condition.replace("{dataset}", str(dataset)))
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "nonesuch_row" not in str(caught.value)


def test_training_on_chosen_images(cli: Cli, dataset: Path, tmp_path: Path) -> None:
    options = ["--data", dataset, "--preset", "tiny", "--epochs", "1", "--batch", "4"]
    outcome = cli("recognize", "train", tmp_path / "run", *options, "--where", "quality < 15")
    assert outcome.status == 0, outcome.err
    assert "11 images of 4 identities" in (tmp_path / "run" / "tiny.json").read_text()
    assert "holds a run with other images" in cli("recognize", "train", tmp_path / "run", *options).error
