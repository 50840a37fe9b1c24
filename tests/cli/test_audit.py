"""`nonesuch audit`: planted faults are found, a clean set is silent, and what cannot be measured is counted."""

import json
import re
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageFilter
from safetensors.numpy import save_file

from nonesuch.audit.figures.catalogue import (
    BRISQUE,
    CLIP_IQA,
    IDENTITY_FIGURES,
    IMAGE_FIGURES,
    INCEPTION,
)
from nonesuch.audit.figures.relevance import RELEVANCE_PART
from nonesuch.audit.judges import brisque
from nonesuch.embedders.embedder import Embedder
from tests.conftest import Cli, succeed
from tests.onnx_networks import pooling_network
from tests.people import faces_of_no_one

PEOPLE, IMAGES = 26, 4
DATA = Path(__file__).parents[1] / "data"
ONE = ("--embedder", "mobilefacenet")
CHANGES = {
    "blurred": lambda picture: picture.filter(ImageFilter.GaussianBlur(1.5)),
    "flipped": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "cropped": lambda picture: picture.crop((5, 5, 108, 108)).resize((112, 112)),
}


@dataclass(frozen=True)
class Audited:
    """The files of an audit, and its folder, whose columns later audits use."""

    figures: dict
    out: Path
    page: str


def _save(crops: np.ndarray, folder: Path, first: int = 0) -> None:
    for row, crop in enumerate(crops):
        person = folder / f"p{first + row // IMAGES:03d}"
        person.mkdir(parents=True, exist_ok=True)
        Image.fromarray(crop).save(person / f"{row % IMAGES}.png")


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """Three times as many people as a set holds: the dataset's, the training set's, the control's."""
    return faces_of_no_one(3 * PEOPLE, 5, IMAGES, sigma=0.5)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory, faces: np.ndarray) -> Path:
    """Folders `faces`, `training`, `control`, and `faulty`: `faces` with one of each fault."""
    folder = tmp_path_factory.mktemp("sets")
    size = PEOPLE * IMAGES
    for number, name in enumerate(("faces", "training", "control")):
        _save(faces[number * size : (number + 1) * size], folder / name, 100 * number)
    faulty = folder / "faulty"
    _save(faces[:size], faulty)
    (faulty / "p003" / "2.png").rename(faulty / "p004" / "moved.png")
    _save(faces_of_no_one(1, 5, 2 * IMAGES, sigma=0.5)[IMAGES:], faulty, 500)  # p500 is p000 again
    recoded = Image.open(faulty / "p007" / "1.png").resize((100, 100)).resize((112, 112))
    recoded.save(faulty / "p008" / "twice.jpg", quality=85)
    draws = np.random.default_rng(0)
    (faulty / "noise").mkdir()
    Image.fromarray(draws.integers(0, 255, (112, 112, 3), dtype=np.uint8)).save(faulty / "noise" / "0.png")
    (faulty / "p009" / "cut.png").write_bytes((faulty / "p009" / "0.png").read_bytes()[:2000])
    (faulty / "small").mkdir()
    Image.new("RGB", (30, 30)).save(faulty / "small" / "0.png")
    (faulty / "empty").mkdir()
    return folder


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what audit.json has: drawing the page's curves takes as long as the rest of a small audit."""
    monkeypatch.setattr("nonesuch.audit.report.draw_all", lambda found: [])


def _audit(cli: Cli, out: Path, *arguments: object) -> dict:
    outcome = cli("audit", *arguments, *ONE, "--out", out)
    assert outcome.status == 0, outcome.err
    return json.loads((out / "audit.json").read_text())


