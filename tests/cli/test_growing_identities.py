"""`nonesuch identities` after a kill, and with more identities than before."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import nonesuch
from tests.conftest import Cli

_OPTIONS = ["--generator", "vec2face_small", "--seed", 3]
_KILLED = """
import os, signal
import nonesuch
from nonesuch.identities import growing_table

growing_table._EVERY_SECONDS, growing_table._SHARE_FOR_SAVING = 0, 1e9
save = growing_table.GrowingTable.save

def then_die(self, kept):
    save(self, kept)
    os.kill(os.getpid(), signal.SIGKILL)

growing_table.GrowingTable.save = then_die
nonesuch.sample_identities({out!r}, identities=1500, generator="vec2face_small", seed=3)
"""


def _sample(path: Path) -> tuple[np.ndarray, list[int], dict[str, object]]:
    table = pq.read_table(path)
    record = json.loads(table.schema.metadata[b"sampled"])
    return np.array(table["embedding"].to_pylist(), dtype=np.float32), table["seed"].to_pylist(), record


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "people.parquet"
    nonesuch.sample_identities(out, identities=1500, generator="vec2face_small", seed=3)
    return out


def _is_the_same(one: Path, other: Path) -> bool:
    (vectors, seeds, record), (vectors_, seeds_, record_) = _sample(one), _sample(other)
    closest = (record.pop("closest"), record_.pop("closest"))
    return np.array_equal(vectors, vectors_) and (seeds, record) == (seeds_, record_) and np.ptp(closest) < 1e-12


def test_a_killed_sample_goes_on(cli: Cli, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "people.parquet"
    ended = subprocess.run([sys.executable, "-c", _KILLED.format(out=str(out))], capture_output=True)
    assert ended.returncode == -signal.SIGKILL
    assert not out.exists()
    done = len(_sample(tmp_path / "people.unfinished.parquet")[0])
    assert 0 < done < 1500
    outcome = cli("identities", out, *_OPTIONS, "--seed", 4, "--identities", 1500)
    assert outcome.status == 1
    assert "people.unfinished.parquet: a sample of seed 3, not 4; repeat its options, or delete it" in outcome.err
    outcome = cli("identities", out, *_OPTIONS, "--identities", 1500)
    assert outcome.status == 0, outcome.err
    assert f"goes on from {done:,} identities" in outcome.err
    assert _is_the_same(out, whole)
    assert [path.name for path in tmp_path.iterdir()] == ["people.parquet"]


def test_a_damaged_unfinished_table_is_named(cli: Cli, whole: Path, tmp_path: Path) -> None:
    unfinished = tmp_path / "people.unfinished.parquet"
    unfinished.write_bytes(whole.read_bytes()[:5000])
    outcome = cli("identities", tmp_path / "people.parquet", *_OPTIONS, "--identities", 1500)
    assert outcome.status == 1
    assert "people.unfinished.parquet: not a readable Parquet table" in outcome.err
    assert unfinished.exists()


def test_a_table_is_extended(cli: Cli, whole: Path, tmp_path: Path) -> None:
    small, out = tmp_path / "small.parquet", tmp_path / "people.parquet"
    assert cli("identities", small, *_OPTIONS, "--identities", 1100).status == 0
    outcome = cli("identities", out, *_OPTIONS, "--identities", 1500, "--extend", small)
    assert outcome.status == 0, outcome.err
    assert _is_the_same(out, whole)
    assert "1500 identities" in outcome.out
    for options, reason in [
        (["--fmr", 1e-3], "a sample of max similarity 0.541"),
        (["--sampling", "sphere"], "a sample of max similarity|a sample of sampling pca, not sphere"),
        (["--identities", 900], "holds 1,100 identities already"),
    ]:
        outcome = cli("identities", out, *_OPTIONS, "--identities", 1500, "--extend", small, *options)
        assert outcome.status == 1
        assert any(part in outcome.err for part in reason.split("|")), outcome.err


def test_tables_that_cannot_be_extended(cli: Cli, whole: Path, tmp_path: Path) -> None:
    table = pq.read_table(whole)
    older = dict(table.schema.metadata)
    older[b"sampled"] = json.dumps({"sampling": "pca"}).encode()
    pq.write_table(table.replace_schema_metadata(older), tmp_path / "older.parquet")
    for name, reason in [("older", "no sample that can grow; sample it anew"), ("none", "no such table")]:
        extend = tmp_path / f"{name}.parquet"
        outcome = cli("identities", tmp_path / "out.parquet", *_OPTIONS, "--identities", 1600, "--extend", extend)
        assert outcome.status == 1
        assert reason in outcome.err


def test_the_closest_two_are_told(cli: Cli, whole: Path) -> None:
    vectors = _sample(whole)[0].astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    assert _sample(whole)[2]["closest"] == pytest.approx(cosines.max(), abs=1e-12)
