"""What a vector tells of gender and age: found again where it is planted, and asked of images by hand."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nonesuch.perception.attributes import ATTRIBUTES
from nonesuch.training.steadiness import Steadiness

MALE, YOUNG = ATTRIBUTES.index("male"), ATTRIBUTES.index("young")


class _Crops:
    """Crop i is grey of level i % 250."""

    def __len__(self) -> int:
        return 700

    def read(self, indices: np.ndarray) -> Tensor:
        levels = torch.from_numpy(indices % 250).to(torch.uint8)
        return levels[:, None, None, None].expand(-1, 112, 112, 3)


class _Perceiver:
    """Vectors are drawn by the crop's level; logits are a planted linear function of their directions."""

    def __init__(self) -> None:
        draw = torch.Generator().manual_seed(0)
        self.vectors = 5.0 * torch.randn(250, 24, generator=draw)
        self.planted = 2.0 * torch.randn(24, 2, generator=draw)
        self.embedder = SimpleNamespace(device=torch.device("cpu"))
        self.heads = SimpleNamespace(of_whole=lambda maps: (None, maps[0]))

    def logits(self, vectors: Tensor) -> Tensor:
        return torch.nn.functional.normalize(vectors) @ self.planted + torch.tensor([0.5, -0.25])

    def look(self, pixels: Tensor, window: bool) -> tuple[Any, Tensor]:
        assert not window
        vectors = self.vectors[pixels[:, 0, 0, 0].long()]
        attributes = torch.full((len(vectors), len(ATTRIBUTES)), 9.0)
        attributes[:, [MALE, YOUNG]] = self.logits(vectors)
        return SimpleNamespace(attributes=attributes), vectors


def test_what_a_vector_tells_is_found_again() -> None:
    perceiver, read = _Perceiver(), []
    steadiness = Steadiness(perceiver, _Crops(), lambda done, total: read.append((done, total)))  # type: ignore[arg-type]
    others = torch.randn(50, 24, generator=torch.Generator().manual_seed(1))
    planted = perceiver.logits(others)
    assert np.corrcoef(steadiness.told(others)[:, 0], planted[:, 0])[0, 1] > 0.99
    assert np.corrcoef(steadiness.told(others)[:, 1], planted[:, 1])[0, 1] > 0.99
    torch.testing.assert_close(steadiness.told(others), steadiness.told(7.0 * others))
    assert read[-1] == (700, 700)


def test_the_shortfall_by_hand() -> None:
    steadiness = Steadiness(_Perceiver(), _Crops())  # type: ignore[arg-type]
    told = torch.tensor([[10.0, 0.5], [-2.0, -9.0], [2.0, 0.0]])
    steadiness.told = lambda vectors: told  # type: ignore[method-assign]
    shown = torch.full((3, len(ATTRIBUTES)), 9.0)
    shown[:, [MALE, YOUNG]] = torch.tensor([[4.0, 0.1], [1.0, -1.0], [0.5, 8.0]])
    # Sure enough are logits of 3 (male) and 1.5 (young), or what is told where that is less.
    expected = [(0.0 + 0.4 / 1.5) / 2, (3.0 / 3 + 0.5 / 1.5) / 2, (1.5 / 3 + 0.0) / 2]
    found = steadiness.shortfall([torch.zeros(1), shown], torch.ones(3, 24))
    assert found.tolist() == pytest.approx(expected)
