"""Detection on generated faces, scaled, rotated and pasted: the known transform is the truth."""

import numpy as np
import pytest
import torch

from nonesuch import load_detector
from nonesuch.core.warp import warp_affine
from nonesuch.perception import detection
from nonesuch.perception.alignment import TEMPLATE, align
from nonesuch.perception.detection import Detector, _non_maximum_suppression
from tests.people import faces_of_no_one


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load_detector("cpu")


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """Four people who don't exist, from the default generator."""
    return faces_of_no_one(4, 11, style_spread=0.0)


def _pasted(face: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    """The face through an affine map onto a grey canvas."""
    layers = torch.from_numpy(np.dstack([face, np.full((112, 112), 255, np.uint8)])).permute(2, 0, 1)[None].float()
    framed = torch.nn.functional.pad(layers, (1, 1, 1, 1))  # a transparent frame, so that nothing is smeared
    moved = warp_affine(framed, torch.from_numpy(matrix @ np.array([[1, 0, -1], [0, 1, -1], [0, 0, 1]])), side)[0]
    alpha = moved[3] / 255
    return (moved[:3] * alpha + 110 * (1 - alpha)).permute(1, 2, 0).round().to(torch.uint8).numpy()


@pytest.mark.parametrize(("scale", "degrees"), [(0.8, 0), (1.0, 15), (1.7, -10), (2.5, 20), (4.0, 5)])
def test_landmarks_follow_the_known_transform(
    detector: Detector, faces: np.ndarray, scale: float, degrees: float
) -> None:
    turn = np.radians(degrees)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    side = int(112 * scale * 1.6)
    matrix = np.column_stack([linear, np.full(2, side / 2) - linear @ np.full(2, 55.5)])
    errors, differences = [], []
    for face in faces:
        found = detector.detect(_pasted(face, matrix, side))
        assert len(found) == 1
        truth = TEMPLATE @ linear.T + matrix[:, 2]
        errors.append(np.linalg.norm(found[0].landmarks - truth, axis=1).mean() / scale)
        # Undoing the paste gives the aligned crop again, wherever that shows the face.
        crop = align(_pasted(face, matrix, side), found[0].landmarks)
        differences.append(np.abs(crop[25:100, 25:87].astype(int) - face[25:100, 25:87]).mean())
    assert np.mean(errors) < 3.0  # in pixels of the crop; real crops scatter about the template just so
    assert np.mean(differences) < 14


def test_largest_face_first(detector: Detector, faces: np.ndarray) -> None:
    canvas = np.full((400, 400, 3), 110, dtype=np.uint8)
    canvas[10:122, 10:122] = faces[0]
    canvas[160:384, 150:374] = faces[1].repeat(2, axis=0).repeat(2, axis=1)
    found = detector.detect(canvas)
    assert len(found) == 2
    assert found[0].area > found[1].area
    assert found[0].landmarks[:, 0].mean() > 150 > found[1].landmarks[:, 0].mean()


@pytest.mark.parametrize("shape", [(5, 5), (12, 300), (200, 200)])
def test_images_without_a_face(detector: Detector, shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert detector.detect(noise) == []
    assert detector.detect(np.zeros((*shape, 3), np.uint8)) == []


def test_non_maximum_suppression_against_the_plain_loop() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 80, (60, 2))
    boxes = np.hstack([corners, corners + rng.uniform(10, 60, (60, 2)), rng.uniform(0, 1, (60, 1))])

    def overlap(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
        shared = max(0, min(a[2], b[2]) - max(a[0], b[0]) + 1) * max(0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
        sides = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
        return shared / (sum(sides) - shared), shared / min(sides)

    for of_smaller in (False, True):
        kept: list[int] = []
        for row in np.argsort(-boxes[:, 4]):
            if all(overlap(boxes[row], boxes[other])[of_smaller] <= 0.5 for other in kept):
                kept.append(int(row))
        assert _non_maximum_suppression(boxes, 0.5, of_smaller).tolist() == kept


def test_a_crowd_keeps_its_best_and_costs_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most so many boxes are kept, and at most four times as many are looked at."""
    monkeypatch.setattr(detection, "_MAX_CANDIDATES", 3)
    apart = np.array([[100.0 * place, 0, 100.0 * place + 9, 9, 0.9 - 0.01 * place] for place in range(20)])
    assert _non_maximum_suppression(apart[::-1], 0.5).tolist() == [19, 18, 17]
    one_place = np.array([[0.0, 0, 9, 9, 0.9 - 0.01 * place] for place in range(12)])
    elsewhere = np.array([[100.0, 0, 109, 9, 0.1]])
    assert _non_maximum_suppression(np.concatenate([one_place[:11], elsewhere]), 0.5).tolist() == [0, 11]
    assert _non_maximum_suppression(np.concatenate([one_place, elsewhere]), 0.5).tolist() == [0]


def test_landmarks_of_aligned_crops_need_no_search(detector: Detector, faces: np.ndarray) -> None:
    pixels = torch.from_numpy(faces).permute(0, 3, 1, 2).float().requires_grad_()
    found = detector.crop_landmarks(pixels)
    cascade = np.stack([detector.detect(face)[0].landmarks for face in faces])
    assert np.linalg.norm(found.detach().numpy() - cascade, axis=2).mean() < 3.0
    found[:, 2, 0].sum().backward()
    assert pixels.grad is not None
    assert pixels.grad[:, :, 40:90, 30:80].abs().sum() > 0
    assert pixels.grad[:, :, :, :10].abs().sum() == 0
