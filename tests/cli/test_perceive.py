"""`nonesuch perceive` on datasets and photographs."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import nonesuch
from nonesuch import load_perceiver
from nonesuch.core import images
from nonesuch.formats.columns import read_columns
from nonesuch.formats.readers import find
from nonesuch.perception.perceiver import COLUMNS
from tests.conftest import Cli
from tests.people import faces_of_no_one


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four identities with three images each, in two shards."""
    out = tmp_path_factory.mktemp("made") / "faces"
    nonesuch.generate_dataset(out, identities=4, images=3, shard_images=6, summary=False)
    return out


@pytest.fixture
def dataset(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "faces"))


def test_a_dataset_gets_columns(cli: Cli, dataset: Path) -> None:
    outcome = cli("perceive", dataset)
    assert outcome.status == 0, outcome.err
    assert "12 images perceived by perceiver" in outcome.out
    assert "ethnicity: " in outcome.out
    found = read_columns(dataset, "perception")
    assert tuple(found.column_names) == ("key", *COLUMNS)
    keys = [photograph.name.rsplit(".", 1)[0] for photograph in find(dataset)]
    assert found["key"].to_pylist() == keys
    alone = load_perceiver(device="cpu").perceive(
        np.stack([images.decode(photograph.read_bytes(), "") for photograph in find(dataset)])
    )
    for name in ("yaw", "age", "quality", "smiling"):
        assert np.allclose(found[name].to_numpy(), alone[name], rtol=1e-3, atol=1e-2)
    assert cli("verify", dataset).status == 0


def test_what_is_done_is_not_done_again(cli: Cli, dataset: Path) -> None:
    assert cli("perceive", dataset).status == 0
    first, second = (dataset / "columns" / "perception" / f"00000{shard}.parquet" for shard in (0, 1))
    before, whole = first.stat().st_mtime_ns, second.read_bytes()
    zeroed = whole[:200] + bytes(400) + whole[600:]  # the footer, which holds schema and metadata, stays readable
    for damaged in (whole[: len(whole) // 2], zeroed):
        second.write_bytes(damaged)
        outcome = cli("perceive", dataset)
        assert "6 images perceived" in outcome.out
        assert first.stat().st_mtime_ns == before
        assert pq.read_table(second).equals(pq.read_table(pa.BufferReader(whole)))


def test_photographs_make_a_table(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    (crop,) = faces_of_no_one(1, 21)
    Image.fromarray(crop).save(folder / "aligned.png")
    canvas = Image.new("RGB", (420, 360), (110, 110, 110))
    canvas.paste(Image.fromarray(crop).resize((224, 224), Image.Resampling.BICUBIC), (90, 60))
    canvas.save(folder / "far.png")
    Image.new("RGB", (200, 200), (9, 99, 9)).save(folder / "meadow.png")
    out = tmp_path / "table.parquet"
    outcome = cli("perceive", folder, "--out", out)
    assert outcome.status == 0, outcome.err
    assert "skipped: meadow.png: no face found" in outcome.err
    assert "2 of 3 images perceived" in outcome.out
    rows = pq.read_table(out).to_pylist()
    assert [row["file"] for row in rows] == ["aligned.png", "far.png", "meadow.png"]
    assert set(rows[2]) == {"file", "faces", *COLUMNS}
    assert [row["faces"] for row in rows] == [None, 1, 0]
    assert all(value is None for name, value in rows[2].items() if name not in ("file", "faces"))
    assert rows[0]["gender"] == rows[1]["gender"]
    assert abs(rows[0]["age"] - rows[1]["age"]) < 10
    assert abs(rows[0]["yaw"] - rows[1]["yaw"]) < 8


def test_a_full_disk_leaves_nothing_half_written(cli: Cli, dataset: Path) -> None:
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600)); "
    limited += "from nonesuch.cli.app import main; sys.argv = ['nonesuch', 'perceive', sys.argv[1]]; main()"
    run = subprocess.run([sys.executable, "-c", limited, str(dataset)], capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.startswith("error: ")
    assert "Traceback" not in run.stderr
    assert [path for path in (dataset / "columns").rglob("*") if path.is_file()] == []
    assert cli("perceive", dataset).status == 0


def test_wrong_inputs(cli: Cli, tmp_path: Path, dataset: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    assert "name the table to write with --out" in cli("perceive", folder).error
    assert "holds no images" in cli("perceive", folder, "--out", tmp_path / "t.parquet").error
    Image.new("RGB", (200, 200), (9, 99, 9)).save(folder / "meadow.png")
    assert "none of 1 photographs shows a face" in cli("perceive", folder, "--out", tmp_path / "t.parquet").error
    assert not (tmp_path / "t.parquet").exists()
    assert "--align: a dataset's images are aligned" in cli("perceive", dataset, "--align").error
    assert "where a perceiver is needed" in cli("perceive", dataset, "--model", "mobilefacenet").error
    manifest = dataset / "dataset.json"
    manifest.write_text(manifest.read_text().replace('"complete": true', '"complete": false'))
    assert "not complete; run the command that made it again" in cli("perceive", dataset).error
