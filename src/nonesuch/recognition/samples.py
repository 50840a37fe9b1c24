"""Labelled faces as training batches, augmented by draws that belong to each sample."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_SIZE, Pixels
from nonesuch.core.seeding import Stream, uniform
from nonesuch.formats.crops import CropReader
from nonesuch.formats.photograph_lists import classes_of
from nonesuch.formats.photographs import Photograph
from nonesuch.loop.trainer import Batch
from nonesuch.recognition.augmentation import AUGMENTATION_DRAWS

_BLOCK = 512  # images read at once into the memory


class FaceSamples:
    """Aligned faces and their classes.

    Args:
        photographs: their identity is the class.
        read: gives the crops (N, 112, 112, 3) uint8 of some photographs; decodes their files by default.
        people: names that are classes too, of a run that began with more images.

    Attributes:
        identities: the classes' names, in their order.

    Raises:
        NonesuchError: fewer than two identities, or none with two images.
    """

    def __init__(
        self,
        photographs: Sequence[Photograph],
        read: Callable[[Sequence[Photograph]], Pixels] | None = None,
        people: Iterable[str] = (),
    ) -> None:
        self.photographs = photographs
        names, codes = classes_of(photographs)
        self.identities = sorted({*people, *names})
        if len(self.identities) < 2:
            raise NonesuchError("training a recogniser needs at least two identities; these images show one")
        if len(self.identities) == len(self.photographs):
            raise NonesuchError("no identity has two images; label them by folders, as in identity/image.jpg")
        place = {identity: row for row, identity in enumerate(self.identities)}
        self.labels = np.array([place[name] for name in names], dtype=np.int32)[codes]
        self._read = read or CropReader()
        self._pixels: Pixels | None = None

    def keep(self, on_image: Callable[[int], None] = lambda done: None) -> None:
        """Read all of them now and keep them in memory, 38 KB each; errors as in reading."""
        pixels = np.empty((len(self.photographs), CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
        for start in range(0, len(pixels), _BLOCK):
            pixels[start : start + _BLOCK] = self._read(self.photographs[start : start + _BLOCK])
            on_image(min(start + _BLOCK, len(pixels)))
        self._pixels = pixels

    def __len__(self) -> int:
        return len(self.photographs)

    def load(self, indices: NDArray[np.int64], seeds: list[int]) -> Batch:
        """pixels (B, 3, 112, 112) uint8 RGB, labels (B,) int64, draws (B, AUGMENTATION_DRAWS) float32 in [0, 1)."""
        if self._pixels is not None:
            pixels = self._pixels[indices]
        else:
            pixels = self._read([self.photographs[row] for row in indices])
        draws = np.stack([uniform(seed, Stream.AUGMENTATION, AUGMENTATION_DRAWS) for seed in seeds])
        return {
            "pixels": torch.from_numpy(pixels).permute(0, 3, 1, 2),
            "labels": torch.from_numpy(self.labels[indices].astype(np.int64)),
            "draws": torch.from_numpy(draws.astype(np.float32)),
        }
