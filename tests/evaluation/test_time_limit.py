"""Time limits: planted times against brute force, and a pipeline that is slow on purpose."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import roc_curve
from torch import Tensor

from nonesuch.embedders.embedder import Embedder, EmbedderCard
from nonesuch.evaluation.benchmarks import Benchmark, pair_benchmark, people_benchmark
from nonesuch.evaluation.probes import Embedded
from nonesuch.evaluation.summary import figure_sections
from nonesuch.evaluation.time_limit import pipeline_milliseconds, time_limit_figures
from nonesuch.formats.readers import find
from nonesuch.measures.similarity import normalised

PEOPLE, EACH, SLOW = 20, 4, 0.12


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Folders of crops; every fourth is white."""
    for person in range(PEOPLE):
        (tmp_path / f"p{person:02d}").mkdir()
        for number in range(EACH):
            level = 255 if number == 0 else 10
            Image.new("RGB", (112, 112), (level, level, level)).save(tmp_path / f"p{person:02d}" / f"{number}.png")
    return tmp_path


def _embedded(spread: float) -> Embedded:
    draws = np.random.default_rng(0)
    raw = np.repeat(draws.normal(size=(PEOPLE, 16)), EACH, axis=0) + spread * draws.normal(size=(PEOPLE * EACH, 16))
    vectors = raw.astype(np.float32)
    return Embedded(normalised(vectors), np.linalg.norm(vectors, axis=1))


def _expected(found: Embedded, refused: NDArray[np.bool_], rate: float) -> float:
    left, right = np.triu_indices(PEOPLE * EACH, 1)
    mated = left // EACH == right // EACH
    scores = (found.unit[left] * found.unit[right]).sum(1)
    scores[refused[left] | refused[right]] = -1.0
    false_match, true_match, _ = roc_curve(mated, scores, drop_intermediate=False)
    return float(true_match[false_match <= rate].max())


def _both(images: Path, tmp_path: Path) -> list[Benchmark]:
    """The same comparisons as a list, and without one."""
    photographs = find(images)
    names = [item.name for item in photographs]
    lines = [
        f"{names[a]},{names[b]},{int(a // EACH == b // EACH)},{(a + b) % 2}"
        for a in range(len(names))
        for b in range(a)
    ]
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("\n".join(["left,right,mated,fold", *lines]))
    return [pair_benchmark(photographs, pairs, None, None), people_benchmark(photographs, None)]


def test_images_over_the_limit_are_refused(images: Path, tmp_path: Path) -> None:
    found = _embedded(0.4)
    milliseconds = np.array([20.0] * 5 + [150.0] * 2 + [700.0] * 3)
    for test in _both(images, tmp_path):
        timed = time_limit_figures(test, found, milliseconds)
        limits = timed["limits"]
        assert [limits[limit]["over"] for limit in ("100", "500", "1000")] == [0.5, 0.3, 0.0]
        assert (timed["measured"], timed["median_ms"]) == (10, 85.0)
        assert timed["p95_ms"] == np.percentile(milliseconds, 95)
        none = np.zeros(PEOPLE * EACH, bool)
        assert limits["1000"]["tar"]["0.01"]["value"] == pytest.approx(_expected(found, none, 0.01))
        # A comparison is refused if either of its images is: about 1 - 0.7 ** 2 of the mated ones at 500 ms.
        assert limits["500"]["tar"]["0.01"]["value"] == pytest.approx(0.49, abs=0.12)
        assert limits["100"]["tar"]["0.01"]["value"] == pytest.approx(0.25, abs=0.12)
        slow = time_limit_figures(test, found, np.array([2000.0]))
        assert slow["limits"]["1000"] == {"over": 1.0}


def test_rows_of_a_small_test_without_a_list() -> None:
    """Too few comparisons for any TAR: the EER replaces it, and a limit that nothing meets is reported."""
    two, one = ({"value": eer, "low": None, "high": None} for eer in (0.2, 0.1))
    limits = {"100": {"over": 1.0}, "500": {"over": 0.25, "eer": two, "tar": {}}, "1000": {"over": 0.0, "eer": one}}
    timed = {"measured": 4, "median_ms": 200.0, "p95_ms": 400.0, "limits": limits}
    interval = {"value": 0.1, "low": 0.0, "high": 0.2}
    figures = {"eer": interval, "failed_to_acquire": 0, "time_limit": timed}
    rows = {line.title: line.cells for part in figure_sections({"a": figures}) for line in part.lines}
    assert rows["EER within 100 ms"] == ["all images over"]
    assert rows["EER within 500 ms"] == ["20.00% (25.00% of images over)"]
    assert rows["EER within 1000 ms"] == ["10.00%"]
    assert rows["ms per image on one core, median (95th percentile)"] == ["200.0 (400.0)"]


def test_who_is_refused(images: Path, tmp_path: Path) -> None:
    found, refused = _embedded(0.4), np.random.default_rng(1).random(PEOPLE * EACH) < 0.3
    of_list, of_people = (test.refusing(found, refused) for test in _both(images, tmp_path))
    for rate in (0.1, 0.01, 0.001):
        expected = _expected(found, refused, rate)
        assert of_list["tar"][f"{rate:g}"] == of_people["tar"][f"{rate:g}"]
        assert of_list["tar"][f"{rate:g}"]["value"] == pytest.approx(expected)
    assert of_list["eer"]["value"] == pytest.approx(of_people["eer"]["value"])


class _SlowForWhite:
    """Takes the processor a while for a white crop."""

    def __call__(self, prepared: Tensor, /) -> Tensor:
        assert torch.get_num_threads() == 1
        until = time.process_time() + (SLOW if prepared.mean() > 0 else 0.0)
        while time.process_time() < until:
            pass
        return torch.ones(len(prepared), 4)


def test_a_slow_embedder_is_measured(images: Path) -> None:
    card = EmbedderCard(
        name="slow", architecture="", sha256="", licence="", source="", training_data="", embedding_dim=4
    )
    embedder = Embedder(card, _SlowForWhite(), torch.device("cpu"))
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        milliseconds = pipeline_milliseconds(find(images)[:12], embedder, None, flip=False)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert len(milliseconds) == 12
    white = np.arange(12) % EACH == 0
    assert (milliseconds[white] >= 1000 * SLOW).all()
    assert (milliseconds[~white] < 1000 * SLOW / 2).all()
    assert len(pipeline_milliseconds(find(images), embedder, None, flip=False)) == 48
