"""Samples for tests of loading, which worker processes import: quickly."""

import time

import numpy as np
import torch
from torch import Tensor

from nonesuch.core.errors import NonesuchError

BAD = 13


class SlowPoints:
    """Twenty points, each with its seed; loading takes `seconds`, and the point `bad` cannot be read."""

    def __init__(self, seconds: float = 0.0, bad: int = -1) -> None:
        self.seconds, self.bad = seconds, bad

    def __len__(self) -> int:
        return 20

    def load(self, indices: np.ndarray, seeds: list[int]) -> dict[str, Tensor]:
        if self.bad in indices:
            raise NonesuchError(f"{self.bad}.png: not a readable image")
        time.sleep(self.seconds)
        x = torch.tensor(indices / 10.0).float()[:, None]
        noise = torch.tensor([seed % 1000 / 1e4 for seed in seeds])[:, None]
        # An image as `FaceSamples` has it: channels last in memory.
        pixels = torch.arange(len(seeds) * 48, dtype=torch.uint8).reshape(-1, 4, 4, 3).permute(0, 3, 1, 2)
        return {"x": x, "y": 2 * x - 1 + noise, "pixels": pixels}