@pytest.fixture(scope="module")
def audited(sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """The clean and the faulty set side by side, beside training photographs and a control."""
    out = tmp_path_factory.mktemp("audited")
    options = ["--against", sets / "training", "--control", sets / "control", *ONE, "--out", out]
    succeed("audit", sets / "faces", sets / "faulty", *options)
    return Audited(json.loads((out / "audit.json").read_text()), out, (out / "report.html").read_text())


def test_a_clean_set_is_silent(audited: Audited) -> None:
    figures = audited.figures["datasets"]["faces"]
    counts = figures["counts"]
    assert (counts["images"], counts["identities"], counts["left_out"]) == (PEOPLE * IMAGES, PEOPLE, 0)
    by = figures["embedders"]["mobilefacenet"]
    assert by["separability"]["at"]["fmr 0.0001"]["count"] == PEOPLE
    assert by["consistency"]["at"]["fmr 0.001"]["mislabelled"] == 0
    assert figures["duplicates"]["images"] == 0
    excess = by["leakage"]["images"]["excess"]["control 0.01"]
    assert excess["low"] <= 0 <= excess["high"]
    colours = {(light["about"], light["by"]): light["colour"] for light in figures["verdict"]}
    told = {(light["about"], light["by"]): light["told"] for light in figures["verdict"]}
    by_embedder = [(about, "mobilefacenet") for about in ("no identity twice", "strangers are strangers", "EER")]
    for light in (*by_embedder, ("no picture twice", ""), ("every image shows a face", "")):
        # None of 26 identities is up to 11.5% by the rule of three.
        assert colours[light] == "green" or (colours[light] == "amber" and "cannot tell" in told[light]), told[light]
    assert colours["no identity twice", "mobilefacenet"] == "amber"
    assert colours["no copy of a training photograph", "mobilefacenet"] == "green"
    assert colours["no identity matches a training person", "mobilefacenet"] in ("green", "amber")
    # Of 26 identities, the share of leaked images among images like these cannot be told.
    assert colours["few images nearer to the training set than strangers'", "mobilefacenet"] == "amber"


def test_every_figure_is_where_the_list_says(audited: Audited) -> None:
    figures = audited.figures["datasets"]["faces"]
    brought = (BRISQUE, CLIP_IQA, INCEPTION)
    listed = [(item, figures["embedders"]["mobilefacenet"]) for item in IDENTITY_FIGURES]
    listed += [
        (item, figures)
        for item in IMAGE_FIGURES
        if item not in brought and item.part not in ("balance", INCEPTION.part, RELEVANCE_PART)
    ]
    for item, part in listed:
        assert item.family(part)
        assert all(item.told(part, key) for key in item.family(part))


def test_planted_faults_are_found(audited: Audited) -> None:
    figures = audited.figures["datasets"]["faulty"]
    counts = figures["counts"]
    assert counts["found"] == PEOPLE * IMAGES + IMAGES + 4
    assert counts["left_out"] == 2
    assert counts["lost_identities"] == 1
    assert counts["empty_folders"] == 1
    assert counts["single_image_identities"] == 1
    assert any("cut.png" in problem for problem in counts["problems"])
    assert any("small/0.png" in problem for problem in counts["problems"])
    by = figures["embedders"]["mobilefacenet"]
    assert by["separability"]["at"]["fmr 0.0001"]["count"] == counts["identities"] - 1
    assert by["separability"]["twice"]["identities"] == 2
    assert (
        audited.figures["datasets"]["faces"]["embedders"]["mobilefacenet"]["separability"]["twice"]["identities"] == 0
    )
    closest = by["separability"]["closest"][0]
    assert {closest["first"], closest["second"]} == {"p000", "p500"}
    wrong = by["consistency"]["at"]["fmr 0.001"]["mislabelled_images"]
    assert ("p004/moved.png", "p003") in {(row["file"], row["nearest_other"]) for row in wrong}
    assert {row["file"] for row in wrong} == {"p004/moved.png", "p008/twice.jpg"}
    pairs = {(row["first"], row["second"]) for row in figures["duplicates"]["pairs"]}
    assert pairs == {("p007/1.png", "p008/twice.jpg")}
    assert figures["duplicates"]["across_identities"] == 1
    assert figures["quality"]["faceless"] == ["noise/0.png"]


def test_what_is_said_of_each_image(audited: Audited) -> None:
    table = pq.read_table(audited.out / "faulty.audit.parquet")
    assert audited.figures["datasets"]["faulty"]["columns_written_to"] == str(audited.out / "faulty.audit.parquet")
    rows = {row["file"]: row for row in table.to_pylist()}
    assert len(rows) == audited.figures["datasets"]["faulty"]["counts"]["found"]
    assert rows["p004/moved.png"]["own_mobilefacenet"] < 0.4 < rows["p004/moved.png"]["other_mobilefacenet"]
    assert rows["p009/cut.png"]["own_mobilefacenet"] is None
    assert rows["noise/0.png"]["face"] is False
    assert rows["p001/0.png"]["identity"] == "p001"
    assert -1 < rows["p001/0.png"]["training_mobilefacenet"] < 0.7


def test_the_report_opens_offline_and_shows_no_photographs(audited: Audited) -> None:
    page = audited.page
    assert page.rstrip().endswith("</html>")
    assert "<script" not in page
    assert "<img" not in page  # folders may hold photographs of real people
    assert "--show-photographs" in page
    assert "FID (--inception), BRISQUE (--brisque), CLIP-IQA (--clip-iqa)" in page
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)
    assert page.count("<svg") == 6
    for told in ("p000 and p500", "p004/moved.png", "Verdict on faulty"):
        assert told in page


