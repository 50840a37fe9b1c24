"""The main job through the command line: the same plan gives the same dataset, whatever happens on the way."""

import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import webdataset
from PIL import Image

from nonesuch import create_model
from nonesuch.core import locks, weights
from nonesuch.generators.vec2face.generator import Vec2FaceCard
from nonesuch.measures.similarity import nearest
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
        "device": "cpu", "dtype": "float32", "micro_batch": 16, "codec": "jpeg", "quality": 95, "style": 1.0,
        "synthetic_mark": True,
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


def test_the_style_code_is_an_option(cli: Cli, whole: Path, tiny_generator: Path, tmp_path: Path) -> None:
    _generate(cli, tmp_path / "mean", tiny_generator, "--style", 0)
    assert json.loads((tmp_path / "mean" / "dataset.json").read_text())["render"]["style"] == 0
    mean, styled = _tars(tmp_path / "mean"), _tars(whole)
    assert all(mean[name] != styled[name] for name in styled)
    assert (
        "style 1.0, not 0.5" in cli("generate", whole, "--generator", tiny_generator, *_OPTIONS, "--style", 0.5).error
    )


def test_a_generator_without_a_style_code_takes_no_style(cli: Cli, tiny_generator: Path, tmp_path: Path) -> None:
    card = replace(weights.read_card(tiny_generator, Vec2FaceCard), sizes={"style_dim": 0}, statistics="")
    plain = tmp_path / "plain.safetensors"
    weights.save(plain, create_model("vec2face_tiny", style_dim=0).state_dict(), card)
    options = ["--generator", plain, *_OPTIONS, "--sampling", "sphere"]
    assert "tiny has no style code" in cli("generate", tmp_path / "faces", *options, "--style", 1).error
    assert cli("generate", tmp_path / "faces", *options).status == 0


def test_a_larger_set_begins_with_the_smaller(cli: Cli, whole: Path, tiny_generator: Path, tmp_path: Path) -> None:
    _generate(cli, tmp_path / "more", tiny_generator, "--identities", 15)
    more = _tars(tmp_path / "more")
    assert {name: more[name] for name in _tars(whole)} == _tars(whole)


