"""Published protocols through the command line, on small sets of people who don't exist."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_curve

from nonesuch import create_model, load_embedder
from nonesuch.core import weights
from nonesuch.perception.alignment import TEMPLATE
from tests.conftest import Cli
from tests.people import faces_of_no_one

PEOPLE, IMAGES = 8, 4


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return faces_of_no_one(PEOPLE, 5, IMAGES)


@pytest.fixture(scope="module")
def ijb(faces: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two templates of two images of each person; crops, the same within larger images, and metadata."""
    folder = tmp_path_factory.mktemp("ijb")
    for name in ("crops", "loose_crop", "meta"):
        (folder / name).mkdir()
    listed, points = [], []
    for row, crop in enumerate(faces):
        name = f"{row + 1}.png"
        Image.fromarray(crop).save(folder / "crops" / name)
        loose = np.full((200, 180, 3), 90, np.uint8)
        loose[30:142, 40:152] = crop
        Image.fromarray(loose).save(folder / "loose_crop" / name)
        listed.append(f"{name} {row // 2 + 100} {row}")
        points.append(f"{name} {' '.join(f'{value:.3f}' for value in (TEMPLATE + np.array([40, 30])).ravel())} 0.99")
    (folder / "meta" / "ijbc_face_tid_mid.txt").write_text("\n".join(listed))
    (folder / "meta" / "ijbc_name_5pts_score.txt").write_text("\n".join(points))
    pairs = [(a, b, int(a // 2 == b // 2)) for a in range(16) for b in range(a)]
    (folder / "meta" / "ijbc_template_pair_label.txt").write_text(
        "\n".join(f"{a + 100} {b + 100} {m}" for a, b, m in pairs)
    )
    for name, templates in (
        ("gallery_G1", range(0, 8, 2)),
        ("gallery_G2", range(8, 16, 2)),
        ("probe_mixed", range(1, 16, 2)),
    ):
        lines = ["TEMPLATE_ID,SUBJECT_ID,FILENAME", *(f"{t + 100},{t // 2},img/{t}.png" for t in templates)]
        (folder / "meta" / f"ijbc_1N_{name}.csv").write_text("\n".join(lines))
    return folder


def test_templates(cli: Cli, ijb: Path, faces: np.ndarray, tmp_path: Path) -> None:
    found = []
    for images in ("loose_crop", "crops"):
        out = tmp_path / "figures.json"
        options = ["--data", ijb / images, "--templates", ijb / "meta", "--json", out]
        outcome = cli("evaluate", "--embedder", "dlib_resnet", *options)
        assert outcome.status == 0, outcome.err
        found.append(json.loads(out.read_text()))
        assert "16 templates of 32 images" in outcome.out
    assert found[0].pop("test") != found[1].pop("test")
    assert found[0] == found[1]  # the given landmarks cut out the very crops

    embedder = load_embedder("dlib_resnet", "cpu")
    raw = embedder.embed(faces) + embedder.embed(np.ascontiguousarray(faces[:, :, ::-1]))
    templates = raw.reshape(16, 2, -1).sum(1)
    unit = templates / np.linalg.norm(templates, axis=1, keepdims=True)
    rows, columns = np.tril_indices(16, -1)
    scores, mated = (unit[rows] * unit[columns]).sum(1), rows // 2 == columns // 2
    false_match, true_match, _ = roc_curve(mated, scores, drop_intermediate=False)
    for rate in ("0.1", "0.01"):
        assert found[0]["tar"][rate]["value"] == pytest.approx(true_match[false_match <= float(rate)].max())
    known = [unit[1::2][people] @ unit[::2][people].T for people in (slice(0, 4), slice(4, 8))]
    first = [np.mean(cosines.argmax(1) == np.arange(4)) for cosines in known]
    assert found[0]["rank"]["1"]["value"] == pytest.approx(np.mean(first))
    assert found[0]["galleries"][0]["mated_searches"] == found[0]["galleries"][0]["non_mated_searches"] == 4


def test_wrong_templates(cli: Cli, ijb: Path, tmp_path: Path) -> None:
    images = ["--data", ijb / "crops"]
    assert "no *_face_tid_mid.txt there" in cli("evaluate", *images, "--templates", tmp_path / "absent").error
    both = cli("evaluate", *images, "--templates", ijb / "meta", "--people", tmp_path / "people.txt")
    assert "--templates and --people: give one of them" in both.error
    meta = tmp_path / "meta"
    meta.mkdir()
    (meta / "ijbc_face_tid_mid.txt").write_text("1.png 1 1\n2.png 2 2\n")
    pairs = meta / "ijbc_template_pair_label.txt"
    pairs.write_text("1 2 1\n")
    assert "all comparisons are mated" in cli("evaluate", *images, "--templates", meta).error
    pairs.write_text("1 1 1\n1 3 0\n")
    assert "template 3 has no images" in cli("evaluate", *images, "--templates", meta).error


def test_an_embedder_that_gives_nan(cli: Cli, ijb: Path, tmp_path: Path) -> None:
    network, path, out = (
        create_model("mobilefacenet", pretrained=True),
        tmp_path / "nan.safetensors",
        tmp_path / "out.json",
    )
    with torch.no_grad():
        dict(network.named_parameters())["linear.conv.bias"].fill_(torch.nan)
    weights.save(path, network.state_dict(), replace(load_embedder("mobilefacenet").card, name="nan"))
    options = ["--data", ijb / "crops", "--templates", ijb / "meta", "--json", out]
    outcome = cli("evaluate", "--embedder", path, *options)
    assert outcome.status == 1
    assert "nan: its embedding of 1.png is zero or holds NaN or infinity" in outcome.error
    assert not out.exists()


def test_tinyface(cli: Cli, faces: np.ndarray, tmp_path: Path) -> None:
    """People 0 to 5 are searched, 6 and 7 are distractors."""
    images, out = tmp_path / "Testing_Set", tmp_path / "figures.json"
    for row, crop in enumerate(faces):
        person, number = divmod(row, IMAGES)
        role = "Gallery_Distractor" if person > 5 else "Probe" if number < 2 else "Gallery_Match"
        (images / role).mkdir(parents=True, exist_ok=True)
        Image.fromarray(crop).save(images / role / f"{person if person < 6 else 0}_{row}.png")
    outcome = cli("evaluate", "--embedder", "dlib_resnet", "--data", images, "--no-flip", "--json", out)
    assert outcome.status == 0, outcome.err
    assert "mean average precision" in outcome.out
    found = json.loads(out.read_text())
    assert found["test"]["title"] == "TinyFace: 12 probes in a gallery of 12 images and 8 distractors"
    raw = load_embedder("dlib_resnet", "cpu").embed(faces)
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    people, number = np.divmod(np.arange(len(faces)), IMAGES)
    probe = (people < 6) & (number < 2)
    order = np.argsort(-unit[probe] @ unit[~probe].T, axis=1)
    good = people[~probe][order] == people[probe][:, None]
    for k in (1, 5, 10, 20):
        assert found["rank"][str(k)]["value"] == pytest.approx(good[:, :k].any(1).mean())
    assert len(found["cmc"]) == 20
