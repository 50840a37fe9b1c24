"""`nonesuch verify` finds what is planted and is silent about a sound dataset."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nonesuch import verify_dataset
from tests.conftest import Cli
from tests.faults import flip_byte

Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def sound(tiny_generator: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import subprocess
    import sys

    out = tmp_path_factory.mktemp("verify") / "faces"
    options = ["--identities", "4", "--images", "3", "--shard-images", "6", "--no-summary"]
    command = [sys.executable, "-m", "nonesuch", "generate", str(out), "--generator", str(tiny_generator), *options]
    subprocess.run(command, check=True, capture_output=True)
    return out


def _flip_a_pixel_byte(folder: Path) -> None:
    flip_byte(folder / "shards" / "000001.tar", 2)


def _change_a_label_file(folder: Path) -> None:
    tar = folder / "shards" / "000000.tar"
    content = tar.read_bytes()
    at = content.index(b"0000001/00000.cls") + 512
    assert content[at : at + 1] == b"1"
    tar.write_bytes(content[:at] + b"0" + content[at + 1 :])


def _change_an_index(column: str, value: object) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "shards" / "000000.parquet"
        table = pq.read_table(path)
        position = table.schema.get_field_index(column)
        values = table[column].to_pylist()
        values[1] = value
        field = table.schema.field(position)
        pq.write_table(table.set_column(position, field, pa.array(values, field.type)), path)

    return damage


def _truncate(folder: Path) -> None:
    tar = folder / "shards" / "000001.tar"
    tar.write_bytes(tar.read_bytes()[:4000])


def _edit_manifest(**changes: object) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "dataset.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return damage


def _lose_shard_1(folder: Path) -> None:
    for path in (folder / "shards").glob("000001.*"):
        path.unlink()


def _swap_the_plan(folder: Path) -> None:
    table = pq.read_table(folder / "plan.parquet")
    pq.write_table(table.slice(0, 6), folder / "plan.parquet", row_group_size=3)


def test_a_sound_dataset(cli: Cli, sound: Path) -> None:
    outcome = cli("verify", sound)
    assert outcome.status == 0
    assert "sound, 12 images verified" in outcome.out


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_flip_a_pixel_byte, "shard 000001: 0000002/00002: its bytes do not match their hash"),
        (_change_a_label_file, "0000001/00000: its label file does not say 1"),
        (_change_an_index("label", 3), "differs from the plan in column 'label'"),
        (_change_an_index("seed", 3), "differs from the plan in column 'seed'"),
        (_change_an_index("offset", 3), "not where the index says"),
        (_truncate, "shard 000001"),
        (
            lambda folder: (folder / "shards" / "000000.tar").unlink(),
            "shard 000000: 000000.tar missing; remove 000000.parquet and run the command",
        ),
        (_lose_shard_1, "shard 000001: 000001.tar and 000001.parquet missing; run the command that made the dataset"),
        (lambda folder: (folder / "shards" / "000000.parquet").write_bytes(b"x"), "not a readable shard index"),
        (_edit_manifest(images=13), "the manifest says 4 and 13"),
        (_edit_manifest(complete=False), "not complete"),
        (_edit_manifest(shards=[]), "lists 0 shards, the plan 2"),
        (_swap_the_plan, "not the file that the manifest was written for"),
    ],
)
def test_damage_is_found_and_the_mend_named(cli: Cli, sound: Path, tmp_path: Path, damage: Damage, says: str) -> None:
    folder = tmp_path / "faces"
    shutil.copytree(sound, folder)
    damage(folder)
    outcome = cli("verify", folder)
    assert outcome.status == 1
    assert says in outcome.err
    assert "Traceback" not in outcome.err
    assert verify_dataset(folder, changed=True, workers=3).problems == verify_dataset(folder, workers=1).problems


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_edit_manifest(format=99), "format 99"),
        (_edit_manifest(surprise=1), "damaged"),
        (lambda folder: (folder / "dataset.json").write_text("{"), "not readable as JSON"),
        (lambda folder: (folder / "plan.parquet").write_bytes(b"PAR1"), "no readable plan"),
        (lambda folder: shutil.rmtree(folder), "no dataset here"),
    ],
)
def test_what_cannot_be_verified_at_all(cli: Cli, sound: Path, tmp_path: Path, damage: Damage, says: str) -> None:
    folder = tmp_path / "faces"
    shutil.copytree(sound, folder)
    damage(folder)
    assert says in cli("verify", folder).error
