"""`nonesuch flip train` and `nonesuch search` on planted pictures: words become what they were planted on."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from torch import Tensor

import nonesuch
from nonesuch.flip.pretraining import FlipPretraining
from nonesuch.formats.columns import read_columns
from nonesuch.formats.readers import find
from nonesuch.loop.trainer import Batch
from tests.conftest import Cli, succeed
from tests.people import planted_person

# What is planted on which pictures: person i's facts.
FACTS = (["male", "wearing_hat"], ["female", "smiling"], ["male", "eyeglasses"], ["female", "blond_hair"])
IMAGES = 8


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four people who are patterns of colours, and a table of captions beside it."""
    folder = tmp_path_factory.mktemp("flip")
    rows = []
    for person, facts in enumerate(FACTS):
        planted_person(folder / "faces", person, range(IMAGES))
        rows += [(f"person{person}/{image:02d}.png", " ".join(facts), facts) for image in range(IMAGES)]
    pq.write_table(
        pa.table({name: [row[place] for row in rows] for place, name in enumerate(("file", "caption", "facts"))}),
        folder / "captions.parquet",
    )
    return folder


@pytest.fixture(scope="module")
def trained(faces: Path) -> Path:
    options = ("--data", faces / "faces", "--captions", faces / "captions.parquet", "--preset", "flip_tiny")
    succeed("flip", "train", faces / "run", *options, "--images-seen", 5600, "--batch", 16, "--lr", 2e-3)
    return faces / "run" / "flip_tiny.safetensors"


def _top(cli: Cli, trained: Path, *args: object) -> list[str]:
    found = trained.parents[1] / "found.json"
    outcome = cli("search", trained.parents[1] / "faces", *args, "--model", trained, "--json", found, "--top", IMAGES)
    assert outcome.status == 0, outcome.err
    return [image["identity"] for image in json.loads(found.read_text())["images"]]


