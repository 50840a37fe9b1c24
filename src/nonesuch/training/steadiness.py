"""The gender and age that a vector tells, and how far images of it fall short of showing them.

Noise that a generator draws may change what a face looks like, not whose it looks like: what a linear function reads
from the vector, each image of it is to show.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nonesuch.formats.crops import Crops
from nonesuch.perception.attributes import ATTRIBUTES
from nonesuch.perception.perceiver import Perceiver

_READ = ("male", "young")
_SURE = (3.0, 1.5)  # logits beyond which nothing more is asked of an image
_PHOTOGRAPHS, _BATCH = 4096, 64
_RIDGE = 1e-3  # of the photographs' number, on unit vectors


class Steadiness:
    """What a perceiver says of photographs, as a linear function of their unit vectors.

    Args:
        perceiver: frozen; its embedder made the vectors.
        crops: of photographs, of which 4,096 are read at most, spread over them.
        on_read: told how many are read, and of how many.
    """

    def __init__(
        self, perceiver: Perceiver, crops: Crops, on_read: Callable[[int, int], None] = lambda done, total: None
    ) -> None:
        self.heads = perceiver.heads
        place = perceiver.embedder.device
        self._which = torch.tensor([ATTRIBUTES.index(name) for name in _READ], device=place)
        self._sure = torch.tensor(_SURE, device=place)
        rows = np.unique(np.linspace(0, len(crops) - 1, _PHOTOGRAPHS).astype(np.int64))
        vectors, logits = [], []
        with torch.inference_mode():
            for start in range(0, len(rows), _BATCH):
                pixels = crops.read(rows[start : start + _BATCH]).to(place).permute(0, 3, 1, 2).float()
                seen, embeddings = perceiver.look(pixels, window=False)
                vectors.append(_with_one(embeddings))
                logits.append(seen.attributes[:, self._which].float())
                on_read(min(start + _BATCH, len(rows)), len(rows))
        x = torch.cat(vectors).double().cpu()
        y = torch.cat(logits).double().cpu().clamp(-2.0 * self._sure.cpu(), 2.0 * self._sure.cpu())
        ridge = _RIDGE * len(x) * torch.eye(x.shape[1], dtype=x.dtype)
        self.weight = torch.linalg.solve(x.T @ x + ridge, x.T @ y).float().to(place)

    def told(self, vectors: Tensor) -> Tensor:
        """Raw or unit vectors (B, D) -> logits (B, 2): male, young."""
        return _with_one(vectors) @ self.weight

    def shortfall(self, maps: Sequence[Tensor], vectors: Tensor) -> Tensor:
        """How far images fall short of what their vectors tell.

        Args:
            maps: the embedder's feature maps of the images, see `EmbedderView.maps`.
            vectors: (B, D).

        Returns:
            (B,) from 0, where they show it as surely as the vector tells it, or surely enough; 1 where they leave it
            open though the vector is sure.
        """
        shown = self.heads.of_whole(maps[1:])[1][:, self._which].float()
        told = self.told(vectors)
        return ((torch.minimum(told.abs(), self._sure) - told.sign() * shown).clamp(min=0.0) / self._sure).mean(1)


def _with_one(vectors: Tensor) -> Tensor:
    unit = F.normalize(vectors.float())
    return torch.cat([unit, torch.ones_like(unit[:, :1])], dim=1)
