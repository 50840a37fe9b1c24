"""Heads against formulas written out by hand, in float64."""

import itertools
import math

import numpy as np
import pytest
import torch

from nonesuch.core.errors import NonesuchError
from nonesuch.recognition.heads import MarginHead, TripletHead, UniFaceHead, mirrored_halves, symmetry
from nonesuch.recognition.margins import CombinedMargin
from nonesuch.recognition.recipes import HEADS, create_head


def _embeddings(count: int = 10, width: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_uniface_by_hand() -> None:
    head = UniFaceHead(4, 3, m=0.4, scale=8.0, weight=0.7).double()
    embeddings, labels = _embeddings(5), torch.tensor([0, 1, 2, 1, 0])
    loss = head(embeddings, labels).item()
    unit = embeddings.numpy() / np.linalg.norm(embeddings, axis=1, keepdims=True)
    centres = head.centres.detach().numpy()
    cosine = unit @ (centres / np.linalg.norm(centres, axis=1, keepdims=True)).T
    b = math.log(10 * 3)
    expected = 0.0
    for row, label in enumerate(labels.tolist()):
        expected += math.log1p(math.exp(-(8 * (cosine[row, label] - 0.4) - b)))
        expected += 0.7 * sum(math.log1p(math.exp(8 * cosine[row, j] - b)) for j in range(3) if j != label)
    assert loss == pytest.approx(expected / 5)


def test_triplets_by_brute_force() -> None:
    embeddings, labels = _embeddings(12, 3, 1), torch.arange(12) % 4
    unit = embeddings.numpy() / np.linalg.norm(embeddings, axis=1, keepdims=True)
    distance = ((unit[:, None] - unit[None]) ** 2).sum(2)
    losses = []
    for anchor, positive in itertools.permutations(range(12), 2):
        if labels[anchor] != labels[positive]:
            continue
        others = [distance[anchor, n] for n in range(12) if labels[n] != labels[anchor]]
        farther = [value for value in others if value > distance[anchor, positive]]
        negative = min(farther) if farther else max(others)
        losses.append(max(0.0, distance[anchor, positive] - negative + 0.2))
    assert TripletHead(3, 4)(embeddings, labels).item() == pytest.approx(np.mean(losses))


@pytest.mark.parametrize("labels", [[0, 1, 2], [1, 1, 1]])
def test_a_batch_without_triplets(labels: list[int]) -> None:
    embeddings = _embeddings(3).requires_grad_()
    loss = TripletHead(4, 3)(embeddings, torch.tensor(labels))
    loss.backward()
    assert loss.item() == 0.0


def test_all_centres_at_share_one() -> None:
    """Partial FC that takes every class equals the full softmax, gradients included."""
    labels = torch.randint(0, 50, (10,), generator=torch.Generator().manual_seed(2))
    losses, gradients = [], []
    for share in (1.0, 1.0 - 1e-9):
        torch.manual_seed(3)
        head = MarginHead(4, 50, CombinedMargin(m2=0.3, scale=16.0), share).double()
        embeddings = _embeddings().requires_grad_()
        loss = head(embeddings, labels)
        loss.backward()
        losses.append(loss.item())
        gradients.append([embeddings.grad, head.centres.grad])
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    for first, second in zip(*gradients, strict=True):
        assert first is not None
        assert second is not None
        assert torch.allclose(first, second)


def test_a_share_keeps_the_classes_of_the_batch() -> None:
    head = MarginHead(4, 50, CombinedMargin(), 0.2).double()
    labels = torch.tensor([3, 49, 3, 17])
    touched = set()
    for _ in range(100):
        head.zero_grad()
        head(_embeddings(4), labels).backward()
        assert head.centres.grad is not None
        rows = set(torch.nonzero(head.centres.grad.abs().sum(1))[:, 0].tolist())
        assert {3, 17, 49} <= rows
        assert len(rows) == 10
        touched |= rows
    assert len(touched) == 50


def test_a_share_smaller_than_the_batch() -> None:
    head = MarginHead(4, 50, CombinedMargin(), 0.02).double()
    assert head(_embeddings(10), torch.arange(10)).isfinite()


def test_halves_of_a_symmetric_face_are_alike() -> None:
    left = torch.rand(2, 3, 112, 56)
    one, other = mirrored_halves(torch.cat([left, left.flip(3)], dim=3))
    assert torch.equal(one, other)
    lopsided = torch.cat([left, torch.zeros_like(left)], dim=3)
    one, other = mirrored_halves(lopsided)
    assert torch.equal(one[..., :56], left)
    assert torch.equal(one, one.flip(3))
    assert other.abs().sum() == 0
    assert symmetry(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])).item() == pytest.approx(1.0)


@pytest.mark.parametrize("name", HEADS)
def test_every_head_pulls_a_class_together(name: str) -> None:
    """Gradient steps on the embeddings alone bring each to its class."""
    torch.manual_seed(0)
    head = create_head(name, 8, 4, **({} if name == "triplet" else {"scale": 16.0}))
    embeddings = (10 * torch.randn(16, 8)).requires_grad_()
    labels = torch.arange(16) % 4
    optimizer = torch.optim.Adam([embeddings, *head.parameters()], lr=0.2)
    for _ in range(150):
        optimizer.zero_grad()
        head(embeddings, labels).backward()
        optimizer.step()
    unit = torch.nn.functional.normalize(embeddings.detach())
    cosine, same = unit @ unit.T, labels[:, None] == labels[None]
    assert cosine[same].mean() > cosine[~same].mean() + 0.4


def test_unknown_heads_and_arguments() -> None:
    with pytest.raises(NonesuchError, match="unknown head 'face'"):
        create_head("face", 4, 3)
    with pytest.raises(NonesuchError, match="head arcface"):
        create_head("arcface", 4, 3, margin=2)
    with pytest.raises(NonesuchError, match="head triplet"):
        create_head("triplet", 4, 3, share=0.5)
