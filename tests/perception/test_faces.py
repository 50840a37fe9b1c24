"""Faces of many photographs, batch by batch, against those of each alone."""

import numpy as np
import pytest
from PIL import Image

from nonesuch.core import images
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.readers import find
from nonesuch.models import load_detector
from nonesuch.perception import faces
from nonesuch.perception.alignment import align
from nonesuch.perception.faces import aligned_face, read_faces
from tests.people import faces_of_no_one


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Photograph]:
    """Crops, a photograph to be aligned (1), an unreadable file (3) and two without a face (4, 5)."""
    folder = tmp_path_factory.mktemp("photographs")
    crops = faces_of_no_one(3, 21)
    for row, crop in zip((0, 2, 6), crops, strict=True):
        Image.fromarray(crop).save(folder / f"{row}.png")
    canvas = Image.new("RGB", (420, 360), (110, 110, 110))
    canvas.paste(Image.fromarray(crops[1]).resize((224, 224), Image.Resampling.BICUBIC), (90, 60))
    canvas.save(folder / "1.png")
    (folder / "3.png").write_bytes(b"")
    for row in (4, 5):
        Image.new("RGB", (150, 150)).save(folder / f"{row}.png")
    return find(folder)


@pytest.mark.parametrize("always_align", [False, True])
@pytest.mark.parametrize("detected", [True, False])
def test_batches_are_what_each_photograph_gives_alone(
    photographs: list[Photograph], monkeypatch: pytest.MonkeyPatch, always_align: bool, detected: bool
) -> None:
    monkeypatch.setattr(faces, "BATCH", 2)
    detector = load_detector("cpu") if detected else None
    alone = [aligned_face(photograph, detector, always_align) for photograph in photographs]
    read: list[int] = []
    batches = list(read_faces(iter(photographs), detector, always_align, on_image=read.append))
    assert read == [1, 2, 3, 4, 5, 6, 7]
    assert [batch.start for batch in batches] == [0, 2, 4, 6]
    assert [item for batch in batches for item in batch.photographs] == photographs
    assert [problem for batch in batches for problem in batch.problems] == [problem for _, problem in alone]
    assert np.concatenate([batch.found for batch in batches]).tolist() == [crop is not None for crop, _ in alone]
    rows = [row for row, (crop, _) in enumerate(alone) if crop is not None]
    assert np.concatenate([batch.rows for batch in batches]).tolist() == rows
    crops = np.concatenate([batch.crops for batch in batches])
    assert len(crops) == len(rows)
    assert all(np.array_equal(crop, alone[row][0]) for row, crop in zip(rows, crops, strict=True))
    assert batches[2].crops.shape == (0, 112, 112, 3)


def test_known_landmarks_are_those_of_each_photograph(
    photographs: list[Photograph], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faces, "BATCH", 2)
    points = np.random.default_rng(0).uniform(30, 90, (7, 5, 2))
    found = np.concatenate([batch.crops for batch in read_faces(photographs, None, True, points)])
    alone = [aligned_face(photographs[row], None, True, points[row])[0] for row in (0, 1, 2, 4, 5, 6)]
    assert np.array_equal(found, np.stack(alone))


def test_known_landmarks_align_an_image_of_a_crops_size_too(photographs: list[Photograph]) -> None:
    """IJB's crops have any size: one of 112x112 is not aligned for that."""
    points = np.random.default_rng(1).uniform(30, 90, (5, 2))
    found, _ = aligned_face(photographs[0], None, landmarks=points)
    assert found is not None
    assert np.array_equal(found, align(photographs[0].read(), points))
    assert not np.array_equal(found, photographs[0].read())


def test_known_landmarks_are_those_of_the_whole_photograph(
    photographs: list[Photograph], monkeypatch: pytest.MonkeyPatch
) -> None:
    points = np.array([[160.0, 160.0], [230.0, 160.0], [200.0, 200.0], [170.0, 240.0], [220.0, 240.0]])
    expected, _ = aligned_face(photographs[1], None, landmarks=points)
    monkeypatch.setattr(images, "_WHOLE", 50_000)  # so that the photograph counts as a large one
    assert photographs[1].read().shape == (180, 210, 3)
    found, _ = aligned_face(photographs[1], None, landmarks=points)
    assert expected is not None
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("value", [7.0, np.nan, np.inf, 1e300])
def test_landmarks_that_are_none(photographs: list[Photograph], value: float) -> None:
    points = np.full((5, 2), value)
    if value == 1e300:
        points[0] = 0.0
    crop, problem = aligned_face(photographs[1], None, landmarks=points)
    assert crop is None
    assert problem == "1.png: its landmarks are all at one place, or no numbers"