def test_a_shared_look_stands_beside_real_people(audited: Audited) -> None:
    """The training set's people and these come from one generator: they look alike in kind."""
    found = audited.figures["datasets"]["faces"]["attributes"]
    assert len(found["shares"]) == 40
    for share in found["shares"].values():
        for of in (share, share["real"]):
            assert 0 <= of["images"]["low"] <= of["images"]["value"] <= of["images"]["high"] <= 1
            assert 0 <= of["within"]["p5"] <= of["within"]["p95"] <= 1
    assert found["over_frequent"]["count"] == len(found["over_frequent"]["names"]) <= 2
    assert "A shared look" in audited.page
    assert "five o clock" in audited.page or "5 o clock shadow" in audited.page
    assert "Look-alikes" in audited.page


def test_the_report_begins_with_a_summary_and_the_worst(audited: Audited) -> None:
    page = audited.page
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings[:3] == ["Summary", "Verdict on faces", "Verdict on faulty"]
    for part in re.findall(r"<h2>Verdict on.*?</table>", page, flags=re.S):
        colours = re.findall(r'class="light (\w+)"', part)
        assert colours == sorted(colours, key=("red", "amber", "grey", "green").index)
    sections = re.findall(r'<th class="section"[^>]*>(.*?)</th>', page)
    assert "Are identities different people?" in sections
    assert "How good are the images?" in sections
    assert "share of mated" in page or "Vendi score" in page
    text = re.sub(r"<svg.*?</svg>|<style.*?</style>|<[^>]+>|arXiv [\d.]+", " ", page, flags=re.S)
    assert "FMR 1e-4" in text
    assert not re.search(
        r"fmr 0|FMR 0\.|[1-9]\d*\.\d{4}|\b0\.0*[1-9]\d{4}", text
    )  # rates by one name, figures with four digits
    assert "overflow-wrap: anywhere" not in re.sub(r"\.name \{.*?\}|figcaption \{.*?\}", "", page)  # no broken words


def test_leaked_photographs_are_found(cli: Cli, sets: Path, audited: Audited, faces: np.ndarray) -> None:
    """One image each of fifteen people is a training photograph, blurred, flipped or cropped again."""
    size = PEOPLE * IMAGES
    crops = faces[:size].copy()
    changes = list(CHANGES.values()) * 5
    for number, change in enumerate(changes):
        crops[number * IMAGES] = np.asarray(change(Image.fromarray(faces[size + number * IMAGES])))
    _save(crops, sets / "leaky")
    options = ["--against", sets / "training", "--control", sets / "control"]
    found = _audit(cli, audited.out, sets / "leaky", *options)["datasets"]["leaky"]
    leakage = found["embedders"]["mobilefacenet"]["leakage"]["images"]
    excess = leakage["excess"]["control 0.01"]
    assert excess["low"] > 0.05
    assert excess["value"] == pytest.approx(len(changes) / size, abs=0.05)
    assert 5 <= leakage["copies"] <= len(changes)
    planted = {(f"p{number:03d}/0.png", f"p{100 + number:03d}/0.png") for number in range(len(changes))}
    assert {(row["file"], row["nearest"]) for row in leakage["worst"]} <= planted
    colours = {light["about"]: light["colour"] for light in found["verdict"]}
    assert colours["no copy of a training photograph"] == "red"
    assert colours["few images nearer to the training set than strangers'"] == "red"


