"""Testing embedders through the command line."""

import json
import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_curve

from nonesuch import load_embedder
from nonesuch.evaluation.probes import embed_images
from nonesuch.formats.readers import find
from nonesuch.measures.similarity import normalised
from tests.conftest import Cli
from tests.people import faces_of_no_one

PEOPLE, IMAGES, EACH = 6, 4, 12


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return faces_of_no_one(PEOPLE, 5, IMAGES)


@pytest.fixture(scope="module")
def folder(faces: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An LFW in small: people A to F with four images each, two folds of twelve mated and twelve non-mated pairs."""
    folder = tmp_path_factory.mktemp("lfw")
    for row, crop in enumerate(faces):
        name = "ABCDEF"[row // IMAGES]
        (folder / "images" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(crop).save(folder / "images" / name / f"{name}_{row % IMAGES + 1:04d}.png")
    draws, lines = np.random.default_rng(0), [f"2\t{EACH}"]
    for _ in range(2):
        lines += [f"{'ABCDEF'[n % PEOPLE]}\t{n % 3 + 1}\t4" for n in range(EACH)]
        for _ in range(EACH):
            first, second = draws.choice(PEOPLE, 2, replace=False)
            lines.append(f"{'ABCDEF'[first]}\t{draws.integers(4) + 1}\t{'ABCDEF'[second]}\t{draws.integers(4) + 1}")
    (folder / "pairs.txt").write_text("\n".join(lines))
    return folder


def test_pairs_by_two_embedders(cli: Cli, folder: Path, faces: np.ndarray, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    options = ["--data", folder / "images", "--pairs", folder / "pairs.txt", "--no-flip", "--json", out]
    outcome = cli("evaluate", "--embedder", "mobilefacenet", "--embedder", "dlib_resnet", *options)
    assert outcome.status == 0, outcome.err
    assert "24 mated and 24 non-mated comparisons" in outcome.out
    found = json.loads(out.read_text())
    assert found["accuracy"] == found["embedders"]["mobilefacenet"]["accuracy"]

    raw = load_embedder("dlib_resnet", "cpu").embed(faces)
    unit, norms = normalised(raw).astype(np.float64), np.linalg.norm(raw, axis=1)
    scores, mated, worse = [], [], []
    for line in (folder / "pairs.txt").read_text().splitlines()[1:]:
        fields = line.split("\t")
        rows = [
            "ABCDEF".index(name) * IMAGES + int(image) - 1
            for name, image in ((fields[0], fields[1]), (fields[0] if len(fields) == 3 else fields[2], fields[-1]))
        ]
        scores.append(unit[rows[0]] @ unit[rows[1]])
        mated.append(len(fields) == 3)
        worse.append(min(rows, key=lambda row: norms[row]))
    values, same = np.array(scores), np.array(mated)
    false_match, true_match, _ = roc_curve(same, values, drop_intermediate=False)
    figures = found["embedders"]["dlib_resnet"]
    assert figures["tar"]["0.1"]["value"] == pytest.approx(true_match[false_match <= 0.1].max())
    at = np.argmin(np.abs(false_match - (1 - true_match)))
    assert figures["eer"]["value"] == pytest.approx((false_match[at] + 1 - true_match[at]) / 2)
    # All 24 images are used: 30% are the seven of the smallest norm.
    assert figures["discard"]["fmr"] == 0.1
    kept = same & ~np.isin(worse, np.argsort(norms)[:7])
    threshold = max(values[~same & (values <= figures["discard"]["threshold"])])
    assert np.mean(values[~same] > threshold) <= 0.1
    assert figures["discard"]["fnmr"][-1] == pytest.approx(np.mean(values[kept] <= threshold))
    assert figures["discard"]["mated"][-1] == kept.sum() < 24
    halves = [slice(0, 24), slice(24, 48)]
    accuracies = []
    for rest, test in (halves, halves[::-1]):
        cuts = np.sort(values[rest])
        tried = [(low + high) / 2 for low, high in pairwise(cuts)]
        best = max(tried, key=lambda cut: ((values[rest] >= cut) == same[rest]).mean())
        accuracies.append(((values[test] >= best) == same[test]).mean())
    assert figures["accuracy"]["value"] == pytest.approx(np.mean(accuracies))


def test_flip_is_the_default(cli: Cli, folder: Path, faces: np.ndarray, tmp_path: Path) -> None:
    embedder = load_embedder("mobilefacenet", "cpu")
    photographs = find(folder / "images")
    alone = embedder.embed(faces)
    for flip, raw in (True, alone + embedder.embed(np.ascontiguousarray(faces[:, :, ::-1]))), (False, alone):
        (seen,), problems = embed_images(photographs, [embedder], None, flip)
        assert problems == []
        assert np.allclose(seen.unit, normalised(raw), atol=1e-5)
        assert np.allclose(seen.norm, np.linalg.norm(raw, axis=1), rtol=1e-4)
    found = []
    for number, more in enumerate(([], ["--no-flip"])):
        out = tmp_path / f"{number}.json"
        assert (
            cli("evaluate", "--data", folder / "images", "--pairs", folder / "pairs.txt", "--json", out, *more).status
            == 0
        )
        found.append(json.loads(out.read_text()))
    assert [figures["flip"] for figures in found] == [True, False]
    assert found[0]["eer"]["value"] <= found[1]["eer"]["value"] + 0.1


def test_all_comparisons_with_intervals(cli: Cli, folder: Path, tmp_path: Path) -> None:
    people, out = tmp_path / "people.txt", tmp_path / "figures.json"
    people.write_bytes(b"\xef\xbb\xbfA/\r\nB\t4\r\nC\r\nD\r\nNobody\r\n")
    command = ["evaluate", "--data", folder / "images", "--people", people, "--json", out]
    assert "--people: 1 of 5 names match nothing, the first is 'Nobody'" in cli(*command).error
    outcome = cli(*command, "--allow-unknown")
    assert outcome.status == 0, outcome.err
    found = json.loads(out.read_text())
    assert 0.0 <= found["eer"]["low"] <= found["eer"]["value"] <= found["eer"]["high"] <= 1.0
    assert found["tar"].keys() == {"0.1"}  # 96 non-mated comparisons resolve no finer rate
    assert found["tar"]["0.1"]["value"] > 0.5
    # Four people x four images: everyone's first image is the gallery.
    assert found["rank"]["1"]["value"] == 1.0
    assert "rank 1" in outcome.out


def test_groups_at_one_threshold(cli: Cli, folder: Path, tmp_path: Path) -> None:
    groups, out = tmp_path / "groups.csv", tmp_path / "figures.json"
    groups.write_text("identity,group\nA,x\nB,x\nC,x\nD,y\nE,y\nF,y\n")
    options = ["--data", folder / "images", "--pairs", folder / "pairs.txt", "--json", out]
    outcome = cli("evaluate", *options, "--groups", groups)
    assert outcome.status == 0, outcome.err
    found = json.loads(out.read_text())["groups"]
    assert set(found["groups"]) == {"x", "y"}
    # Every mated pair lies within a group: 12 of each, by the made list.
    assert [found["groups"][name]["mated"] for name in "xy"] == [12, 12]
    accuracies = [found["groups"][name]["accuracy"]["value"] for name in "xy"]
    assert found["trade_off"]["value"] == pytest.approx(np.mean(accuracies) - np.std(accuracies))
    groups.write_text("identity,group\nZ,x\n")
    assert "names none of the test's people" in cli("evaluate", *options, "--groups", groups).error
    assert "--groups goes with --pairs" in cli("evaluate", "--data", folder / "images", "--groups", groups).error


def test_a_packed_set(cli: Cli, folder: Path, faces: np.ndarray, tmp_path: Path) -> None:
    files = sorted((folder / "images").rglob("*.png"))
    encoded = [file.read_bytes() for pair in range(12) for file in (files[2 * pair], files[2 * pair + 1])]
    encoded += [file.read_bytes() for n in range(12) for file in (files[n], files[n + 12])]
    order = np.random.default_rng(1).permutation(24)
    path, out = tmp_path / "set.bin", tmp_path / "figures.json"
    images = [encoded[2 * pair + side] for pair in order for side in (0, 1)]
    path.write_bytes(pickle.dumps((images, [bool(pair < 12) for pair in order]), protocol=2))
    outcome = cli("evaluate", "--data", path, "--json", out)
    assert outcome.status == 0, outcome.err
    found = json.loads(out.read_text())
    assert (found["mated"], found["non_mated"]) == (12, 12)
    assert found["eer"]["value"] < 0.1


def test_an_image_without_a_face_counts_as_refused(cli: Cli, folder: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    for name in "AB":
        (images / name).mkdir(parents=True)
        for image in (1, 2):
            (images / name / f"{name}_{image:04d}.png").symlink_to(folder / "images" / name / f"{name}_{image:04d}.png")
    (images / "A" / "A_0002.png").unlink()
    Image.new("RGB", (200, 150), (90, 90, 90)).save(images / "A" / "A_0002.png")
    pairs, out = tmp_path / "pairs.txt", tmp_path / "figures.json"
    pairs.write_text("2 1\nA 1 2\nA 1 B 1\nB 1 2\nA 1 B 2\n")
    outcome = cli("evaluate", "--data", images, "--pairs", pairs, "--json", out)
    assert outcome.status == 0, outcome.err
    found = json.loads(out.read_text())
    assert found["failed_to_acquire"] == 1
    assert found["eer"]["value"] == pytest.approx(0.5)
    assert "no face found" in outcome.err + outcome.out


def test_wrong_inputs(cli: Cli, folder: Path, tmp_path: Path) -> None:
    images, pairs = folder / "images", folder / "pairs.txt"
    assert "--data" in cli("evaluate").error
    assert "name at least two" in cli("evaluate", "--data", images, "--pairs", pairs, "--folds", "2").error
    assert "write it as 8-10" in cli("evaluate", "--data", images, "--pairs", pairs, "--folds", "x").error
    assert "goes with --pairs" in cli("evaluate", "--data", images, "--folds", "1-2").error
    missing = cli("evaluate", "--data", images, "--pairs", tmp_path / "absent.txt")
    assert "absent.txt: not readable" in missing.error
    one_kind = tmp_path / "pairs.csv"
    one_kind.write_text("left,right,mated\nA_0001,A_0002,1\nB_0001,B_0002,1\n")
    assert "all comparisons are mated" in cli("evaluate", "--data", images, "--pairs", one_kind).error
    full = cli("evaluate", "--data", images, "--pairs", pairs, "--json", "/dev/full/figures.json")
    assert full.status == 1
