"""Whatever interrupts an import or a merge, the same command goes on: nothing lost, nothing doubled."""

import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nonesuch.core import files
from nonesuch.formats import manifest as manifests
from tests.collected import images, jpeg, manifest, write_people
from tests.conftest import Cli, succeed
from tests.faults import files_of_at_most


def _hashes(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): files.sha256(path) for path in sorted((folder / "shards").iterdir())}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """in/: 60 people of 6 images; out/: their dataset."""
    folder = tmp_path_factory.mktemp("many")
    data = [jpeg(seed) for seed in range(20)]
    for person in range(60):
        (folder / "in" / f"{person:04d}").mkdir(parents=True)
        for image in range(6):
            (folder / "in" / f"{person:04d}" / f"{image}.jpg").write_bytes(data[(person + image) % 20])
    succeed("import", folder / "in", folder / "out", "--shard-images", 12)
    return folder


def test_killed_at_work(cli: Cli, many: Path, tmp_path: Path) -> None:
    arguments = ["import", str(many / "in"), str(tmp_path / "out"), "--shard-images", "12"]
    with subprocess.Popen([sys.executable, "-m", "nonesuch", *arguments], stderr=subprocess.DEVNULL) as run:
        while not (tmp_path / "out" / "shards" / "000001.parquet").exists() and run.poll() is None:
            time.sleep(0.001)
        os.kill(run.pid, signal.SIGKILL)
    assert not manifest(tmp_path / "out")["complete"], "the command was not interrupted"
    assert "not complete" in cli("verify", tmp_path / "out").err
    assert "not complete" in cli("merge", tmp_path / "all", many / "out", tmp_path / "out").error
    there = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "shards").glob("*.parquet")}
    assert cli(*arguments).status == 0
    assert all(path.stat().st_mtime_ns == written for path, written in there.items())
    assert not list((tmp_path / "out").rglob(".*.tmp"))
    assert cli("verify", tmp_path / "out").status == 0
    assert _hashes(tmp_path / "out") == _hashes(many / "out")


def test_a_full_disk_loses_no_shard(cli: Cli, tmp_path: Path) -> None:
    planted = write_people(tmp_path / "in", {"ann": 1, "bob": 40, "cy": 1})
    arguments = ["import", tmp_path / "in", tmp_path / "out", "--shard-images", 5]
    with files_of_at_most(120_000):
        full = cli(*arguments)
    assert "000001.tar: no space left to write it; free some and run the same command again" in full.error
    assert sorted(path.name for path in (tmp_path / "out" / "shards").iterdir()) == ["000000.parquet", "000000.tar"]
    written = (tmp_path / "out" / "shards" / "000000.tar").stat().st_mtime_ns
    assert cli(*arguments).status == 0
    assert (tmp_path / "out" / "shards" / "000000.tar").stat().st_mtime_ns == written
    assert sorted(images(tmp_path / "out").values()) == sorted(planted.values())
    assert cli("verify", tmp_path / "out").status == 0


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A dataset of three shards with their images in in/."""
    write_people(tmp_path / "in", {"ann": 2, "bob": 2, "cy": 2})
    succeed("import", tmp_path / "in", tmp_path / "out", "--shard-images", 2)
    return tmp_path / "out"


def test_what_verify_finds_the_same_command_mends(cli: Cli, small: Path) -> None:
    before, about = _hashes(small), manifest(small)
    tar = small / "shards" / "000001.tar"
    content = bytearray(tar.read_bytes())
    content[pq.read_table(tar.with_suffix(".parquet"))["offset"][1].as_py() + 700] ^= 1
    tar.write_bytes(content)
    found = cli("verify", small)
    assert "0000001/00001: its bytes do not match their hash; remove 000001.tar and 000001.parquet" in found.err
    merged = cli("subset", small, small.parent / "some", "--images", 2)
    assert "000001.tar: 0000001/00001 is not what its index says" in merged.error
    assert not (small.parent / "some").exists()
    tar.unlink()
    tar.with_suffix(".parquet").unlink()
    assert cli("import", small.parent / "in", small, "--shard-images", 2).status == 0
    assert (_hashes(small), manifest(small)) == (before, about)
    assert cli("verify", small).status == 0


def test_verify_knows_the_parts_and_the_columns(cli: Cli, small: Path) -> None:
    path = small / "shards" / "000000.parquet"
    table = pq.read_table(path)
    field = table.schema.field("part")
    changed = table.set_column(table.column_names.index("part"), field, pa.array([0, 1], field.type))
    pq.write_table(changed, path)
    assert "part 0: 5 images come from it, the manifest says 6" in cli("verify", small).err
    copied = cli("subset", small, small.parent / "unknown", "--images", 2)
    assert "000000.tar: its index names parts that the manifest lacks; see 'nonesuch verify'" in copied.error
    assert not (small.parent / "unknown").exists()
    pq.write_table(table, path)
    assert cli("verify", small).status == 0
    assert cli("perceive", small, "--device", "cpu").status == 0
    assert cli("subset", small, small.parent / "some", "--where", "label > 0").status == 0
    assert cli("verify", small.parent / "some").status == 0
    (small.parent / "some" / "columns" / "perception" / "000000.parquet").unlink()
    assert "shard 000000: lacks the columns perception" in cli("verify", small.parent / "some").err


def test_a_folder_that_holds_something_else_is_left_alone(
    cli: Cli, small: Path, tiny_generator: Path, tmp_path: Path
) -> None:
    source = tmp_path / "in"
    succeed("generate", tmp_path / "plan", "--generator", tiny_generator, "--identities", 2, "--plan-only")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    for folder, arguments, said in (
        ("plan", (), "holds a dataset that was generated"),
        ("notes", (), "holds a.txt and no dataset"),
        ("out", ("--shard-images", 3), "made with shard images 2, not 3"),
        ("out", ("--shard-images", 2, "--quality", 80), "made with quality 95, not 80"),
    ):
        before = {path: path.read_bytes() for path in (tmp_path / folder).rglob("*") if path.is_file()}
        assert said in cli("import", source, tmp_path / folder, *arguments).error
        after = {path: path.read_bytes() for path in (tmp_path / folder).rglob("*") if path.is_file()}
        assert {path: data for path, data in after.items() if path.name != ".lock"} == {
            path: data for path, data in before.items() if path.name != ".lock"
        }
    succeed("subset", small, tmp_path / "one", "--images", 1)
    assert "holds a dataset that 'nonesuch import' made" in cli("subset", tmp_path / "one", small, "--images", 1).error
    (source / "ann" / "0.jpg").write_bytes(jpeg(77, quality=90))
    assert (
        "made of another source, or of this one before it changed"
        in cli("import", source, small, "--shard-images", 2).error
    )


def test_a_source_that_is_cut_off(cli: Cli, tmp_path: Path) -> None:
    write_people(tmp_path / "in", {"ann": 3, "bob": 3})
    with tarfile.open(tmp_path / "in.tar", "w") as archive:
        archive.add(tmp_path / "in", "in")
    (tmp_path / "in.tar").write_bytes((tmp_path / "in.tar").read_bytes()[:9000])
    outcome = cli("import", tmp_path / "in.tar", tmp_path / "out")
    assert outcome.status == 1
    assert "in.tar" in outcome.error
    assert not (tmp_path / "out").exists()


def test_a_second_writer_is_kept_out(cli: Cli, many: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with manifests.locked(tmp_path / "out"):
        assert "another process is writing here" in cli("import", many / "in", tmp_path / "out").error
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".lock"]
