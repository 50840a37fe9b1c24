"""Margins against formulas written out by hand, in float64."""

import math

import numpy as np
import pytest
import torch

from nonesuch.recognition.heads import MarginHead
from nonesuch.recognition.margins import CombinedMargin

COSINES = [0.9, 0.3, -0.2, -0.95]


def _psi(angle: float) -> float:
    rounds = math.floor(angle / math.pi)
    return (-1) ** rounds * math.cos(angle) - 2 * rounds


@pytest.mark.parametrize(
    ("margin", "by_hand"),
    [
        ((1.0, 0.0, 0.0), lambda theta: math.cos(theta)),
        ((1.0, 0.5, 0.0), lambda theta: _psi(theta + 0.5)),
        ((1.0, 0.0, 0.35), lambda theta: math.cos(theta) - 0.35),
        ((1.7, 0.0, 0.0), lambda theta: _psi(1.7 * theta)),
        ((1.2, 0.3, 0.2), lambda theta: _psi(1.2 * theta + 0.3) - 0.2),
    ],
    ids=["softmax", "arcface", "cosface", "sphereface", "combined"],
)
def test_logits_and_gradients_of_the_combined_margin(margin: tuple[float, float, float], by_hand: object) -> None:
    cosine = torch.tensor([[value, 0.1] for value in COSINES], dtype=torch.float64, requires_grad=True)
    own = torch.zeros(len(COSINES), dtype=torch.int64)
    logits = CombinedMargin(*margin, scale=30.0)(cosine, own, torch.ones(len(COSINES), dtype=torch.float64))
    expected = [30.0 * by_hand(math.acos(value)) for value in COSINES]  # type: ignore[operator]
    assert np.allclose(logits[:, 0].tolist(), expected, atol=1e-9)
    assert np.allclose(logits[:, 1].tolist(), 3.0)
    logits[:, 0].sum().backward()
    step = 1e-6
    slopes = [
        30.0 * (by_hand(math.acos(value + step)) - by_hand(math.acos(value - step))) / (2 * step)  # type: ignore[operator]
        for value in COSINES
    ]
    assert cosine.grad is not None
    assert np.allclose(cosine.grad[:, 0].tolist(), slopes, rtol=1e-5)


def test_the_target_falls_on_beyond_pi() -> None:
    angles = torch.linspace(0.05, math.pi - 0.05, 200, dtype=torch.float64)
    logits = CombinedMargin(1.0, 0.5, scale=1.0)(
        angles.cos()[:, None], torch.zeros(200, dtype=torch.int64), torch.ones(200, dtype=torch.float64)
    )
    assert (logits.diff(dim=0) < 0).all()


def test_straight_through_has_the_same_logits_and_plain_gradients() -> None:
    cosine = torch.tensor([[0.4, 0.1]], dtype=torch.float64, requires_grad=True)
    own = torch.zeros(1, dtype=torch.int64)
    published = CombinedMargin(1.0, 0.5, scale=64.0, straight_through=True)(cosine, own, torch.ones(1))
    ours = CombinedMargin(1.0, 0.5, scale=64.0)(cosine, own, torch.ones(1))
    assert torch.allclose(published, ours)
    published[0, 0].backward()
    assert cosine.grad is not None
    assert float(cosine.grad[0, 0]) == pytest.approx(64.0)


@pytest.mark.parametrize("value", [1.0, -1.0])
def test_gradients_are_finite_at_the_ends(value: float) -> None:
    cosine = torch.tensor([[value, 0.0]], requires_grad=True)
    CombinedMargin(1.0, 0.5)(cosine, torch.zeros(1, dtype=torch.int64), torch.ones(1)).sum().backward()
    assert cosine.grad is not None
    assert cosine.grad.isfinite().all()


def test_rows_without_their_class_stay_as_they_are() -> None:
    cosine = torch.tensor([[0.4, 0.1]])
    logits = CombinedMargin(1.0, 0.5, scale=2.0)(cosine, torch.tensor([-1]), torch.ones(1))
    assert torch.allclose(logits, 2.0 * cosine)


def test_the_loss_of_a_head_by_hand() -> None:
    head = MarginHead(2, 3, CombinedMargin(m3=0.2, scale=4.0)).double()
    centres = np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])
    with torch.no_grad():
        head.centres.copy_(torch.from_numpy(centres))
    embeddings, labels = np.array([[3.0, 4.0], [-1.0, 1.0]]), np.array([1, 2])
    loss = head(torch.from_numpy(embeddings), torch.from_numpy(labels))
    unit = [row / np.linalg.norm(row) for row in embeddings]
    axes = [row / np.linalg.norm(row) for row in centres]
    expected = []
    for row, label in zip(unit, labels, strict=True):
        logits = np.array([4.0 * (row @ axis - 0.2 * (place == label)) for place, axis in enumerate(axes)])
        expected.append(np.log(np.exp(logits).sum()) - logits[label])
    assert float(loss) == pytest.approx(np.mean(expected))
