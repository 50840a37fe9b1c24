"""Margins against formulas written out by hand, in float64."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from nonesuch.recognition.heads import MarginHead
from nonesuch.recognition.margins import AdaMargin, CombinedMargin, CurricularMargin, MagMargin

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
def test_logits_and_gradients_of_the_combined_margin(
    margin: tuple[float, float, float], by_hand: Callable[[float], float]
) -> None:
    own = torch.tensor(COSINES, dtype=torch.float64, requires_grad=True)
    target, others = CombinedMargin(*margin, scale=30.0)(own, torch.tensor([[0.1]] * len(COSINES)), torch.ones(4))
    expected = [30.0 * by_hand(math.acos(value)) for value in COSINES]
    assert np.allclose(target.tolist(), expected, atol=1e-9)
    assert np.allclose(others.tolist(), 3.0)
    target.sum().backward()
    step = 1e-6
    slopes = [
        30.0 * (by_hand(math.acos(value + step)) - by_hand(math.acos(value - step))) / (2 * step) for value in COSINES
    ]
    assert own.grad is not None
    assert np.allclose(own.grad.tolist(), slopes, rtol=1e-5)


def test_the_target_falls_on_beyond_pi() -> None:
    angles = torch.linspace(0.05, math.pi - 0.05, 200, dtype=torch.float64)
    target, _ = CombinedMargin(1.0, 0.5, scale=1.0)(angles.cos(), torch.zeros(200, 1), torch.ones(200))
    assert (target.diff() < 0).all()


def test_straight_through_has_the_same_logits_and_plain_gradients() -> None:
    own = torch.tensor([0.4], dtype=torch.float64, requires_grad=True)
    others = torch.tensor([[0.1]])
    published, _ = CombinedMargin(1.0, 0.5, scale=64.0, straight_through=True)(own, others, torch.ones(1))
    ours, _ = CombinedMargin(1.0, 0.5, scale=64.0)(own, others, torch.ones(1))
    assert torch.allclose(published, ours)
    published.backward()
    assert own.grad is not None
    assert float(own.grad) == pytest.approx(64.0)


@pytest.mark.parametrize("value", [1.0, -1.0])
def test_gradients_are_finite_at_the_ends(value: float) -> None:
    own = torch.tensor([value], requires_grad=True)
    CombinedMargin(1.0, 0.5)(own, torch.zeros(1, 1), torch.ones(1))[0].sum().backward()
    assert own.grad is not None
    assert own.grad.isfinite().all()


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
    assert loss.item() == pytest.approx(np.mean(expected))


def test_curricularface_by_hand() -> None:
    margin = CurricularMargin(m=0.5, scale=10.0).double()
    own = torch.tensor([0.5, 0.8], dtype=torch.float64)
    cosine = torch.tensor([[0.2, -0.9], [0.1, 0.3]], dtype=torch.float64, requires_grad=True)
    target, others = margin(own, cosine, torch.ones(2))
    t = 0.01 * (0.5 + 0.8) / 2  # the running mean started at 0
    assert float(margin.t) == pytest.approx(t)
    targets = [math.cos(math.acos(value) + 0.5) for value in (0.5, 0.8)]
    expected = [
        [0.2 * (t + 0.2) if targets[0] < 0.2 else 0.2, -0.9],
        [0.1 * (t + 0.1) if targets[1] < 0.1 else 0.1, 0.3 * (t + 0.3) if targets[1] < 0.3 else 0.3],
    ]
    assert targets[0] < 0.2
    assert np.allclose(target.tolist(), 10 * np.array(targets))
    assert np.allclose(others.tolist(), 10 * np.array(expected))
    others[0, 0].backward()
    assert cosine.grad is not None
    assert float(cosine.grad[0, 0]) == pytest.approx(10 * (t + 2 * 0.2))
    margin.eval()(own, cosine, torch.ones(2))
    assert float(margin.t) == pytest.approx(t)


@pytest.mark.parametrize(("norm", "radians"), [(5.0, 0.45), (10.0, 0.45), (60.0, 0.625), (110.0, 0.8), (400.0, 0.8)])
def test_magface_by_hand(norm: float, radians: float) -> None:
    margin = MagMargin(scale=64.0)
    own, norms = torch.tensor([0.3], dtype=torch.float64), torch.tensor([norm], dtype=torch.float64)
    target, others = margin(own, torch.tensor([[0.1]]), norms)
    assert float(others) == pytest.approx(6.4)
    assert float(target) == pytest.approx(64 * math.cos(math.acos(0.3) + radians))
    clipped = min(max(norm, 10.0), 110.0)
    penalty = margin.penalty(torch.tensor([norm], dtype=torch.float64))
    assert float(penalty) == pytest.approx(35 * (1 / clipped + clipped / 110**2))


def test_the_penalty_of_magface_reaches_the_norm() -> None:
    """Along the embedding the penalty adds weight * (1 / u^2 - 1 / a^2) / B at norm a."""
    along = []
    for weight in (0.0, 35.0):
        torch.manual_seed(0)
        head = MarginHead(4, 3, MagMargin(weight=weight)).double()
        embeddings = (20 * torch.nn.functional.normalize(torch.randn(2, 4).double())).requires_grad_()
        head(embeddings, torch.tensor([0, 1])).backward()
        assert embeddings.grad is not None
        along.append((embeddings.grad * embeddings.detach() / 20).sum(1))
    assert np.allclose((along[1] - along[0]).tolist(), 35 * (1 / 110**2 - 1 / 20**2) / 2)


def test_adaface_by_hand() -> None:
    margin = AdaMargin(m=0.4, h=0.333, scale=64.0).double()
    own, others = torch.tensor([0.3, 0.6], dtype=torch.float64), torch.tensor([[0.1], [0.2]], dtype=torch.float64)
    norms = torch.tensor([5.0, 60.0], dtype=torch.float64, requires_grad=True)
    target, rest = margin(own, others, norms)
    mean = 20 + 0.01 * (32.5 - 20)
    deviation = 100 + 0.01 * (np.std([5, 60], ddof=1) - 100)
    for row, (value, norm) in enumerate([(0.3, 5.0), (0.6, 60.0)]):
        quality = np.clip((norm - mean) / (deviation + 1e-3) * 0.333, -1, 1)
        expected = math.cos(math.acos(value) - 0.4 * quality) - (0.4 * quality + 0.4)
        assert float(target[row]) == pytest.approx(64 * expected)
    assert np.allclose(rest.tolist(), [[6.4], [12.8]])
    # Quality is a weight, not something to be trained.
    assert not target.requires_grad


def test_adaface_of_a_single_image_keeps_its_statistics() -> None:
    margin = AdaMargin()
    target, _ = margin(torch.tensor([0.3]), torch.tensor([[0.1]]), torch.tensor([30.0]))
    assert target.isfinite().all()
    assert float(margin.mean) == 20.0
