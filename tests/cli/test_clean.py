"""nonesuch clean: planted errors are found through the command line, and what a person answers is heeded."""

import csv
import io
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from nonesuch.core import weights
from nonesuch.embedders.embedder import EmbedderCard
from nonesuch.models import ASSETS, create_model
from tests.conftest import Cli, Outcome
from tests.people import faces_of_no_one

PEOPLE, IMAGES = 6, 5


def _save(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """(6, 5, 112, 112, 3) uint8."""
    return faces_of_no_one(PEOPLE, 5, IMAGES, 2.5).reshape(PEOPLE, IMAGES, 112, 112, 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, faces: np.ndarray) -> Path:
    """People A to F; an image of B under A, the sixth person under two names, a copy, and files that show no face."""
    root = tmp_path_factory.mktemp("clean") / "photographs"
    for person in range(PEOPLE):
        for image in range(IMAGES):
            name = "G" if (person, image >= 3) == (5, True) else "ABCDEF"[person]
            _save(faces[person, image], root / name / f"{image}.png")
    (root / "B" / "4.png").rename(root / "A" / "flipped.png")
    buffer = io.BytesIO()
    Image.fromarray((faces[2, 0] * 0.9).astype(np.uint8)).save(buffer, "JPEG", quality=80)
    (root / "C" / "copy.jpg").write_bytes(buffer.getvalue())
    (root / "D" / "broken.png").write_bytes(b"no image")
    _save(np.full((200, 200, 3), 90, np.uint8), root / "E" / "blank.png")
    return root


def _log(out: Path) -> list[dict[str, str]]:
    with (out / "decisions.csv").open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def _kept(out: Path) -> dict[str, str]:
    table = pq.read_table(out / "cleaned.parquet")
    return dict(zip(table["file"].to_pylist(), table["identity"].to_pylist(), strict=True))


def _answers(path: Path, *rows: tuple[str, str, str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([("question", "one", "other", "answer"), *rows])
    return path


class _Page(HTMLParser):
    """Questions, sources and tags of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.questions: list[tuple[str | None, ...]] = []
        self.sources: list[str] = []
        self.tags: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        found = dict(attrs)
        if found.get("class") == "case":
            self.questions.append((found["data-question"], found["data-one"], found["data-other"]))
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]


@pytest.fixture
def cleaned(cli: Cli, folder: Path, tmp_path: Path) -> tuple[Path, Outcome]:
    """The folder that the command wrote, and its output."""
    out = tmp_path / "out"
    outcome = cli("clean", folder, "--out", out)
    assert outcome.status == 0, outcome.err
    return out, outcome


def test_planted_errors_are_found(cleaned: tuple[Path, Outcome], folder: Path) -> None:
    out, outcome = cleaned
    kept = _kept(out)
    assert kept["A/flipped.png"] == "B"
    assert {kept[f"G/{image}.png"] for image in (3, 4)} == {"F"}
    assert not {"C/copy.jpg", "D/broken.png", "E/blank.png"} & set(kept)
    assert len(kept) == PEOPLE * IMAGES
    assert {(row["file"], row["action"], row["before"], row["after"], row["other"]) for row in _log(out)} == {
        ("D/broken.png", "unreadable", "D", "", ""),
        ("E/blank.png", "no face", "E", "", ""),
        ("A/flipped.png", "move", "A", "B", ""),
        ("G/3.png", "merge", "G", "F", ""),
        ("G/4.png", "merge", "G", "F", ""),
        ("C/copy.jpg", "duplicate", "C", "", "C/0.png"),
    }
    assert {row["by"] for row in _log(out)} == {"model"}
    metadata = pq.read_schema(out / "cleaned.parquet").metadata
    assert metadata[b"source"].decode() == str(folder)
    assert metadata[b"embedder"] == b"mobilefacenet"
    assert metadata[b"same"] == b"0.457"
    for title, number in {
        "images moved": "1",
        "identities merged": "1",
        "duplicates": "1",
        "unreadable": "1",
        "without a face": "1",
        "identities": "7 -> 6",
        "images": "33 -> 30",
        "stable": "yes",
    }.items():
        assert re.search(rf"│ {title} +│ {number} +│", outcome.out), title
    assert "personal data" in outcome.out


def test_the_page_is_whole_and_needs_nothing_from_elsewhere(cleaned: tuple[Path, Outcome]) -> None:
    text = (cleaned[0] / "review.html").read_text(encoding="utf-8")
    page = _Page(cleaned[0] / "review.html")
    assert text.rstrip().endswith("</html>")
    assert 0 < len(page.questions) <= 100
    assert len(set(page.questions)) == len(page.questions)
    assert {question[0] for question in page.questions} == {"image", "people", "picture"}
    assert ("people", "F", "G") in page.questions
    assert all(source.startswith("data:image/jpeg;base64,/9j/") for source in page.sources)
    assert not {"link", "iframe", "object"} & page.tags
    assert "http" not in text
    assert "personal data" in text


def test_a_border_case_goes_the_way_that_a_person_says(
    cli: Cli, cleaned: tuple[Path, Outcome], folder: Path, tmp_path: Path
) -> None:
    _, out = cleaned, tmp_path / "again"
    said = [
        ("image", "A/flipped.png", "A", "yes"),
        ("image", "B/0.png", "B", "no"),
        ("people", "G", "F", "no"),
        ("people", "C", "D", "yes"),
        ("picture", "C/0.png", "C/copy.jpg", "no"),
        ("picture", "E/1.png", "E/0.png", "yes"),
    ]
    outcome = cli("clean", folder, "--out", out, "--answers", _answers(tmp_path / "answers.csv", *said))
    assert outcome.status == 0, outcome.err
    kept = _kept(out)
    assert kept["A/flipped.png"] == "A"
    assert kept.get("B/0.png") != "B"
    assert kept["G/3.png"] == "G"
    assert kept["D/0.png"] == "C"
    assert "C/copy.jpg" in kept
    assert "E/1.png" not in kept
    by_person = {(row["file"], row["action"]) for row in _log(out) if row["by"] == "person"}
    assert by_person >= {
        ("A/flipped.png", "is of"),
        ("B/0.png", "is not of"),
        ("G", "two people"),
        ("C", "one person"),
        ("C/0.png", "other picture"),
        ("E/1.png", "same picture"),
        ("E/1.png", "duplicate"),
        ("D/0.png", "merge"),
    }
    asked = _Page(out / "review.html").questions
    assert asked
    assert not {(question, *sorted(names)) for question, *names in asked} & {
        (question, *sorted(names)) for question, *names, _ in said
    }


def test_the_answer_yes_to_what_the_model_left_open(cli: Cli, folder: Path, tmp_path: Path) -> None:
    """At a threshold that nothing reaches each image but one of an identity is dropped; a person brings one back."""
    plain, told = tmp_path / "plain", tmp_path / "told"
    strict = ["--same", 0.999, "--merge", 0.9999]
    assert cli("clean", folder, "--out", plain, *strict).status == 0
    assert "A/1.png" not in _kept(plain)
    answers = _answers(tmp_path / "answers.csv", ("image", "A/1.png", "A", "yes"))
    assert cli("clean", folder, "--out", told, *strict, "--answers", answers).status == 0
    assert _kept(told)["A/1.png"] == "A"


def test_the_manifest_is_used_at_once(cli: Cli, cleaned: tuple[Path, Outcome], tmp_path: Path) -> None:
    manifest = cleaned[0] / "cleaned.parquet"
    outcome = cli("embed", manifest, "--out", tmp_path / "vectors.parquet")
    assert outcome.status == 0, outcome.err
    table = pq.read_table(tmp_path / "vectors.parquet")
    assert dict(zip(table["file"].to_pylist(), table["identity"].to_pylist(), strict=True)) == _kept(cleaned[0])
    outcome = cli("evaluate", "--data", manifest)
    assert outcome.status == 0, outcome.err
    small = ["--preset", "tiny", "--epochs", 1]
    outcome = cli("recognize", "train", tmp_path / "run", "--data", manifest, *small)
    assert outcome.status == 0, outcome.err
    assert "30 images of 6 identities" in (tmp_path / "run" / "tiny.json").read_text()
    again = cli("clean", manifest, "--out", tmp_path / "second")
    assert again.status == 0, again.err
    assert _log(tmp_path / "second") == []
    refused = cli("clean", manifest, "--out", cleaned[0])
    assert refused.status == 1
    assert "would be replaced" in refused.error


def test_one_image_of_each(cli: Cli, faces: np.ndarray, tmp_path: Path) -> None:
    for person in range(3):
        _save(faces[person, 0], tmp_path / "singles" / f"{person}.png")
    outcome = cli("clean", tmp_path / "singles", "--out", tmp_path / "out")
    assert outcome.status == 0, outcome.err
    assert "each identity has one image" in outcome.out
    assert len(_kept(tmp_path / "out")) == 3


def test_without_the_extra(cli: Cli, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    for module in ("cleaning.review", "pages.page"):
        monkeypatch.delitem(sys.modules, f"nonesuch.{module}", raising=False)
    outcome = cli("clean", folder, "--out", tmp_path / "out")
    assert outcome.status == 0, outcome.err
    assert 'review.html: left out, it needs jinja2: pip install "nonesuch[report]"' in outcome.out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["cleaned.parquet", "decisions.csv"]


def test_embeddings_that_are_no_numbers_stop_nothing(cli: Cli, folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = create_model("mobilefacenet", pretrained=True)
    for parameter in network.parameters():
        parameter.data.mul_(1e9)
    shipped = weights.read_card(ASSETS / "mobilefacenet.safetensors", EmbedderCard)
    path = tmp_path / "broken.safetensors"
    weights.save(path, network.state_dict(), shipped)
    outcome = cli("clean", folder, "--out", tmp_path / "out", "--embedder", path)
    assert outcome.status == 1
    assert "none of 33 images can be compared" in outcome.error


def test_bad_input(cli: Cli, folder: Path, tmp_path: Path) -> None:
    file, empty = tmp_path / "file", tmp_path / "empty"
    file.write_text("x")
    empty.mkdir()
    answers = _answers(tmp_path / "answers.csv", ("image", "A/absent.png", "A", "yes"))
    out = ["--out", tmp_path / "out"]
    for arguments, reason in [
        ([empty, *out], "no images"),
        ([tmp_path / "absent", *out], "no such file"),
        ([folder, "--out", file], "a file stands where a folder is needed"),
        ([folder, *out, "--answers", file], "lacks the column question"),
        ([folder, *out, "--answers", answers], "is about the image A/absent.png"),
        ([folder, *out, "--fmr", "1e-3", "--same", "0.4"], "give one of them"),
        ([folder, *out, "--fmr", "1e-2"], "no threshold of mobilefacenet is known at FMR 0.01"),
        ([folder, *out, "--merge", "0.3"], "is below the cosine of one person"),
    ]:
        outcome = cli("clean", *arguments)
        assert outcome.status == 1
        assert reason in outcome.error
    assert not (tmp_path / "out" / "cleaned.parquet").exists()


@pytest.mark.parametrize(("size", "left"), [(3000, []), (30_000, ["decisions.csv"])])
def test_a_full_disk_leaves_nothing_half_written(folder: Path, tmp_path: Path, size: int, left: list[str]) -> None:
    limited = f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size})); "
    limited += "from nonesuch.cli.app import main; "
    limited += "sys.argv = ['nonesuch', 'clean', sys.argv[1], '--out', sys.argv[2]]; main()"
    command = [sys.executable, "-c", limited, str(folder), str(tmp_path / "out")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1
    errors = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "no space left" in errors[0]
    assert "Traceback" not in run.stderr
    assert [path.name for path in (tmp_path / "out").glob("*")] == left


def test_photographs_are_cleaned_aligned_and_trained_on(cli: Cli, faces: np.ndarray, tmp_path: Path) -> None:
    """The chain of the docs: planted errors in photographs of any size are still put right in the crops."""
    photographs = tmp_path / "photographs"
    for person in range(4):
        for image in range(3):
            canvas = Image.new("RGB", (300, 280), (110, 110, 110))
            canvas.paste(Image.fromarray(faces[person, image]).resize((224, 224), Image.Resampling.BICUBIC), (40, 30))
            label = "ABAC"[person] if (person, image) == (2, 2) else "ABCD"[person]  # an image of C under A
            _save(np.asarray(canvas), photographs / label / f"{person}{image}.png")
    (photographs / "D" / "32.png").rename(photographs / "32.png")  # and one of D under its own name
    outcome = cli("clean", photographs, "--out", tmp_path / "cleaned")
    assert outcome.status == 0, outcome.err
    manifest, crops = tmp_path / "cleaned" / "cleaned.parquet", tmp_path / "crops"
    kept = _kept(tmp_path / "cleaned")
    assert kept["A/22.png"] == "C"
    assert kept["32.png"] == kept["D/30.png"]
    options = ["--preset", "tiny", "--epochs", 1, "--batch", 4]
    refused = cli("recognize", "train", tmp_path / "run", "--data", manifest, *options)
    assert "make them with 'nonesuch embed IN --crops FOLDER'" in refused.error
    outcome = cli("embed", manifest, "--out", tmp_path / "vectors.parquet", "--crops", crops)
    assert outcome.status == 0, outcome.err
    table = pq.read_table(tmp_path / "vectors.parquet")
    labels = dict(zip(table["file"].to_pylist(), table["identity"].to_pylist(), strict=True))
    found = {path.stem: path.relative_to(crops).parts[0] for path in crops.rglob("*.png")}
    assert found == {Path(name).stem: identity for name, identity in labels.items()}
    outcome = cli("recognize", "train", tmp_path / "run2", "--data", crops, *options)
    assert outcome.status == 0, outcome.err
    assert "12 images of 4 identities" in (tmp_path / "run2" / "tiny.json").read_text()