@pytest.mark.parametrize(
    ("query", "person"),
    [("man in a hat", 0), ("a smiling woman", 1), ("guy with glasses", 2), ("blonde woman", 3)],
)
def test_words_find_what_they_were_planted_on(
    cli: Cli, trained: Path, query: str, person: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _top(cli, trained, query).count(f"person{person}") >= IMAGES - 1


def test_an_image_finds_its_like_and_both_count(
    cli: Cli, trained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    like = trained.parents[1] / "faces" / "person2" / "00.png"
    assert _top(cli, trained, "--like", like) == ["person2"] * IMAGES
    assert _top(cli, trained, "man in a hat", "--like", like, "--text-share", 0).count("person2") == IMAGES
    assert _top(cli, trained, "man in a hat", "--like", like, "--text-share", 1).count("person0") >= IMAGES - 1


def test_both_are_told_on_the_terminal_and_in_a_picture(
    cli: Cli, trained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, sheet = trained.parents[1] / "faces", tmp_path / "found.png"
    outcome = cli("search", folder, "woman zqxj", "--model", trained, "--out", sheet, "--top", 12)
    assert outcome.status == 0, outcome.err
    assert "the best of 32 images; 2 more in --json or --out" in outcome.out
    assert "words that the model does not know: zqxj" in outcome.out
    with Image.open(sheet) as picture:
        assert picture.size == (10 * 114 - 2, 2 * 114 - 2)
    # The vectors of the folder are in the cache, and are not made again.
    kept = sorted((tmp_path / "search_cache").rglob("*.parquet"))
    assert [path.parent.name for path in kept] == ["text_image"]
    written = kept[0].stat().st_mtime_ns
    assert cli("search", folder, "woman", "--model", trained).status == 0
    assert kept[0].stat().st_mtime_ns == written


def test_a_dataset_keeps_its_vectors_and_is_learned_from(
    cli: Cli, trained: Path, tiny_generator: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--identities", 6, "--images", 1, "--shard-images", 2, "--no-summary", "--generator", tiny_generator]
    assert cli("generate", "faces", *options).status == 0
    assert (
        "lacks the columns captions; run 'nonesuch caption faces'"
        in cli("flip", "train", "run", "--data", "faces", "--preset", "flip_tiny").error
    )
    asked = cli("audit", "faces", "--embedder", "mobilefacenet", "--relevance", trained, "--out", "before")
    assert (
        "note: --relevance: faces: shard 000000: lacks the columns captions; run 'nonesuch caption faces'" in asked.err
    )
    assert cli("caption", "faces", "--least", 0).status == 0
    found = cli("search", "faces", "a woman", "--model", trained)
    assert found.status == 0, found.err
    assert len(list(Path("faces/columns/text_image").glob("*.parquet"))) == 3
    assert not Path("search_cache").exists()
    assert cli("verify", "faces").status == 0
    _check_relevance(cli, trained)
    short = ("--preset", "flip_tiny", "--batch", 4, "--images-seen", 8, "--dtype", "bfloat16")
    outcome = cli("flip", "train", "run", "--data", "faces", *short)
    assert outcome.status == 0, outcome.err
    # Another model's vectors are not taken for this one's.
    again = cli("search", "faces", "a woman", "--model", "run/flip_tiny.safetensors")
    assert again.status == 0, again.err
    card = json.loads(Path("run/flip_tiny.json").read_text())
    columns = pq.read_schema("faces/columns/text_image/000000.parquet").metadata
    assert card["sha256"].encode() in columns.values()


def _check_relevance(cli: Cli, trained: Path) -> None:
    """The report's cosines are those of each caption's vector with that of the image which the shards hold."""
    report = cli("caption-report", "faces", "--relevance", trained, "--json", "found.json", "--out", "page.html")
    assert report.status == 0, report.err
    assert "cosine with the own image" in report.out
    found = json.loads(Path("found.json").read_text())[0]["relevance"]
    captions = read_columns(Path("faces"), "captions")["caption"].to_pylist()
    crops = np.stack([photograph.read_crop() for photograph in find(Path("faces"))])
    model = nonesuch.load_flip(trained, "cpu")
    cosines = model.text_vectors(captions).astype(np.float64) @ model.image_vectors(crops).T.astype(np.float64)
    assert found["own"] == pytest.approx(np.trace(cosines) / 6, abs=2e-3)
    assert cosines.min() - 2e-3 <= found["other"] <= cosines.max() + 2e-3
    assert found["first"] * 6 * 2 == pytest.approx(round(found["first"] * 12))
    audit = cli("audit", "faces", "--embedder", "mobilefacenet", "--relevance", trained, "--out", "audited")
    assert audit.status == 0, audit.err
    figures = json.loads(Path("audited/audit.json").read_text())["datasets"]["faces"]["relevance"]
    assert {key: figures[key] for key in found} == pytest.approx(found)
    assert "captions that fit their own image better" in Path("audited/report.html").read_text()
    text = Path("captions.txt")
    text.write_text("A man.\n")
    assert "holds no images" in cli("caption-report", text, "--relevance", trained, "--out", "page.html").err


def test_an_interrupted_training_goes_on_to_the_same_weights(cli: Cli, faces: Path, tmp_path: Path) -> None:
    options = ("--data", faces / "faces", "--captions", faces / "captions.parquet", "--preset", "flip_tiny")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert cli("flip", "train", whole, *options, "--images-seen", 64).status == 0
    # Every other step is saved; the second call ends the run that the first one left in the middle.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FlipPretraining, "forward", _interrupted_after(3))
        patch.setenv("NONESUCH_CHECKPOINT_SECONDS", "0")
        assert cli("flip", "train", parts, *options, "--images-seen", 64).status == 130
    assert cli("flip", "train", parts, *options, "--images-seen", 64).status == 0
    first, second = ((run / "flip_tiny.safetensors").read_bytes() for run in (whole, parts))
    assert first == second


def _interrupted_after(steps: int) -> Callable[..., dict[str, Tensor]]:
    forward, done = FlipPretraining.forward, iter(range(steps))

    def step(self: FlipPretraining, batch: Batch, seen: int) -> dict[str, Tensor]:
        if next(done, None) is None:
            raise KeyboardInterrupt
        return forward(self, batch, seen)

    return step


def test_wrong_inputs_end_in_one_line(
    cli: Cli, faces: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, model = faces / "faces", ("--model", trained)
    assert "nothing to search for" in cli("search", folder, *model).error
    assert "nothing to search for" in cli("search", folder, "  ", *model).error
    assert "knows none of these words" in cli("search", folder, "qqqxz zzzqq", *model).error
    assert "--like none.png: not an image file" in cli("search", folder, "--like", "none.png", *model).error
    assert "where a text-image is needed" in cli("search", folder, "man", "--model", "mobilefacenet").error
    cut = cli("search", folder, "a man with glasses " * 20, *model)
    assert cut.status == 0
    assert "the query is cut" in cut.err
    train = ("flip", "train", "run", "--preset", "flip_tiny")
    assert "no image has a caption" in cli(*train, "--data", folder).error
    pq.write_table(pa.table({"file": ["a"]}), "bare.parquet")
    assert "not a table of captions; it has file" in cli(*train, "--data", folder, "--captions", "bare.parquet").error
    twice = ("--captions", faces / "captions.parquet", "--captions", faces / "captions.parquet")
    assert "is in another table too" in cli(*train, "--data", folder, *twice).error
    words = ("--captions", faces / "captions.parquet", "--vocabulary")
    Path("vocab.txt").write_text("man\nwoman\n")
    assert "a vocabulary begins with [PAD]" in cli(*train, "--data", folder, *words, "vocab.txt").error
    assert not Path("run").exists()
