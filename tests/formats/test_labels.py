"""Whose image it is: the first folder below the source, or what an option says, and the user is told."""

import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from nonesuch.core import images
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import Notice
from nonesuch.formats.readers import find
from tests.conftest import Cli


def _grown(root: Path, *names: str) -> Path:
    """A folder with a crop under each name."""
    for level, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(images.encode(np.full((112, 112, 3), level, np.uint8), "png", 1))
    return root


def _packed(folder: Path, around: str) -> Path:
    path = folder.with_name(f"{around.replace('/', '_')}.tar")
    with tarfile.open(path, "w") as archive:
        archive.add(folder, arcname=around)
    return path


def _labels(path: Path, label: str | None = None) -> dict[str, str]:
    return {item.name: item.identity for item in find(path, label=label)}


def test_a_person_with_folders_of_years_is_one_person(tmp_path: Path) -> None:
    root = _grown(tmp_path / "photos", "alice/2019/1.png", "alice/2020/1.png", "bob/2019/1.png", "bob/1.png", "cy.png")
    with pytest.warns(Notice, match=r"the first folder, such as alice of alice/2019 \(3 identities\)"):
        found = _labels(root)
    assert list(found.values()) == ["alice", "alice", "bob", "bob", "cy"]
    with pytest.warns(Notice, match="the innermost folder, such as 2019 of alice/2019"):
        assert set(_labels(root, "last").values()) == {"2019", "2020", "bob", "cy"}


def test_folders_around_everything_in_a_tar_name_nobody(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    root = _grown(tmp_path / "photos", "alice/1.png", "bob/1.png", "cy.png")
    for around in ("lfw", "data/lfw"):
        assert list(_labels(_packed(root, around)).values()) == ["alice", "bob", "cy"]
    assert not recwarn.list
    assert set(_labels(_packed(root / "alice", "alice")).values()) == {"alice"}


@pytest.mark.parametrize("part", ["train", "Test"])
def test_parts_of_a_dataset_are_not_people(tmp_path: Path, part: str) -> None:
    root = _grown(tmp_path / "photos", f"{part}/alice/1.png", "val/bob/1.png")
    for path in (root, _packed(root, "set")):
        with pytest.raises(NonesuchError, match=r"(?i)is no person's name; name the folder .* --label last"):
            find(path)
        with pytest.warns(Notice):
            assert set(_labels(path, "last").values()) == {"alice", "bob"}
    assert set(_labels(root / "val").values()) == {"bob"}


PARTS = ["train", "training", "val", "valid", "validation", "test", "testing", "dev", "DEV"]


@pytest.mark.parametrize("part", PARTS)
def test_every_name_of_a_part_is_nobodys(tmp_path: Path, part: str) -> None:
    root = _grown(tmp_path / "photos", f"{part}/alice/1.png", "bob/1.png")
    with pytest.raises(NonesuchError, match=f"{part} is no person's name"):
        find(root)


@pytest.mark.parametrize(
    "names",
    [
        ("A/Aaron/1.png", "B/Bob/1.png"),
        ("a/Aaron/1.png", "b/Bob/2019/1.png", "b/Bea/1.png"),
        ("0f/0f3a/1.png", "a1/a1b2/1.png", "loose.png"),
    ],
)
def test_an_index_is_nobody(cli: Cli, tmp_path: Path, names: tuple[str, ...]) -> None:
    """A/Aaron and B/Bob would be the people A and B."""
    root = _grown(tmp_path / "photos", *names)
    for path in (root, _packed(root, "set")):
        outcome = cli("embed", path, "--out", tmp_path / "v.parquet")
        assert outcome.status == 1
        assert "an index and not people" in outcome.error
        assert "--label last (the innermost folder), second (the folders in " in outcome.error
        with pytest.warns(Notice, match="the second folder, such as "):
            assert set(_labels(path, "second").values()) == {
                Path(name).parts[1].removesuffix(".png") for name in names if "/" in name
            } | ({"loose"} if "loose.png" in names else set())


@pytest.mark.parametrize(
    "names",
    [
        ("n000/n000001/1.png", "n001/n001001/1.png"),
        ("alice/alice_2019/1.png", "bob/bob_2019/1.png"),
        ("00/Aaron/1.png", "01/Bob/1.png"),
    ],
)
def test_what_may_be_an_index_is_told(tmp_path: Path, names: tuple[str, ...]) -> None:
    root = _grown(tmp_path / "photos", *names)
    with pytest.warns(Notice, match=r"if the folders in them are the people, give 'nonesuch embed' .* --label second"):
        assert set(_labels(root).values()) == {name.split("/")[0] for name in names}


@pytest.mark.parametrize(
    "names", [("01/s1/1.png", "02/s1/1.png"), ("A/Aaron/1.png", "A/Abe/1.png"), ("al/2019/1.png", "bo/1.png")]
)
def test_what_is_no_index(tmp_path: Path, names: tuple[str, ...]) -> None:
    """What recurs in several folders is no person, and one folder is no index."""
    root = _grown(tmp_path / "photos", *names)
    with pytest.warns(Notice) as told:
        assert set(_labels(root).values()) == {name.split("/")[0] for name in names}
    assert not any("are the people" in str(one.message) for one in told)


def test_a_second_folder_that_is_not_there(tmp_path: Path) -> None:
    root = _grown(tmp_path / "photos", "train/alice/2019/1.png", "train/bob/1.png", "cy/1.png", "dan.png")
    with pytest.warns(Notice, match="the second folder, such as alice of train/alice/2019"):
        assert set(_labels(root, "second").values()) == {"alice", "bob", "cy", "dan"}


@pytest.mark.parametrize("hidden", [".thumbnails/1.png", "alice/.trash/1.png", "__MACOSX/alice/1.png", "@eaDir/1.png"])
def test_what_is_hidden_is_nobody(tmp_path: Path, hidden: str) -> None:
    root = _grown(tmp_path / ".cache" / "photos", "alice/1.png", hidden)
    for path in (root, _packed(root, ".")):
        assert _labels(path) == {"alice/1.png": "alice"}


def test_every_command_says_which_folder_it_took(cli: Cli, tmp_path: Path) -> None:
    root = _grown(tmp_path / "photos", "alice/2019/1.png", "bob/2019/1.png")
    for options, expected in (([], ["alice", "bob"]), (["--label", "last"], ["2019", "2019"])):
        outcome = cli("embed", root, "--out", tmp_path / "v.parquet", *options)
        assert outcome.status == 0, outcome.err
        notes = [line for line in outcome.err.splitlines() if line.startswith("note: ")]
        assert len(notes) == 1
        assert "images lie several folders deep" in notes[0]
        assert pq.read_table(tmp_path / "v.parquet")["identity"].to_pylist() == expected


def test_a_cleaned_set_remembers_which_folder_named_its_people(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    root = tmp_path / "photos"
    for name in ("train/alice/1.png", "val/bob/1.png"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_bytes(images.encode(rng.integers(0, 256, (112, 112, 3), np.uint8), "png", 1))
    outcome = cli("clean", root, "--out", tmp_path / "out", "--same", 0.999, "--merge", 0.9999, "--label", "last")
    assert outcome.status == 0, outcome.err
    assert set(_labels(tmp_path / "out" / "cleaned.parquet").values()) == {"alice", "bob"}
