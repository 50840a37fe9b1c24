"""The main job through the command line: the same plan gives the same dataset, whatever happens on the way."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import webdataset
from PIL import Image

from nonesuch.core.similarity import nearest
from tests.conftest import Cli

_OPTIONS = ["--identities", 12, "--images", 5, "--seed", 3, "--shard-images", 15, "--no-summary"]


def _generate(cli: Cli, out: Path, generator: Path, *options: object) -> None:
    outcome = cli("generate", out, "--generator", generator, *_OPTIONS, *options)
    assert outcome.status == 0, outcome.err


def _tars(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "shards").glob("*.tar"))}


@pytest.fixture(scope="module")
def command(tiny_generator: Path) -> list[str]:
    return [sys.executable, "-m", "nonesuch", "generate", "--generator", str(tiny_generator), *map(str, _OPTIONS)]


@pytest.fixture(scope="module")
def whole(tiny_generator: Path, command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of an uninterrupted run."""
    out = tmp_path_factory.mktemp("whole") / "faces"
    subprocess.run([*command, str(out)], check=True, capture_output=True)
    return out


def test_what_a_dataset_holds(whole: Path, cli: Cli) -> None:
    manifest = json.loads((whole / "dataset.json").read_text())
    assert (manifest["identities"], manifest["images"], manifest["complete"]) == (12, 60, True)
    assert manifest["shows_real_people"] is False
    assert manifest["render"] == {
        "device": "cpu", "dtype": "float32", "micro_batch": 16, "codec": "jpeg", "quality": 95,
    }  # fmt: skip
    assert [shard["identities"] for shard in manifest["shards"]] == [3, 3, 3, 3]
    plan = pq.read_table(whole / "plan.parquet")
    assert len(set(plan["seed"].to_pylist())) == 60
    sigmas = np.array(plan["sigma"], dtype=float).reshape(12, 5)
    assert all(sorted(np.round(row, 1).tolist()) == [0.3, 0.3, 0.5, 0.5, 0.7] for row in sigmas)
    vectors = np.stack(pq.read_table(whole / "identities.parquet")["embedding"].to_pylist()).astype(np.float32)
    assert nearest(vectors, vectors, same=True)[0].max() <= 0.541
    sheet = Image.open(whole / "contact_sheet.png")
    assert sheet.size == (5 * 114 - 2, 12 * 114 - 2)
    assert cli("verify", whole).status == 0


def test_the_index_finds_each_image(whole: Path) -> None:
    index = pq.read_table(whole / "shards" / "000002.parquet").to_pylist()
    tar = (whole / "shards" / "000002.tar").read_bytes()
    assert [row["label"] for row in index] == [6] * 5 + [7] * 5 + [8] * 5
    for row in index:
        image = Image.open(io.BytesIO(tar[row["offset"] : row["offset"] + row["size"]]))
        assert image.size == (112, 112)


def test_webdatasets_own_loader_reads_it(whole: Path) -> None:
    urls = [str(path) for path in sorted((whole / "shards").glob("*.tar"))]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode("rgb8").to_tuple("jpg", "cls"))
    assert [label for _, label in samples] == [identity for identity in range(12) for _ in range(5)]
    assert all(image.shape == (112, 112, 3) for image, _ in samples)


def test_it_unpacks_to_a_folder_per_identity(whole: Path, tmp_path: Path) -> None:
    with tarfile.open(whole / "shards" / "000000.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0000000", "0000001", "0000002"]
    assert len(list((tmp_path / "0000001").glob("*.jpg"))) == 5


@pytest.mark.parametrize("options", [["--workers", 1], ["--workers", 5]])
def test_workers_do_not_change_a_bit(
    cli: Cli, whole: Path, tiny_generator: Path, tmp_path: Path, options: list[object]
) -> None:
    _generate(cli, tmp_path / "faces", tiny_generator, *options)
    assert _tars(tmp_path / "faces") == _tars(whole)


def test_shard_size_does_not_change_an_image(cli: Cli, whole: Path, tiny_generator: Path, tmp_path: Path) -> None:
    _generate(cli, tmp_path / "faces", tiny_generator, "--shard-images", 1000)

    def hashes(folder: Path) -> list[bytes]:
        parts = [pq.read_table(path)["sha256"].to_pylist() for path in sorted((folder / "shards").glob("*.parquet"))]
        return [value for part in parts for value in part]

    assert hashes(tmp_path / "faces") == hashes(whole)
    assert len(_tars(tmp_path / "faces")) == 1