def test_a_training_person_in_other_photographs_is_a_suspect(cli: Cli, sets: Path, audited: Audited) -> None:
    """Five strangers and p500, who is p000 of the training set in other images."""
    for name, source in (("p500", "faulty"), *((f"p{number}", "control") for number in range(200, 205))):
        shutil.copytree(sets / source / name, sets / "six" / name)
    options = ["--against", sets / "faces", "--control", sets / "training"]
    found = _audit(cli, audited.out, sets / "six", *options)["datasets"]["six"]
    listed = found["embedders"]["mobilefacenet"]["leakage"]["identities"]["worst"]
    assert [(row["identity"], row["nearest"]) for row in listed if row["suspect"]] == [("p500", "p000")]
    light = next(row for row in found["verdict"] if row["about"] == "no identity matches a training person")
    assert (light["colour"], light["told"]) == ("red", "1 suspects")
    assert "p500 and training person p000" in (audited.out / "report.html").read_text()


@pytest.mark.usefixtures("no_pictures")
def test_a_dataset_of_ours_gets_columns_once(cli: Cli, tiny_generator: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    made = ["--identities", 3, "--images", 4, "--generator", tiny_generator, "--no-summary", "--max-similarity", 1]
    assert cli("generate", data, *made).status == 0
    assert cli("audit", data, *ONE, "--out", out).status == 0
    written = {path: path.stat().st_mtime_ns for path in data.rglob("columns/*/*.parquet") if "audit" not in path.parts}
    assert {path.parent.name for path in written} >= {"embedding_mobilefacenet", "pixels", "perception", "face"}
    first = (out / "audit.json").read_text()
    assert "<img" in (out / "report.html").read_text()  # its manifest says that it shows no one
    assert cli("audit", data, *ONE, "--out", out).status == 0
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert (out / "audit.json").read_text() == first
    assert pq.read_table(data / "columns" / "audit").column_names[:2] == ["key", "own_mobilefacenet"]
    assert cli("verify", data).status == 0
    assert cli("perceive", data).out.startswith(f"{data / 'columns' / 'perception'}: 0 images")


@pytest.mark.usefixtures("no_pictures")
def test_a_sample_of_whole_identities(cli: Cli, tiny_generator: Path, tmp_path: Path) -> None:
    """Its figures are those of these identities alone, say so, and leave nothing beside the shards."""
    data, out = tmp_path / "data", tmp_path / "out"
    made = ["--identities", 6, "--images", 3, "--generator", tiny_generator, "--no-summary", "--max-similarity", 1]
    assert cli("generate", data, *made).status == 0
    sampled = cli("audit", data, *ONE, "--out", out, "--identities", 3, "--seed", 5)
    assert (sampled.status, "3 identities of a sample, of 6 in all, 9 images" in sampled.out) == (0, True)
    figures = json.loads((out / "audit.json").read_text())["datasets"]["data"]
    assert figures["sample"] == {"identities": 3, "of": 6, "seed": 5}
    assert "images_sha256" not in figures  # no release takes its verdict for the dataset's
    assert "All figures are of a sample: 3 of 6 identities, seed 5." in (out / "report.html").read_text()
    assert not (data / "columns").exists()
    table = pq.read_table(out / "data.audit.parquet")
    drawn = set(table["identity"].to_pylist())
    assert (len(drawn), len(table)) == (3, 9)
    for person in {f"{number:07d}" for number in range(6)} - drawn:
        assert f"{person}/" not in str(table["file"].to_pylist())
    with tarfile.open(data / "shards" / "000000.tar") as tar:
        names = [name for name in tar.getnames() if name.endswith(".jpg") and name.split("/")[0] in drawn]
        for name in names:
            (tmp_path / "few" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "few" / name).write_bytes(tar.extractfile(name).read())  # type: ignore[union-attr]
    assert len(names) == 9
    alone = _audit(cli, tmp_path / "alone", tmp_path / "few", *ONE)["datasets"]["few"]
    for part in ("embedders", "balance", "quality", "variation", "duplicates"):
        assert figures[part] == alone[part]
    assert _audit(cli, out, data, *ONE, "--identities", 6)["datasets"]["data"].get("sample") is None
    assert "leave --identities out" in cli("audit", data, "--identities", 2, "--relevance", "flip_small").error


@pytest.mark.usefixtures("no_pictures")
def test_requirements_decide_the_exit_status(cli: Cli, sets: Path, audited: Audited) -> None:
    options = [sets / "faces", *ONE, "--out", audited.out]
    assert cli("audit", *options, "--require", "eer<=0.2", "--require", "duplicates/images==0").status == 0
    outcome = cli("audit", *options, "--require", "eer<=0.2", "--require", f"counts/identities>{PEOPLE}")
    assert outcome.status == 1
    assert f"identities>{PEOPLE} does not hold" in outcome.error
    kept = json.loads((audited.out / "audit.json").read_text())["requirements"]
    assert [row["holds"] for row in kept] == [True, False]
    assert "no figure 'eerr'" in cli("audit", *options, "--require", "eerr<1").error
    assert "write it as" in cli("audit", *options, "--require", "eer").error


def test_sets_of_which_little_can_be_said(cli: Cli, faces: np.ndarray, tmp_path: Path) -> None:
    _save(faces[:IMAGES], tmp_path / "one")
    alone = _audit(cli, tmp_path / "out", tmp_path / "one")["datasets"]["one"]["embedders"]["mobilefacenet"]
    assert "takes two" in alone["separability"]["unknown"]
    assert "non-mated comparisons need two" in alone["study"]["unknown"]
    for number in range(3):
        (tmp_path / "single" / str(number)).mkdir(parents=True)
        Image.fromarray(faces[number * IMAGES]).save(tmp_path / "single" / str(number) / "0.png")
    single = _audit(cli, tmp_path / "out", tmp_path / "single")["datasets"]["single"]
    assert single["counts"]["single_image_identities"] == 3
    assert "two images" in single["embedders"]["mobilefacenet"]["consistency"]["unknown"]
    assert {light["colour"] for light in single["verdict"] if light["about"] == "EER"} == {"grey"}


@pytest.mark.usefixtures("no_pictures")
def test_embeddings_that_are_not_finite_are_counted(
    cli: Cli, faces: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _save(faces[: 3 * IMAGES], tmp_path / "faces")
    embed = Embedder.embed

    def broken(self: Embedder, crops: np.ndarray, batch: int = 64) -> np.ndarray:
        found = embed(self, crops, batch)
        found[0] = np.nan
        return found

    monkeypatch.setattr(Embedder, "embed", broken)
    counts = _audit(cli, tmp_path / "out", tmp_path / "faces")["datasets"]["faces"]["counts"]
    assert counts["left_out"] == 1
    assert "mobilefacenet's embedding is zero or not finite" in counts["problems"][0]


@pytest.mark.usefixtures("no_pictures")
def test_shares_against_a_target(cli: Cli, sets: Path, tmp_path: Path, audited: Audited) -> None:
    target = tmp_path / "target.json"
    target.write_text('{"gender": {"female": 1.0}}')
    figures = _audit(cli, audited.out, sets / "faces", "--target", target)["datasets"]["faces"]
    gender = figures["balance"]["gender"]
    assert gender["distance"]["value"] == pytest.approx(gender["shares"]["male"]["value"])
    assert any(light["about"] == "gender as wanted" for light in figures["verdict"])
    for text, told in (
        ('{"hair": {}}', "the groupings are"),
        ('{"gender": {"x": 1}}', "the groups are"),
        ("{", "JSON"),
    ):
        target.write_text(text)
        outcome = cli("audit", sets / "faces", *ONE, "--out", audited.out, "--target", target)
        assert outcome.status == 1
        assert told in outcome.error


def test_judges_whose_files_a_user_brings(cli: Cli, sets: Path, audited: Audited, tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).normal(size=(12, 2048))
    inception = pooling_network(tmp_path / "inception.onnx", 299, matrix, 149)
    clip = pooling_network(tmp_path / "clip.onnx", 224, np.eye(3), 224)
    save_file({"good": np.array([1, 0, 0], "f4"), "bad": np.array([0, 0, 1], "f4")}, tmp_path / "prompts.safetensors")
    options = ["--inception", inception, "--clip-iqa", clip, tmp_path / "prompts.safetensors"]
    options += ["--brisque", DATA / "brisque_small.model", DATA / "brisque_small.range"]
    options += ["--against", sets / "training", "--control", sets / "control"]
    figures = _audit(cli, audited.out, sets / "faces", *options)["datasets"]["faces"]
    assert figures["fid"]["name"].startswith("FID by inception.onnx, sha256")
    assert figures["fid"]["frechet_distance_images"] == PEOPLE * IMAGES
    crops = [np.asarray(Image.open(path)) for path in sorted((sets / "faces").rglob("*.png"))]
    expected = np.nanmean(brisque.regression(*options[6:8])(brisque.features(np.stack(crops))))
    assert figures["quality"]["brisque"]["mean"]["value"] == pytest.approx(expected, rel=1e-5)
    assert 0.0 <= figures["quality"]["clip_iqa"]["mean"]["value"] <= 1.0
    for item in IMAGE_FIGURES:
        if item.part in (INCEPTION.part, "quality"):
            assert item.told(figures)
    page = (audited.out / "report.html").read_text()
    assert all(told in page for told in ("brisque: mean", "clip_iqa: mean", "FID of held-out photographs"))
    assert "Left out because" not in page
    outcome = cli("audit", sets / "faces", *ONE, "--out", audited.out, "--inception", inception)
    assert "go with --against" in outcome.error


@pytest.mark.usefixtures("no_pictures")
def test_what_has_changed_is_looked_at_again(cli: Cli, faces: np.ndarray, tmp_path: Path) -> None:
    """Another picture of equal name and size; another precision. The table beside a tar stays the user's."""
    folder, out = tmp_path / "faces", tmp_path
    (folder / "a").mkdir(parents=True)
    for row in range(4):
        Image.fromarray(faces[row]).save(folder / "a" / f"{row}.bmp")
    (tmp_path / "faces.parquet").write_text("the user's")
    first = _audit(cli, out, folder)["datasets"]["faces"]["embedders"]["mobilefacenet"]["consistency"]["own"]["value"]
    Image.fromarray(faces[9]).save(folder / "a" / "0.bmp")
    second = _audit(cli, out, folder)["datasets"]["faces"]["embedders"]["mobilefacenet"]["consistency"]["own"]["value"]
    assert second < first - 0.05
    coarse = _audit(cli, out, folder, "--dtype", "bfloat16")["datasets"]["faces"]["embedders"]["mobilefacenet"]
    assert 0 < abs(coarse["consistency"]["own"]["value"] - second) < 0.02
    assert (tmp_path / "faces.parquet").read_text() == "the user's"


def test_wrong_use(cli: Cli, sets: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out")
    assert "no such file" in cli("audit", tmp_path / "absent", *ONE, *out).error
    assert "go with --against" in cli("audit", sets / "faces", "--control", sets / "control", *out).error
    names = tmp_path / "names.txt"
    names.write_text("p100\nnobody\n")
    options = ["--against", sets / "training", "--held-out", names]
    assert "shows no nobody (1 of 2" in cli("audit", sets / "faces", *options, *ONE, *out).error
    options = ["--against", sets / "training", "--control", sets / "training"]
    assert "must show other people" in cli("audit", sets / "faces", *options, *ONE, *out).error
    assert "given twice" in cli("audit", sets / "faces", sets / "faces", sets / "faces", *ONE, *out).error
    (tmp_path / "file").write_text("")
    assert "a file stands" in cli("audit", sets / "faces", *ONE, "--out", tmp_path / "file").error
    (tmp_path / "junk" / "a").mkdir(parents=True)
    (tmp_path / "junk" / "a" / "0.png").write_bytes(b"junk")
    assert "none of 1 images can be used" in cli("audit", tmp_path / "junk", *ONE, *out).error
    assert "ships no weights" in cli("audit", sets / "faces", "--embedder", "nobody", *out).error


def test_training_photographs_of_two_sources_of_equal_names(
    cli: Cli, sets: Path, audited: Audited, faces: np.ndarray, tmp_path: Path
) -> None:
    """Both hold p100/0.png; only the second's is the leaked one, and the page shows that one when it is asked to."""
    size = PEOPLE * IMAGES
    _save(faces[:IMAGES], tmp_path / "<leak>")
    Image.fromarray(faces[size]).save(tmp_path / "<leak>" / "p000" / "0.png")
    _save(faces[-IMAGES:], tmp_path / "other", 100)
    options = ["--against", tmp_path / "other", "--against", sets / "training", "--show-photographs"]
    worst = _audit(cli, tmp_path / "out", tmp_path / "<leak>", *options)["datasets"]["<leak>"]["embedders"]
    assert worst["mobilefacenet"]["leakage"]["images"]["worst"][0]["nearest"] == "training: p100/0.png"
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<img" in page
    assert "<leak>" not in page  # names are text, not tags
    assert "&lt;leak&gt;" in page
