"""Retrieval by brute force, and TinyFace's folders."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nonesuch.core.errors import NonesuchError
from nonesuch.evaluation.identification import NEVER
from nonesuch.evaluation.probes import Embedded
from nonesuch.evaluation.retrieval import retrieve
from nonesuch.evaluation.tinyface import is_tinyface, tinyface_benchmark
from nonesuch.formats.readers import find
from nonesuch.measures.similarity import normalised


def _average_precision(good: list[bool], total: int) -> float:
    """The score of Oxford Buildings and Market-1501: the area under precision by recall, walked along the ranking."""
    found, area, old_recall, old_precision = 0, 0.0, 0.0, 1.0
    for place, hit in enumerate(good, start=1):
        found += hit
        recall, precision = found / total, found / place
        area += (recall - old_recall) * (old_precision + precision) / 2
        old_recall, old_precision = recall, precision
    return area


def test_retrieval_by_brute_force() -> None:
    draws = np.random.default_rng(0)
    gallery, people = normalised(draws.normal(size=(90, 5)).astype(np.float32)), draws.integers(-1, 12, 90)
    probes, own = normalised(draws.normal(size=(300, 5)).astype(np.float32)), draws.integers(0, 12, 300)
    gallery[[3, 40]], probes[7] = 0.0, 0.0
    found = retrieve(gallery, people, probes, own)
    for row in range(300):
        # In order of cosine, refused images last and never found.
        order = sorted(range(90), key=lambda at: (not gallery[at].any(), -float(probes[row] @ gallery[at])))
        good = [bool(people[at] == own[row] and gallery[at].any() and probes[row].any()) for at in order]
        assert found.rank[row] == (good.index(True) + 1 if any(good) else NEVER)
        expected = _average_precision(good, int((people == own[row]).sum()))
        assert found.average_precision[row] == pytest.approx(expected, abs=1e-9)
    assert found.rank[7] == NEVER


def test_retrieval_by_hand() -> None:
    gallery = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1]], np.float32)
    probe = np.array([[1, 0]], np.float32)
    # Own images at places 1 and 3: ((1 + 1) / 2 + (1 / 2 + 2 / 3) / 2) / 2.
    found = retrieve(gallery, np.array([5, 1, 5, -1]), probe, np.array([5]))
    assert found.rank.tolist() == [1]
    assert found.average_precision[0] == pytest.approx((1 + 7 / 12) / 2)
    # A tie counts against the own person.
    assert retrieve(np.repeat(probe, 2, axis=0), np.array([5, 1]), probe, np.array([5])).rank.tolist() == [2]
    with pytest.raises(NonesuchError, match="one of them is empty"):
        retrieve(gallery[:0], np.empty(0, int), probe, np.array([5]))
    with pytest.raises(NonesuchError, match="NaN"):
        retrieve(gallery, np.zeros(4, int), np.full((1, 2), np.nan, np.float32), np.array([0]))


def _set(folder: Path, names: list[str]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(folder / name)
    return folder


def test_the_official_folders(tmp_path: Path) -> None:
    names = ["Gallery_Match/1_1.jpg", "Gallery_Match/2_1.jpg", "Gallery_Match/2_9.jpg", "Gallery_Distractor/2_0_1.jpg"]
    names += ["Gallery_Distractor/sub/x.jpg", "Probe/1_2.jpg", "Probe/2_3.jpg"]
    test_set = [f"TinyFace/Testing_Set/{name}" for name in names]
    photographs = find(_set(tmp_path, [*test_set, "TinyFace/Training_Set/7/7_1.jpg"]))
    assert is_tinyface(photographs)
    test = tinyface_benchmark(photographs)
    assert test.title == "TinyFace: 2 probes in a gallery of 3 images and 2 distractors"
    vectors = {"1_1": [1, 0], "2_1": [0, 1], "2_9": [1, 0.1], "2_0_1": [0.9, 1], "x": [-1, 0], "1_2": [1, 0.02]}
    vectors["2_3"] = [0.5, 1]
    raw = np.array([vectors[Path(item.name).stem] for item in test.photographs], np.float32)
    found = test.figures(Embedded(normalised(raw), np.linalg.norm(raw, axis=1)))
    # 1_2 finds 1_1 first. 2_3 finds the distractor, then 2_1, then 2_9: an identity in a distractor's name is nobody.
    assert {k: rank["value"] for k, rank in found["rank"].items()} == {"1": 0.5, "5": 1.0, "10": 1.0, "20": 1.0}
    assert found["cmc"][:2] == [0.5, 1.0]
    assert found["map"]["value"] == pytest.approx((1 + _average_precision([False, True, True], 2)) / 2)


def test_other_folders_and_wrong_names(tmp_path: Path) -> None:
    assert not is_tinyface(find(_set(tmp_path / "a", ["Probe/1_1.jpg", "Gallery/1_2.jpg"])))
    nobody = find(_set(tmp_path / "b", ["Probe/1_1.jpg", "Gallery_Match/2_1.jpg"]))
    with pytest.raises(NonesuchError, match=r"Probe/1_1\.jpg: Gallery_Match holds no image of its person, 1"):
        tinyface_benchmark(nobody)
    nameless = find(_set(tmp_path / "c", ["Probe/face.jpg", "Gallery_Match/2_1.jpg"]))
    with pytest.raises(NonesuchError, match="begin with the person and an underscore"):
        tinyface_benchmark(nameless)
