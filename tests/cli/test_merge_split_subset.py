"""`nonesuch merge`, `split` and `subset`: which images are where, with their bytes, seeds, vectors and columns."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import nonesuch
from nonesuch import NonesuchError
from nonesuch.formats.columns import write_columns
from tests.collected import images, index, manifest, members, names, write_people
from tests.conftest import Cli, succeed


def _planted_columns(folder: Path, made_by: str = "hash") -> None:
    """Columns `planted`: score, a number of the image's bytes, and text."""
    for path in sorted((folder / "shards").glob("*.parquet")):
        rows = pq.read_table(path).to_pylist()
        scores = [row["sha256"][0] for row in rows]
        table = pa.table({"score": pa.array(scores, pa.float32()), "word": [f"w{score % 3}" for score in scores]})
        write_columns(folder, "planted", int(path.stem), made_by, table)


@pytest.fixture(scope="module")
def sets(tiny_generator: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """faces/ and others/, generated; people/ and fellows/, imported; all but fellows with columns."""
    folder = tmp_path_factory.mktemp("sets")
    sizes = ("--generator", tiny_generator, "--no-summary", "--shard-images", 6)
    succeed("generate", folder / "faces", "--identities", 7, "--images", 3, *sizes)
    succeed("generate", folder / "others", "--identities", 2, "--images", 2, "--seed", 5, *sizes)
    write_people(folder / "in", {"alice": 2, "bob": 3})
    write_people(folder / "in2", {"bob": 1, "carol": 2, "dan": 1}, size=112)
    succeed("import", folder / "in", folder / "people", "--licence", "CC BY 4.0", "--shard-images", 2)
    succeed("import", folder / "in2", folder / "fellows", "--licence", "CC0")
    for name in ("faces", "others", "people"):
        _planted_columns(folder / name)
    return folder


def _rows(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in index(folder)}


def _columns(folder: Path) -> dict[str, tuple[float, str]]:
    tables = [pq.read_table(path) for path in sorted((folder / "columns" / "planted").glob("*.parquet"))]
    return {row["key"]: (row["score"], row["word"]) for table in tables for row in table.to_pylist()}


def _vectors(folder: Path) -> dict[int, list[float]]:
    return {row["identity"]: row["embedding"] for row in pq.read_table(folder / "identities.parquet").to_pylist()}


def test_a_merge_of_generated_datasets_is_their_union(cli: Cli, sets: Path, tmp_path: Path) -> None:
    out = tmp_path / "all"
    outcome = cli("merge", out, sets / "faces", sets / "others", "--shard-images", 9)
    assert (outcome.status, outcome.err) == (0, "")
    assert "Faces of no one" in outcome.out
    assert "9 identities, 25 images" in outcome.out
    expected, columns, vectors = {}, {}, {}
    for part, (name, first) in enumerate((("faces", 0), ("others", 7))):
        vectors |= {first + label: vector for label, vector in _vectors(sets / name).items()}
        for key, row in _rows(sets / name).items():
            new = f"{first + row['label']:07d}/{key.split('/')[1]}"
            expected[new] = (part, f"{key}.jpg", row["seed"], row["sigma"], row["sha256"], images(sets / name)[key])
            columns[new] = _columns(sets / name)[key]
    found = images(out)
    told = {
        key: (row["part"], row["file"], row["seed"], row["sigma"], row["sha256"], found[key])
        for key, row in _rows(out).items()
    }
    assert told == expected
    assert (_columns(out), _vectors(out)) == (columns, vectors)
    assert [data for name, data in members(out) if name.endswith(".cls")] == [
        b"%d" % row["label"] for row in index(out)
    ]
    parts = manifest(out)["made_from"]
    assert [(part["name"], part["identities"], part["images"]) for part in parts] == [
        ("faces", 7, 21),
        ("others", 2, 4),
    ]
    assert [part["generator"] for part in parts] == [manifest(sets / name)["generator"] for name in ("faces", "others")]
    assert manifest(out)["shows_real_people"] is False
    assert cli("verify", out).status == 0


def test_whoever_is_unknown_in_a_part_is_unknown_in_the_whole(cli: Cli, sets: Path, tmp_path: Path) -> None:
    outcome = cli("merge", tmp_path / "all", sets / "faces", sets / "people", sets / "fellows")
    assert outcome.status == 0
    assert "planted (fellows, shard 000000: lacks the columns planted)" in outcome.err
    assert "the identities' vectors do not come along" in outcome.err
    about = manifest(tmp_path / "all")
    assert about["shows_real_people"] is True
    assert "some not known: they MAY SHOW REAL PEOPLE" in about["description"]
    own = manifest(sets / "faces")["licence"]
    assert about["licence"] == f"{own}; CC BY 4.0; CC0"
    assert names(tmp_path / "all") == dict.fromkeys(range(7), "") | dict(
        enumerate(["alice", "bob", "bob", "carol", "dan"], start=7)
    )
    assert [row["part"] for row in index(tmp_path / "all")] == [0] * 21 + [1] * 5 + [2] * 4
    assert index(tmp_path / "all")[21]["file"] == "alice/0.jpg"
    assert cli("verify", tmp_path / "all").status == 0
    # A subset that holds generated images alone is known to show no one.
    assert cli("subset", tmp_path / "all", tmp_path / "known", "--where", "part = 0").status == 0
    about = manifest(tmp_path / "known")
    assert (about["shows_real_people"], about["licence"]) == (False, own)
    assert [part["images"] for part in about["made_from"]] == [21, 0, 0]
    assert [len(part["through"]) for part in about["made_from"]] == [1, 2, 2]  # the imports lie between, too


def test_same_names_are_one_person_if_asked(cli: Cli, sets: Path, tmp_path: Path) -> None:
    assert cli("merge", tmp_path / "all", sets / "people", sets / "fellows", "--same-names").status == 0
    assert names(tmp_path / "all") == {0: "alice", 1: "bob", 2: "carol", 3: "dan"}
    assert [(row["label"], row["image"], row["part"], row["file"]) for row in index(tmp_path / "all")][2:7] == [
        (1, 0, 0, "bob/0.jpg"), (1, 1, 0, "bob/1.jpg"), (1, 2, 0, "bob/2.jpg"), (1, 3, 1, "bob/0.jpg"),
        (2, 0, 1, "carol/0.jpg"),
    ]  # fmt: skip
    both = list(images(sets / "people").values()) + list(images(sets / "fellows").values())
    assert sorted(images(tmp_path / "all").values()) == sorted(both)
    assert cli("verify", tmp_path / "all").status == 0


def test_parts_share_no_identity_and_miss_no_image(cli: Cli, sets: Path, tmp_path: Path) -> None:
    before, scores, vectors = images(sets / "faces"), _columns(sets / "faces"), _vectors(sets / "faces")
    for seed, name in ((1, "one"), (1, "same"), (2, "two")):
        arguments = ("train=0.6", "val=0.2", "test=0.2", "--seed", seed, "--shard-images", 5)
        assert cli("split", sets / "faces", tmp_path / name, *arguments).status == 0
    whole = {key: (row["seed"], row["sha256"]) for key, row in _rows(sets / "faces").items()}
    people: dict[str, list[set[int]]] = {}
    for name in ("one", "same", "two"):
        together: dict[str, tuple[int, bytes]] = {}
        for part in ("train", "val", "test"):
            folder = tmp_path / name / part
            rows = _rows(folder)
            assert not together.keys() & rows.keys()
            together |= {key: (row["seed"], row["sha256"]) for key, row in rows.items()}
            people.setdefault(name, []).append({row["label"] for row in rows.values()})
            assert images(folder) == {key: before[key] for key in rows}
            assert _columns(folder) == {key: scores[key] for key in rows}
            assert _vectors(folder) == {label: vectors[label] for label in people[name][-1]}
        assert together == whole
        assert [len(labels) for labels in people[name]] == [4, 2, 1]
        assert len(set.union(*people[name])) == 7
    assert people["one"] == people["same"] != people["two"]
    assert cli("verify", tmp_path / "one" / "train").status == 0


def test_a_subset_is_what_another_filter_chooses(cli: Cli, sets: Path, tmp_path: Path) -> None:
    rows, scores = _rows(sets / "faces"), _columns(sets / "faces")
    middle = float(np.median([score for score, _ in scores.values()]))
    expected = [key for key in rows if scores[key][0] > middle and scores[key][1] != "w1" and rows[key]["label"] != 2]
    condition = f"score > {middle} and word <> 'w1' and label <> 2"
    assert 3 < len(expected) < 18
    assert cli("subset", sets / "faces", tmp_path / "some", "--where", condition).status == 0
    assert list(images(tmp_path / "some").items()) == [(key, images(sets / "faces")[key]) for key in expected]
    assert [row["seed"] for row in index(tmp_path / "some")] == [rows[key]["seed"] for key in expected]
    assert _columns(tmp_path / "some") == {key: scores[key] for key in expected}
    assert cli("verify", tmp_path / "some").status == 0
    first = sorted({key.split("/")[0] for key in expected})[:2]
    small = [next(key for key in expected if key.startswith(label)) for label in first]
    assert cli("subset", sets / "faces", tmp_path / "small", "--where", condition, "--identities", 2, "--images", 1).out
    assert list(images(tmp_path / "small")) == small
    assert manifest(tmp_path / "small")["made_from"][0]["images"] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["merge", "{out}", "{sets}/faces"], "name two datasets or more"),
        (["merge", "{out}", "{sets}/faces", "{sets}/faces"], "is the same dataset as"),
        (["merge", "{out}", "{sets}/faces", "{sets}/in"], "in: no dataset of nonesuch; 'nonesuch import' makes one"),
        (["merge", "{sets}/faces/all", "{sets}/faces", "{sets}/others"], "lies in"),
        (["import", "{sets}/in", "{sets}"], "lies in {sets}/in or around it"),
        (["split", "{sets}/faces", "{out}", "train=0.9", "test=0.2"], "the shares are 1.1 together, not 1"),
        (["split", "{sets}/faces", "{out}", "train=0.9", "train=0.1"], "train: is there twice"),
        (["split", "{sets}/faces", "{out}", "train=1", "test=0"], "train=1.0: not a share between 0 and 1"),
        (["split", "{sets}/faces", "{out}", "train=all", "test=0"], "'all': not a share"),
        (["split", "{sets}/faces", "{out}", "../a=0.5", "b=0.5"], "'../a': not the name of a folder"),
        (["split", "{sets}/faces", "{out}", "train=0.99", "test=0.01"], "7 identities leave none for test"),
        (["subset", "{sets}/faces", "{out}"], "say which images"),
        (
            ["subset", "{sets}/faces", "{out}", "--where", "score > 999"],
            "none of the 21 images of {sets}/faces meets it",
        ),
        (["subset", "{sets}/faces", "{out}", "--where", "nothing > 1"], "nothing"),
        (["import", "{sets}/faces", "{out}", "--licence", "mine"], "is a dataset, which says its own"),
    ],
)
def test_what_is_refused_leaves_nothing(cli: Cli, sets: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    before = sorted(sets.rglob("*"))
    outcome = cli(*(word.format(out=tmp_path / "out", sets=sets) for word in arguments))
    assert outcome.status == 1
    assert said.format(sets=sets) in outcome.error
    assert not list(tmp_path.iterdir())
    assert sorted(sets.rglob("*")) == before


def test_two_kinds_of_images_do_not_mix(cli: Cli, sets: Path, tmp_path: Path) -> None:
    assert cli("import", sets / "people", tmp_path / "png", "--codec", "png").status == 0
    outcome = cli("merge", tmp_path / "all", sets / "faces", tmp_path / "png")
    assert f"nonesuch import {tmp_path / 'png'} OUT --codec jpeg" in outcome.error


def test_columns_of_other_models_stay_behind(cli: Cli, sets: Path, tmp_path: Path) -> None:
    succeed("import", sets / "others", tmp_path / "others")
    _planted_columns(tmp_path / "others", "another hash")
    outcome = cli("merge", tmp_path / "all", sets / "faces", tmp_path / "others")
    assert "planted (made by different models, or in different runs)" in outcome.err
    assert not (tmp_path / "all" / "columns").exists()


def test_generating_does_not_go_on_with_it(cli: Cli, sets: Path, tiny_generator: Path, tmp_path: Path) -> None:
    people = sets / "people"
    before = manifest(people)
    outcome = cli("generate", people, "--generator", tiny_generator)
    assert "people: holds a dataset that 'nonesuch import' made" in outcome.error
    assert manifest(people) == before
    recognizer = ("recognize", "train", tmp_path / "run", "--data", people, "--from-generator", tiny_generator)
    assert "people: holds images that existed before, not a plan; leave out --from-generator" in cli(*recognizer).error


def test_python_takes_shares_as_a_mapping(sets: Path, tmp_path: Path) -> None:
    made = nonesuch.split_dataset(sets / "faces", tmp_path / "parts", {"a": 0.5, "b": 0.5})
    assert [one.manifest.identities for one in made.values()] == [4, 3]
    with pytest.raises(NonesuchError, match="a=True: not a share"):
        nonesuch.split_dataset(sets / "faces", tmp_path / "wrong", {"a": True, "b": 0.5})


def test_a_dataset_of_images_that_existed_has_no_recipe(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "crops").mkdir()
    Image.new("RGB", (112, 112)).save(tmp_path / "crops" / "a.jpg")
    assert cli("import", tmp_path / "crops", tmp_path / "people").status == 0
    for command in ("recipe", "rebuild"):
        outcome = cli(command, tmp_path / "people", tmp_path / "out")
        assert outcome.status == 1
        assert "made of images that existed before it; nothing can make them again" in outcome.err
        assert not (tmp_path / "out").exists()


def test_what_else_is_told_of_a_dataset_of_several_origins(cli: Cli, tmp_path: Path) -> None:
    generated, crops = tmp_path / "generated", tmp_path / "crops"
    options = ["--identities", 2, "--images", 1, "--generator", "vec2face_small", "--no-summary"]
    succeed("generate", generated, *options)
    crops.mkdir()
    Image.new("RGB", (112, 112)).save(crops / "a.jpg")
    succeed("import", crops, tmp_path / "people")
    succeed("merge", tmp_path / "all", generated, tmp_path / "people")
    exported = cli("export", tmp_path / "all", tmp_path / "out", "--format", "imagefolder")
    assert "MAY SHOW REAL PEOPLE" in exported.out
    assert "reference photographs" not in exported.out
    released = cli("release", tmp_path / "all")
    assert released.status == 0, released.err
    assert "licence: non-commercial research only (LICENSE-WEIGHTS.md); not stated\n" in released.out
    refused = cli("generate", tmp_path / "people", *options)
    assert refused.status == 1
    assert "synthetic" not in refused.err
    succeed("recipe", generated, tmp_path / "recipe")
    assert "a recipe, which holds no images" in cli("release", tmp_path / "recipe").err
