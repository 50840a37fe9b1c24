"""The aligned crops of photographs as tensors, for training."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.core.images import CROP_BYTES, CROP_SIZE, Pixels
from nonesuch.formats.photographs import Photograph

_BLOCK = 1024  # decoded at once
_SHARE = 0.25  # of an accelerator's free memory that crops may take


class CropReader:
    """Photographs -> (N, 112, 112, 3) uint8 RGB, decoded by threads; errors as `Photograph.read_crop`.

    Args:
        threads: a copy in another process has one, since there is a process for each core.
    """

    def __init__(self, threads: int = 2) -> None:
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def __reduce__(self) -> tuple[type["CropReader"], tuple[int]]:
        return CropReader, (1,)

    def __call__(self, photographs: Sequence[Photograph]) -> Pixels:
        crops = np.empty((len(photographs), CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
        read = map if self._pool is None else self._pool.map
        for row, crop in enumerate(read(Photograph.read_crop, photographs)):
            crops[row] = crop
        return crops


class Crops:
    """The crops of photographs: decoded whenever they are asked for, or once and kept on an accelerator.

    Args:
        photographs: of aligned 112x112 faces.
        device: where batches are wanted. An accelerator keeps all crops if a quarter of its free memory holds them, at
            38 KB each; otherwise, and on a CPU, they are in main memory and decoded again each time.
        on_crop: told how many are decoded.

    Raises:
        NonesuchError: as `Photograph.read_crop`.
    """

    def __init__(
        self,
        photographs: Sequence[Photograph],
        device: torch.device | None = None,
        on_crop: Callable[[int], None] = lambda done: None,
    ) -> None:
        self.photographs = list(photographs)
        self._read = CropReader()
        self._kept: Tensor | None = None
        if device is not None and device.type != "cpu" and len(photographs) * CROP_BYTES <= _SHARE * _free(device):
            self._kept = torch.empty(len(photographs), CROP_SIZE, CROP_SIZE, 3, dtype=torch.uint8, device=device)
            for start in range(0, len(photographs), _BLOCK):
                rows = np.arange(start, min(start + _BLOCK, len(photographs)))
                self._kept[start : start + len(rows)] = self._decoded(rows).to(device)
                on_crop(start + len(rows))

    def __len__(self) -> int:
        return len(self.photographs)

    def read(self, indices: NDArray[np.int64]) -> Tensor:
        """(B, 112, 112, 3) uint8 RGB of these photographs."""
        if self._kept is None:
            return self._decoded(indices)
        return self._kept[torch.from_numpy(indices).to(self._kept.device, non_blocking=True)]

    def _decoded(self, indices: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self._read([self.photographs[index] for index in indices]))


def _free(device: torch.device) -> float:
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else float("inf")
