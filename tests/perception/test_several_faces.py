"""Which of several faces a photograph's is, by made-up detections."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nonesuch.core.notices import Notice
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.readers import find
from nonesuch.perception.alignment import TEMPLATE
from nonesuch.perception.detection import Detector, Face
from nonesuch.perception.faces import read_faces, take_faces, tell_several


class _MadeUp(Detector):
    """Finds faces of given sides at given places, the largest first."""

    def __init__(self, *places: tuple[float, float, float]) -> None:
        self._places = sorted(places, key=lambda place: -place[2])

    def detect(self, image: np.ndarray) -> list[Face]:
        return [
            Face((left, top, left + side, top + side), 0.9, TEMPLATE * side / 112 + [left, top])
            for left, top, side in self._places
        ]


@pytest.fixture
def photograph(tmp_path: Path) -> Photograph:
    pixels = np.random.default_rng(0).integers(0, 256, (200, 400, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "1.png")
    return find(tmp_path)[0]


@pytest.mark.parametrize(
    ("rule", "numbers"), [("largest", [1]), ("central", [2]), ("all", [1, 2, 3])], ids=lambda word: str(word)
)
def test_a_rule_takes_its_face(photograph: Photograph, rule: str, numbers: list[int]) -> None:
    detector = _MadeUp((5, 5, 90), (180, 80, 50), (340, 10, 40))
    taken = take_faces(photograph, detector, face=rule)
    assert taken.count == 3
    assert [face.number for face in taken.faces] == numbers
    expected = detector.detect(photograph.read())
    for face in taken.faces:
        assert face.number is not None
        assert face.landmarks is not None
        assert np.array_equal(face.landmarks, expected[face.number - 1].landmarks)


@pytest.mark.parametrize(("other", "unclear"), [(60, False), (72, True)])
def test_a_face_half_as_large_makes_it_unclear(photograph: Photograph, other: float, unclear: bool) -> None:
    """A side of 71 of 100 is half the area."""
    (batch,) = read_faces([photograph], _MadeUp((5, 5, 100), (200, 80, other)))
    assert (batch.counts, batch.unclear) == ([2], [unclear])
    (batch,) = read_faces([photograph], _MadeUp((5, 5, 100)))
    assert (batch.counts, batch.unclear) == ([1], [False])


def test_a_stranger_that_is_larger_than_the_central_face_is_told(photograph: Photograph) -> None:
    (batch,) = read_faces([photograph], _MadeUp((5, 5, 150), (180, 80, 40)), face="central")
    assert batch.unclear == [True]
    with pytest.warns(Notice, match=r"x: 1 of 2 photographs show several faces; the one nearest .*; 1 of them are unc"):
        tell_several("x", [*batch.counts, None], [*batch.unclear, None], "central", "do")


def test_nothing_is_told_where_no_photograph_shows_several(recwarn: pytest.WarningsRecorder) -> None:
    tell_several("x", [1, 0, None], [False, False, None], "largest", "do")
    assert not recwarn.list


def test_a_face_without_usable_landmarks_is_a_problem(photograph: Photograph) -> None:
    class Broken(_MadeUp):
        def detect(self, image: np.ndarray) -> list[Face]:
            return [Face((0, 0, 50, 50), 0.9, np.zeros((5, 2)))]

    taken = take_faces(photograph, Broken())
    assert taken.problem == "1.png: its landmarks are all at one place, or no numbers"
