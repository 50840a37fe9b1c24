"""`nonesuch pack-identities`: vectors pushed apart by gradient steps."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from nonesuch import NonesuchError
from nonesuch.identities import packing
from nonesuch.identities.distributions import PcaGaussian, Sphere
from nonesuch.identities.packing import pack_apart
from nonesuch.identities.statistics import Statistics
from tests.conftest import Cli


def _closest(vectors: np.ndarray) -> float:
    unit = vectors.astype(np.float64) / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -1)
    return float(cosines.max())


def test_the_best_packing_is_nearly_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a pull: N + 1 vectors in N dimensions end at cosine -1 / N (a simplex), 12 in 3 at .447 (icosahedron)."""
    monkeypatch.setattr(packing, "_PULL", 0.0)
    monkeypatch.setattr(packing, "_EPOCHS", 600)
    assert pack_apart(Sphere(8, 5.0), 9, 0, 1.0).closest == pytest.approx(-1 / 8, abs=0.01)
    assert pack_apart(Sphere(3, 5.0), 12, 0, 1.0).closest == pytest.approx(1 / 5**0.5, abs=0.03)


def test_the_pull_holds_them_where_the_distribution_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The distribution lies in 3 of 12 dimensions; vectors that are only pushed go out of them."""
    axes = np.eye(12, dtype=np.float32)
    spread = np.array([3, 2, 1, *[0.01] * 9], dtype=np.float32)
    draws = PcaGaussian(Statistics(np.zeros(12, dtype=np.float32), axes, spread, "", 1))

    def outside(pull: float) -> float:
        monkeypatch.setattr(packing, "_PULL", pull)
        vectors = pack_apart(draws, 60, 0, 1.0).vectors
        return float((vectors[:, 3:] ** 2).sum() / (vectors**2).sum())

    assert outside(0.0) > 0.05
    assert outside(2.0) < 0.5 * outside(0.0)


def test_the_table(cli: Cli, tmp_path: Path) -> None:
    options = ["--generator", "vec2face_small", "--seed", 3]
    out, sampled = tmp_path / "packed.parquet", tmp_path / "sampled.parquet"
    outcome = cli("pack-identities", out, *options, "--identities", 200)
    assert outcome.status == 0, outcome.err
    assert cli("identities", sampled, *options, "--identities", 200).status == 0
    packed, drawn = (np.array(pq.read_table(path)["embedding"].to_pylist()) for path in (out, sampled))
    record = json.loads(pq.read_schema(out).metadata[b"sampled"])
    assert record["closest"] == pytest.approx(_closest(packed), abs=1e-5)
    assert record["closest"] < _closest(drawn) - 0.1
    assert record["packed"] is True
    assert f"{record['closest']:.4f}" in outcome.out
    assert (
        cli("generate", tmp_path / "faces", "--generator", "vec2face_small", "--vectors", out, "--plan-only").status
        == 0
    )
    # It is no sample that grows.
    grown = cli("identities", tmp_path / "more.parquet", *options, "--identities", 300, "--extend", out)
    assert grown.status == 1
    assert "a sample of packed True, not none" in grown.err


def test_too_many_and_too_close() -> None:
    with pytest.raises(NonesuchError, match="give 1 to 20,000"):
        pack_apart(Sphere(8, 1.0), 20_001, 0, 1.0)
    with pytest.raises(NonesuchError, match=r"the closest two of 50 end at cosine 0\.\d+, above 0.1"):
        pack_apart(Sphere(3, 1.0), 50, 0, 0.1)
