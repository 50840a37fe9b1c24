"""Funnels keep the photographs that fulfil their rules, and count what each rule leaves."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nonesuch
from nonesuch.captions.funnel import sifted
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import Pixels
from nonesuch.formats.readers import find
from nonesuch.perception.detection import Face
from tests.conftest import Cli
from tests.people import faces_of_no_one

POINTS = np.array([[10.0, 10], [30, 10], [20, 20], [12, 30], [28, 30]])


class Planted:
    """A detector that finds, in an image of so many grey levels, the faces that were planted for it."""

    def __init__(self, faces: dict[int, list[tuple[float, float]]]) -> None:
        self.faces = faces

    def detect(self, image: Pixels) -> list[Face]:
        planted = self.faces[int(image[0, 0, 0])]
        return [Face((0.0, 0.0, side, side + 5), score, POINTS) for side, score in planted]


# Grey level -> faces (side, confidence), and whether each funnel takes a photograph of 400x300 with them.
PLANTED = {
    0: ([], False, False),
    1: ([(200.0, 0.99)], True, True),
    2: ([(200.0, 0.97)], False, True),
    3: ([(127.0, 0.99)], False, True),
    4: ([(200.0, 0.99), (60.0, 0.9)], True, False),
    5: ([(128.0, 0.99)] * 3, True, True),
    6: ([(128.0, 0.99)] * 4, True, False),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "photographs"
    place.mkdir()
    for level in PLANTED:
        Image.new("RGB", (400, 300), (level, 0, 0)).save(place / f"{level}.png")
    Image.new("RGB", (400, 200), (1, 0, 0)).save(place / "low.png")
    (place / "torn.png").write_bytes((place / "1.png").read_bytes()[:60])
    return place


@pytest.mark.parametrize(("funnel", "column", "low"), [("facecaption", 1, True), ("faceid", 2, False)])
def test_rules_and_counts(folder: Path, funnel: str, column: int, low: bool) -> None:
    detector = Planted({level: row[0] for level, row in PLANTED.items()})
    kept, counts = sifted(find(folder), detector, funnel)  # type: ignore[arg-type]
    expected = [f"{level}.png" for level, row in PLANTED.items() if row[column]] + ["low.png"] * low
    assert [photograph.name for photograph in kept] == expected
    assert np.array_equal(kept[0].landmarks or (), POINTS)
    left = list(counts.values())
    assert left == sorted(left, reverse=True)
    assert (left[0], left[1], left[-1]) == (9, 8, len(expected))
    assert list(counts)[2] == "with a face"
    assert counts["with a face"] == 7


def test_nobody_left(folder: Path) -> None:
    detector = Planted({level: [] for level in PLANTED})
    with pytest.raises(NonesuchError, match=r"no photograph is left .photographs 9, that can be read 8, with a face 0"):
        sifted(find(folder), detector, "facecaption")  # type: ignore[arg-type]


def test_on_the_command_line(cli: Cli, tmp_path: Path) -> None:
    place, out = tmp_path / "photographs", tmp_path / "captions.parquet"
    place.mkdir()
    (crop,) = faces_of_no_one(1, 21)
    for side, name in ((280, "near"), (120, "far")):
        canvas = Image.new("RGB", (420, 360), (110, 110, 110))
        canvas.paste(Image.fromarray(crop).resize((side, side), Image.Resampling.BICUBIC), (60, 40))
        canvas.save(place / f"{name}.png")
    outcome = cli("caption", place, "--out", out, "--funnel", "facecaption", "--least", 1)
    assert outcome.status == 0, outcome.err
    assert "photographs 2, that can be read 2, with a face 2" in outcome.out
    assert "a face of 128 pixels or more 1" in outcome.out
    assert nonesuch.caption_faces(place, out=out, least=1).counts.images == 2
    assert "is a table; name the photographs" in _refused(cli, place, tmp_path)


def _refused(cli: Cli, place: Path, folder: Path) -> str:
    seen = folder / "seen.parquet"
    assert cli("perceive", place, "--out", seen).status == 0
    return cli("caption", seen, "--out", folder / "again.parquet", "--funnel", "faceid").error
