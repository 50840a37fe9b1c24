"""`nonesuch export --format bin`: a verification set that others read, whose truth is that of the dataset."""

import csv
import io
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import KFold

import nonesuch
from nonesuch.core import images
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import Notice
from nonesuch.formats import packed_pairs
from nonesuch.formats.readers import find
from tests.conftest import Cli, succeed
from tests.faults import files_of_at_most, flip_byte

PEOPLE, IMAGES = 20, 3  # two people in a fold: six mated pairs and nine others, so 120 pairs at most


@pytest.fixture(scope="module")
def dataset(tiny_generator: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pairs") / "faces"
    options = ["--identities", PEOPLE, "--images", IMAGES, "--shard-images", 9, "--no-summary"]
    succeed("generate", out, *options, "--generator", tiny_generator)
    return out


class _NamesNothing(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        raise AssertionError(f"it names {module}.{name}")


def _load(path: Path) -> tuple[list[bytes], list[bool]]:
    """As insightface's `load_bin` does, but for names, of which there are none."""
    encoded, same = _NamesNothing(io.BytesIO(path.read_bytes())).load()
    assert type(encoded) is type(same) is list
    assert {type(item) for item in encoded} == {bytes}
    assert {type(item) for item in same} == {bool}
    return encoded, same


def test_the_truth_is_that_of_the_dataset(cli: Cli, dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = cli("export", dataset, out, "--format", "bin", "--pairs", 60)
    assert outcome.status == 0, outcome.err
    assert "bin does not hold hashes, nor images outside the pairs" in outcome.err
    assert "112x112" not in outcome.err
    assert sorted(path.name for path in out.iterdir()) == ["pairs.bin", "pairs.csv"]
    encoded, same = _load(out / "pairs.bin")
    assert len(encoded) == 2 * len(same) == 120
    source = {item.read_bytes(): item for item in find(dataset)}
    assert len(source) == PEOPLE * IMAGES
    shown = [source[data] for data in encoded]  # each with the bytes that it has in the dataset
    people = [item.identity for item in shown]
    assert same == [left == right for left, right in zip(people[::2], people[1::2], strict=True)]
    assert same == ([True] * 3 + [False] * 3) * 10
    rows_of_folds = [rows for _, rows in KFold(10, shuffle=False).split(same)]  # insightface's own
    folds = [{people[2 * row + side] for row in rows for side in (0, 1)} for rows in rows_of_folds]
    assert [len(fold) for fold in folds] == [2] * 10
    assert len(set.union(*folds)) == PEOPLE
    names = [item.name for item in shown]
    assert len({frozenset(pair) for pair in zip(names[::2], names[1::2], strict=True)}) == 60
    assert f"{out}: {len(set(people))} identities, {len(set(names))} images" in outcome.out
    with (out / "pairs.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [name for row in rows for name in (row["left"], row["right"])] == names
    assert [name for row in rows for name in (row["left_identity"], row["right_identity"])] == people
    assert [(int(row["fold"]), row["mated"] == "1") for row in rows] == [(n // 6 + 1, same[n]) for n in range(60)]
    held, labels = packed_pairs.read(out / "pairs.bin")
    assert ([item.data for item in held], labels) == (encoded, same)


def test_evaluate_reads_both_files(cli: Cli, dataset: Path, tmp_path: Path) -> None:
    succeed("export", dataset, tmp_path / "out", "--format", "bin", "--pairs", 60)
    found = []
    for place in (["--data", tmp_path / "out/pairs.bin"], ["--data", dataset, "--pairs", tmp_path / "out/pairs.csv"]):
        outcome = cli("evaluate", "--embedder", "mobilefacenet", *place, "--json", tmp_path / "figures.json")
        assert outcome.status == 0, outcome.err
        assert "30 mated and 30 non-mated comparisons" in outcome.out
        figures = json.loads((tmp_path / "figures.json").read_text())
        found.append([figures[name]["value"] for name in ("accuracy", "eer")] + [figures["thresholds"]])
    assert found[0] == found[1]


@pytest.mark.filterwarnings("ignore::nonesuch.core.notices.Notice")
def test_the_same_seed_gives_the_same_file(cli: Cli, dataset: Path, tmp_path: Path) -> None:
    succeed("export", dataset, tmp_path / "a", "--format", "bin", "--pairs", 40, "--seed", 5)
    told: list[tuple[int, int]] = []
    made = nonesuch.export_dataset(
        dataset, tmp_path / "b", format="bin", pairs=40, seed=5, on_progress=lambda _, at, of: told.append((at, of))
    )
    assert told == [(at + 1, made.images) for at in range(made.images)]
    succeed("export", dataset, tmp_path / "c", "--format", "bin", "--pairs", 40)
    for name in ("pairs.bin", "pairs.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        assert (tmp_path / "a" / name).read_bytes() != (tmp_path / "c" / name).read_bytes()


def test_what_cannot_be_had_is_told(cli: Cli, dataset: Path, tmp_path: Path) -> None:
    """The number in the error is the most: it is written, and 20 more are not."""
    out = tmp_path / "out"

    def refused(*options: object) -> str:
        error = cli("export", dataset, out, *options).error
        assert list(tmp_path.iterdir()) == []
        return error

    told = "20 identities with 60 images give at most 120 pairs in ten folds that share nobody; give --pairs 120"
    assert f"--pairs 6000: {told}" in refused("--format", "bin")
    assert f"--pairs 140: {told}" in refused("--format", "bin", "--pairs", 140)
    assert "--pairs 50: not a multiple of 20" in refused("--format", "bin", "--pairs", 50)
    assert "0 is not in the range x>=20" in refused("--format", "bin", "--pairs", 0)
    for option in (["--pairs", 6000], ["--seed", 1]):
        assert "--pairs and --seed go with --format bin" in refused("--format", "lmdb", *option)
    assert cli("export", dataset, out, "--format", "bin", "--pairs", 120).status == 0
    assert len(_load(out / "pairs.bin")[1]) == 120


def test_a_flipped_byte_ends_the_export(cli: Cli, dataset: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(dataset, tmp_path / "copy")
    row = flip_byte(copy / "shards" / "000002.tar", 1)
    outcome = cli("export", copy, tmp_path / "out", "--format", "bin", "--pairs", 120)  # which show each image
    assert f"{row['key']}.jpg is not what its index says" in outcome.error
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_a_full_disk(cli: Cli, dataset: Path, tmp_path: Path) -> None:
    with files_of_at_most(50_000):
        outcome = cli("export", dataset, tmp_path / "out", "--format", "bin", "--pairs", 120)
    assert outcome.error == f"error: {tmp_path / 'out'}: no space left to write it; free some and run the same " + (
        "command again"
    )
    assert list(tmp_path.iterdir()) == []


def _folder(folder: Path, side: int) -> Path:
    for number in range(40):
        path = folder / f"p{number % 20:02d}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)
        path.write_bytes(images.encode(pixels, "jpeg", 90))
    return folder


def test_images_that_evaluate_would_refuse_are_told(tmp_path: Path) -> None:
    people = _folder(tmp_path / "people", 112)
    odd = images.encode(np.zeros((90, 112, 3), np.uint8), "png", 1)
    (people / "p03" / "3.jpg").write_bytes(odd)
    with pytest.warns(Notice) as told:
        nonesuch.export_dataset(people, tmp_path / "out", format="bin", pairs=40)
    asked = "1 of 40 images are not 112x112, which 'nonesuch evaluate' asks of a packed set"
    assert any(asked in str(item.message) for item in told)
    assert odd in _load(tmp_path / "out" / "pairs.bin")[0]


@pytest.mark.parametrize(
    ("data", "says"), [(b"\xff\xd8\xff", "p03/3.jpg: not a readable image"), (bytes(1 << 21), "p03/3.jpg: 2,097,152")]
)
def test_images_that_nobody_reads_are_refused(tmp_path: Path, data: bytes, says: str) -> None:
    people = _folder(tmp_path / "people", 16)
    (people / "p03" / "3.jpg").write_bytes(data)
    with pytest.raises(NonesuchError, match=says):
        nonesuch.export_dataset(people, tmp_path / "out", format="bin", pairs=40)
    assert [path.name for path in tmp_path.iterdir()] == ["people"]