def test_micro_batches_change_no_grey_level_by_more_than_one(cli: Cli, tiny_generator: Path, tmp_path: Path) -> None:
    pixels = []
    for size in (1, 64):
        out = tmp_path / str(size)
        _generate(cli, out, tiny_generator, "--micro-batch", size, "--codec", "png")
        images = []
        for data in _tars(out).values():
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                members = [member for member in archive if member.name.endswith(".png")]
                images += [np.asarray(Image.open(archive.extractfile(member))).astype(int) for member in members]
        pixels.append(np.stack(images))
    assert np.abs(pixels[0] - pixels[1]).max() <= 1
    plans = [(tmp_path / size / "plan.parquet").read_bytes() for size in ("1", "64")]
    assert plans[0] == plans[1]


def test_a_larger_set_begins_with_the_smaller(cli: Cli, whole: Path, tiny_generator: Path, tmp_path: Path) -> None:
    _generate(cli, tmp_path / "more", tiny_generator, "--identities", 15)
    more = _tars(tmp_path / "more")
    assert {name: more[name] for name in _tars(whole)} == _tars(whole)


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_random_moments_it_resumes_to_the_same_dataset(
    command: list[str], whole: Path, cli: Cli, tmp_path: Path, seed: int
) -> None:
    """SIGKILL at a random moment of the rendering, up to three times, then a run to the end."""
    out = tmp_path / "faces"
    moment = random.Random(seed)
    for _ in range(3):
        process = subprocess.Popen([*command, str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not (out / ".lock").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(moment.uniform(0, 0.5))
        process.send_signal(moment.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
        process.wait(timeout=60)
        finished = {path.stem for path in (out / "shards").glob("*.parquet")}
        assert finished <= {path.stem for path in (out / "shards").glob("*.tar")}
    subprocess.run([*command, str(out)], check=True, capture_output=True)
    assert _tars(out) == _tars(whole)
    assert (out / "plan.parquet").read_bytes() == (whole / "plan.parquet").read_bytes()
    assert [path.name for path in out.rglob("*.tmp")] == []
    assert cli("verify", out).status == 0


def test_a_lost_shard_is_made_again_and_others_are_left(
    cli: Cli, whole: Path, tiny_generator: Path, tmp_path: Path
) -> None:
    out = tmp_path / "faces"
    _generate(cli, out, tiny_generator)
    (out / "shards" / "000001.tar").unlink()
    os.truncate(out / "shards" / "000003.tar", 700)
    untouched = (out / "shards" / "000000.tar").stat().st_mtime_ns
    _generate(cli, out, tiny_generator)
    assert _tars(out) == _tars(whole)
    assert (out / "shards" / "000000.tar").stat().st_mtime_ns == untouched


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--seed", 4], "seed 3, not 4"),
        (["--images", 6], "images per identity 5, not 6"),
        (["--identities", 13], "identities 12, not 13"),
        (["--quality", 90], "quality 95, not 90"),
        (["--sigma", "0.3"], "sigma mix"),
        (["--max-similarity", 0.4], "max similarity 0.541, not 0.4"),
        (["--sampling", "sphere"], "sampling pca, not sphere"),
        (["--dtype", "bfloat16"], "dtype float32, not bfloat16"),
        (["--micro-batch", 4], "micro batch 16, not 4"),
    ],
)
def test_a_changed_option_is_named(
    cli: Cli, whole: Path, tiny_generator: Path, options: list[object], named: str
) -> None:
    before = _tars(whole)
    outcome = cli("generate", whole, "--generator", tiny_generator, *_OPTIONS, *options)
    assert outcome.status == 1
    assert named in outcome.error
    assert _tars(whole) == before


def test_running_it_again_renders_nothing(cli: Cli, whole: Path, tiny_generator: Path) -> None:
    outcome = cli("generate", whole, "--generator", tiny_generator, *_OPTIONS)
    assert "nothing left to render" in outcome.out


def test_two_processes_cannot_write_one_dataset(whole: Path, cli: Cli, tiny_generator: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from nonesuch.dataset.manifest import locked\n"
        "with locked(Path(sys.argv[1])): print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(whole)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        outcome = cli("generate", whole, "--generator", tiny_generator, *_OPTIONS)
        holder.kill()
    assert "another process is writing here" in outcome.error


def test_a_full_disk_loses_nothing_that_was_finished(command: list[str], whole: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: the second shard's tar does not fit below it."""
    out = tmp_path / "faces"
    sizes = [len(data) for data in _tars(whole).values()]
    limit = (min(sizes) + max(sizes)) // 2
    assert min(sizes) < limit < max(sizes) or len(set(sizes)) == 1
    limited = ["bash", "-c", f'ulimit -f {10_000 // 1024}; exec "$@"', "bash", *command, str(out)]
    result = subprocess.run(limited, capture_output=True, text=True)
    assert result.returncode == 1
    assert "no space left" in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(out.rglob("*.tmp"))
    assert _tars(out) == {}
    subprocess.run([*command, str(out)], check=True, capture_output=True)
    assert _tars(out) == _tars(whole)
