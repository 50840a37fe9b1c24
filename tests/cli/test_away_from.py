"""`nonesuch identities --away-from`: no identity matches anybody of a gallery."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import nonesuch
from nonesuch.core.seeding import derive_seed
from nonesuch.embedders.embedder import EmbedderCard
from nonesuch.generators.generator import to_grey_levels
from nonesuch.identities import statistics, table
from nonesuch.identities.distributions import PcaGaussian
from nonesuch.models import ASSETS, load_embedder, load_generator, read_model_card, weights_path
from tests.conftest import Cli

_OPTIONS = ["--generator", "vec2face_small", "--seed", 3]


def _gallery(path: Path, vectors: np.ndarray, embedder: str) -> Path:
    card = read_model_card(weights_path(embedder), EmbedderCard)
    about = table.table_metadata(card.name, card.sha256, table.PHOTOGRAPHS)
    columns = {
        "file": [f"{row}.jpg" for row in range(len(vectors))],
        "identity": [f"person {row}" for row in range(len(vectors))],
        "embedding": list(vectors),
        "detected": [True] * len(vectors),
    }
    pq.write_table(pa.table(columns, schema=table.SCHEMA.with_metadata(about)), path)
    return path


def _candidates(count: int) -> np.ndarray:
    draw = PcaGaussian(statistics.load(ASSETS / "vec2face_small.statistics.safetensors"))
    return np.stack([draw(derive_seed(3, k)) for k in range(count)])


def _cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    one, other = one.astype(np.float64), other.astype(np.float64)
    return (one / np.linalg.norm(one, axis=1)[:, None]) @ (other / np.linalg.norm(other, axis=1)[:, None]).T


def _vectors(path: Path) -> np.ndarray:
    return np.array(pq.read_table(path)["embedding"].to_pylist(), dtype=np.float32)


def test_nobody_of_the_gallery_is_sampled(cli: Cli, tmp_path: Path) -> None:
    """The gallery holds every third candidate, a little off, so these and their like must be missing."""
    candidates = _candidates(60)
    planted = candidates[::3] + np.random.default_rng(0).standard_normal((20, 192)).astype(np.float32)
    gallery = _gallery(tmp_path / "gallery.parquet", planted, "mobilefacenet")
    out = tmp_path / "people.parquet"
    outcome = cli("identities", out, *_OPTIONS, "--identities", 30, "--away-from", gallery)
    assert outcome.status == 0, outcome.err
    limit = nonesuch.load_embedder("mobilefacenet", "cpu").card.threshold(1e-4)
    kept: list[np.ndarray] = []
    for candidate in candidates:
        if _cosines(candidate[None], np.stack([*planted, *kept])).max() <= limit:
            kept.append(candidate)
    assert np.array_equal(_vectors(out), np.stack(kept[:30]))
    record = json.loads(pq.read_schema(out).metadata[b"sampled"])["away_from"]
    assert [(entry["vectors"], entry["fmr"], entry["max_cosine"]) for entry in record] == [(20, 1e-4, limit)]
    dataset = tmp_path / "faces"
    made = cli("generate", dataset, "--generator", "vec2face_small", "--vectors", out, "--images", 1)
    assert made.status == 0, made.err
    assert json.loads((dataset / "dataset.json").read_text())["options"]["away_from"] == record
    grown = cli("identities", tmp_path / "more.parquet", *_OPTIONS, "--identities", 40, "--extend", out)
    assert grown.status == 1
    assert "a sample with other away from options; repeat its options" in grown.err
    # The dataset's own identities are a gallery too: then all of them are left out.
    others = tmp_path / "others.parquet"
    assert cli("identities", others, *_OPTIONS, "--identities", 10, "--away-from", dataset).status == 0
    assert _cosines(_vectors(others), _vectors(out)).max() <= limit


def test_another_embedder_judges_plain_images(cli: Cli, tmp_path: Path) -> None:
    """dlib's network matches nearly everybody at FMR 1e-2, so a few faces of its own leave out many candidates."""
    generator, judge = load_generator("vec2face_small", "cpu"), load_embedder("dlib_resnet", "cpu")

    def seen(vectors: np.ndarray) -> np.ndarray:
        images = generator.render(vectors, np.zeros(len(vectors), dtype=np.uint64), 16, style_spread=0.0)
        return judge.embed(to_grey_levels(images))

    gallery_vectors = seen(_candidates(3))
    gallery = _gallery(tmp_path / "gallery.parquet", gallery_vectors, "dlib_resnet")
    out = tmp_path / "people.parquet"
    outcome = cli("identities", out, *_OPTIONS, "--identities", 12, "--away-from", gallery, "--away-fmr", 1e-3)
    assert outcome.status == 0, outcome.err
    limit = judge.card.threshold(1e-3)
    cosines = _cosines(seen(_candidates(40)), gallery_vectors).max(1)
    assert (cosines[:3] > 0.999).all()
    left = _candidates(40)[cosines <= limit]
    assert np.array_equal(_vectors(out), left[:12])  # these few are apart from one another anyway
    record = json.loads(pq.read_schema(out).metadata[b"sampled"])["away_from"][0]
    assert record["compared"] == "vectors of the identities' plain images"
    assert record["max_cosine"] == limit


def test_galleries_that_cannot_be_used(cli: Cli, tmp_path: Path) -> None:
    out, vectors = tmp_path / "people.parquet", _candidates(2)
    unknown = _gallery(tmp_path / "unknown.parquet", vectors, "mobilefacenet")
    read = pq.read_table(unknown)
    pq.write_table(read.replace_schema_metadata({**read.schema.metadata, b"embedder": b"arcface"}), unknown)
    known = _gallery(tmp_path / "known.parquet", vectors, "mobilefacenet")
    for gallery, options, reason in [
        (unknown, [], "vectors of arcface, which does not ship with the package"),
        (known, ["--away-fmr", 0.5], "no threshold of mobilefacenet is known at FMR 0.5"),
        (tmp_path / "none.parquet", [], "no such table of vectors"),
    ]:
        outcome = cli("identities", out, *_OPTIONS, "--away-from", gallery, *options)
        assert outcome.status == 1
        assert reason in outcome.err
        assert not out.exists()


def test_a_gallery_that_leaves_nobody(cli: Cli, tmp_path: Path) -> None:
    """Every candidate is in the gallery."""
    gallery = _gallery(tmp_path / "gallery.parquet", _candidates(10_240), "mobilefacenet")
    outcome = cli("identities", tmp_path / "p.parquet", *_OPTIONS, "--identities", 5, "--away-from", gallery)
    assert outcome.status == 1
    assert "of 5 identities found" in outcome.err
    assert "another --seed than the gallery was sampled with" in outcome.err