def test_killed_at_random_moments_it_resumes_to_the_same_dataset(
    command: list[str], cli: Cli, tiny_generator: Path, tmp_path: Path
) -> None:
    """Three kills at random moments after the first shard, then a run to the end."""
    more = ["--identities", "40", "--images", "6", "--shard-images", "12", "--workers", "1"]
    reference, out = tmp_path / "reference", tmp_path / "faces"
    _generate(cli, reference, tiny_generator, *more)
    expected, moment, incomplete = _tars(reference), random.Random(0), 0
    for _ in range(3):
        before = len(list((out / "shards").glob("*.parquet")))
        process = subprocess.Popen([*command, str(out), *more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while len(list((out / "shards").glob("*.parquet"))) == before and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(moment.uniform(0, 0.05))
        process.send_signal(moment.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
        process.wait(timeout=60)
        finished = _tars(out)
        assert {path.stem for path in (out / "shards").glob("*.parquet")} <= {name[:6] for name in finished}
        assert all(expected[name] == data for name, data in finished.items())
        incomplete += len(finished) < len(expected)
    assert incomplete > 0
    _generate(cli, out, tiny_generator, *more)
    assert _tars(out) == expected
    assert (out / "plan.parquet").read_bytes() == (reference / "plan.parquet").read_bytes()
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


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--vectors", "x", "--identities", 5], "--identities is about sampled identities"),
        (["--reference", "x", "--fmr", "1e-3"], "--fmr is about sampled identities"),
        (["--embedder", "mobilefacenet"], "--embedder goes with --reference only"),
        (["--fmr", "1e-3", "--max-similarity", 0.4], "give one of them"),
        (["--statistics", "x", "--sampling", "sphere"], "--statistics goes with --sampling pca"),
    ],
)
def test_no_option_is_silently_ignored(
    cli: Cli, tiny_generator: Path, tmp_path: Path, options: list[object], says: str
) -> None:
    assert says in cli("generate", tmp_path / "faces", "--generator", tiny_generator, *options).error


def test_a_changed_plan_is_not_resumed(cli: Cli, whole: Path, tiny_generator: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces"
    shutil.copytree(whole, out)
    table = pq.read_table(out / "plan.parquet")
    pq.write_table(table, out / "plan.parquet", row_group_size=15, compression="none")
    outcome = cli("generate", out, "--generator", tiny_generator, *_OPTIONS)
    assert "plan.parquet: not the file that the manifest was written for" in outcome.error


def test_running_it_again_renders_nothing(cli: Cli, whole: Path, tiny_generator: Path) -> None:
    outcome = cli("generate", whole, "--generator", tiny_generator, *_OPTIONS)
    assert "nothing left to render" in outcome.out


def test_another_command_at_work_keeps_out(
    whole: Path, cli: Cli, tiny_generator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BUSY_SECONDS", 0.0)
    code = (
        "import sys, time; from pathlib import Path; from nonesuch.formats.manifest import locked\n"
        "with locked(Path(sys.argv[1])): print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(whole)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        outcome = cli("generate", whole, "--generator", tiny_generator, *_OPTIONS)
        holder.kill()
    assert "another process is writing here" in outcome.error


_FULL_DISK = """
import resource, sys
from nonesuch.cli.app import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)), resource.RLIM_INFINITY))
main()
"""


def test_a_full_disk_loses_nothing_that_was_finished(
    command: list[str], cli: Cli, tiny_generator: Path, tmp_path: Path
) -> None:
    """A limit on the size of files stands for the disk: plan and first shards fit below it, a later shard does not."""
    more = ["--identities", "60", "--images", "5", "--shard-images", "50", "--codec", "png"]
    reference, out = tmp_path / "reference", tmp_path / "faces"
    _generate(cli, reference, tiny_generator, *more)
    sizes = [len(data) for data in _tars(reference).values()]
    limit = sorted(sizes)[len(sizes) // 2]  # half of the shards are larger
    plan = max((reference / name).stat().st_size for name in ("plan.parquet", "identities.parquet"))
    assert plan < limit < max(sizes)
    limited = [sys.executable, "-c", _FULL_DISK, str(limit), *command[3:], str(out), *more]
    result = subprocess.run(limited, capture_output=True, text=True)
    assert result.returncode == 1
    assert "no space left" in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(out.rglob("*.tmp"))
    finished = _tars(out)
    expected = _tars(reference)
    first_too_large = next(number for number, size in enumerate(sizes) if size > limit)
    assert len(finished) == first_too_large
    assert all(expected[name] == data for name, data in finished.items())
    times = {path.name: path.stat().st_mtime_ns for path in (out / "shards").glob("*.tar")}
    _generate(cli, out, tiny_generator, *more)
    assert _tars(out) == expected
    assert all((out / "shards" / name).stat().st_mtime_ns == moment for name, moment in times.items())


def test_shards_of_another_generator_are_not_taken_for_this_ones(
    cli: Cli, tiny_generator: Path, tmp_path: Path
) -> None:
    """Without its manifest a folder's shards belong to nobody; with one, each names its plan and generator."""
    out, other = tmp_path / "faces", tmp_path / "other"
    _generate(cli, out, tiny_generator)
    _generate(cli, other, tiny_generator, "--seed", 77)
    wanted = _tars(out)
    for suffix in ("tar", "parquet"):
        name = f"000001.{suffix}"
        (out / "shards" / name).write_bytes((other / "shards" / name).read_bytes())
    _generate(cli, out, tiny_generator)
    assert _tars(out) == wanted
    (out / "dataset.json").unlink()
    refused = cli("generate", out, "--generator", tiny_generator, *_OPTIONS, "--seed", 5)
    assert refused.status == 1
    assert "holds other files and no dataset" in refused.error
