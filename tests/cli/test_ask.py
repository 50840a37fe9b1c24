"""`nonesuch ask` on pictures of people who don't exist, and on what is no picture or no question."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from nonesuch import load_perceiver
from nonesuch.captions.asking.ask_face import ask_face
from nonesuch.captions.thresholds import SHIPPED, read_thresholds
from nonesuch.cli.ask import ask
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import Pixels
from tests.people import faces_of_no_one


@pytest.fixture(scope="module")
def people() -> Pixels:
    return faces_of_no_one(4, 21)


@pytest.fixture(scope="module")
def picture(people: Pixels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The surest woman and the surest man of four, he left of her and larger."""
    male = load_perceiver(device="cpu").perceive(people)["male"]
    canvas = Image.new("RGB", (620, 300), (110, 110, 110))
    for row, left, side in ((int(male.argmax()), 20, 240), (int(male.argmin()), 380, 160)):
        canvas.paste(Image.fromarray(people[row]).resize((side, side), Image.Resampling.BICUBIC), (left, 30))
    path = tmp_path_factory.mktemp("asked") / "two.png"
    canvas.save(path)
    return path


def _told(*args: object) -> list[str]:
    return CliRunner().invoke(ask, list(map(str, args)), catch_exceptions=False).output.splitlines()


def test_two_people_side_by_side(picture: Path) -> None:
    assert ask_face(picture, "how many people are there?").text == "2 faces."
    answered = {whose: ask_face(picture, f"how old is {whose}?") for whose in ("the man", "the woman", "she", "face 1")}
    assert [found.face for found in answered.values()] == [1, 2, 2, 1]
    assert answered["the man"].text == answered["face 1"].text
    assert answered["the man"].text.startswith("About ")
    assert "off by 6 years on average" in answered["the man"].text
    for whose, (first, last) in {"the man": (20, 260), "the woman": (380, 540)}.items():
        box = answered[whose].box
        assert box is not None
        assert first <= (box[0] + box[2]) / 2 <= last
        assert all(type(side) is float for side in box)


def test_the_command_says_which_face_it_means(picture: Path) -> None:
    text, where = _told(picture, "is the person on the right a woman?")
    assert text.startswith("Yes: the heads give woman ")
    assert text.endswith("; statements like this are right in at least 90% of labelled photographs.")
    assert where.startswith("the face that is meant: 2 of 2 from the left (x ")
    assert "at least 80%" in _told(picture, "what gender is the man?", "--precision", "0.8")[0]
    assert _told(picture, "is she happy?") == [
        "What someone feels cannot be told here: a face shows whether it smiles, and no more."
    ]


def test_an_aligned_image_is_one_face(people: Pixels, tmp_path: Path) -> None:
    path = tmp_path / "0.png"
    Image.fromarray(people[0]).save(path)
    found = ask_face(path, "is it a man or a woman?")
    assert (found.face, found.faces, found.box) == (1, 1, (0, 0, 112, 112))
    seen = load_perceiver(device="cpu").perceive(people[:1])["male"][0]
    assert found.probability == pytest.approx(max(seen, 1 - seen), abs=1e-5)
    assert found.facts == (("male",) if seen > 0.5 else ("female",))
    assert len(_told(path, "how old is she?")) == 1


def test_wrong_inputs(picture: Path, people: Pixels, tmp_path: Path) -> None:
    meadow, text, small = tmp_path / "meadow.png", tmp_path / "text.jpg", tmp_path / "thresholds.json"
    Image.new("RGB", (200, 200), (9, 99, 9)).save(meadow)
    text.write_text("no image")
    dataclasses.replace(read_thresholds(SHIPPED, load_perceiver().card.sha256), perceiver="others").write(small)
    old = "how old is she?"
    assert ask_face(meadow, "how many people are there?").text == "None: no face is found."
    for image, question, options, says in (
        (meadow, old, {}, r"meadow\.png: no face found"),
        (text, old, {}, r"text\.jpg: not a readable image"),
        (tmp_path, old, {}, "directory"),
        (tmp_path / "nothing.png", old, {}, r"nothing\.png: No such file"),
        (None, old, {}, "not a path"),
        (picture, "", {}, "the question is empty; ask like"),
        (picture, "how old is she " * 667, {}, "10,005 characters, more than 2,000"),
        (picture, "what is the weather like?", {}, "is not understood; ask like 'how old is"),
        (picture, old, {"precision": "0.5"}, "--precision 0.5: not one of"),
        (picture, old, {"thresholds": small}, "for other perception heads"),
        (picture, old, {"model": "nothing"}, "nothing"),
    ):
        with pytest.raises(NonesuchError, match=says):
            ask_face(image, question, **options)  # type: ignore[arg-type]


def test_faces_at_the_edge_and_pictures_without_colour(people: Pixels, tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    large = np.asarray(Image.fromarray(people[0]).resize((300, 300), Image.Resampling.BICUBIC).convert("L"))
    Image.fromarray(large).save(path)
    found = ask_face(path, "describe the face")
    assert (found.face, found.faces) == (1, 1)
