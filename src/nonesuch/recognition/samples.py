"""Labelled faces as training batches, augmented by draws that belong to each sample."""

import os
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import as_path, clear_old, make_folder, text_sha256
from nonesuch.core.images import Pixels
from nonesuch.core.seeding import Stream, uniform_each
from nonesuch.formats.crops import CropReader
from nonesuch.formats.kept_crops import map_crops, write_crops
from nonesuch.formats.photograph_lists import classes_of
from nonesuch.formats.photographs import Photograph
from nonesuch.loop import distributed
from nonesuch.loop.trainer import Batch
from nonesuch.recognition.augmentation import AUGMENTATION_DRAWS


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
        self._file: Path | None = None
        self._pixels: Pixels | None = None

    @contextmanager
    def kept(self, folder: Path, on_image: Callable[[int], None] = lambda done: None) -> Iterator[None]:
        """Inside the block all are decoded, in a file that the processes of this host share; the first one writes it.

        Args:
            folder: where it lies, of this run alone, unless NONESUCH_CACHE of the environment names another one.

        Raises:
            NonesuchError: the disk is full, or as in reading.
        """
        place = as_path(os.environ.get("NONESUCH_CACHE") or folder)
        # A name as of files that are half-written, which are cleared away once their process has been killed.
        run = text_sha256(f"{platform.node()} {folder.resolve()}")[:16]
        path = place / f".crops_{run}.0.tmp"

        def write() -> None:
            make_folder(place)
            if place != folder:
                clear_old(place)  # one that a living run has mapped stays there for that run
            write_crops(path, self.photographs, self._read, on_image)

        try:
            distributed.first_of_host_does(write)
            self._file, self._pixels = path, map_crops(path)
            yield
        finally:
            self._file = self._pixels = None
            if distributed.is_first_of_host():
                with suppress(OSError):  # where it could not be written, the error of writing it tells why
                    path.unlink(missing_ok=True)

    def __getstate__(self) -> dict[str, Any]:
        """Without the crops: another process maps their file."""
        return self.__dict__ | {"_pixels": None, "_read": None if self._file else self._read}

    def __len__(self) -> int:
        return len(self.photographs)

    def load(self, indices: NDArray[np.int64], seeds: list[int]) -> Batch:
        """pixels (B, 3, 112, 112) uint8 RGB; labels (B,) int64; draws_here (B, AUGMENTATION_DRAWS) in [0, 1)."""
        if self._file and self._pixels is None:
            self._pixels = map_crops(self._file)
        if self._pixels is not None:
            pixels = self._pixels[indices]
        else:
            pixels = self._read([self.photographs[row] for row in indices])
        draws = uniform_each(seeds, Stream.AUGMENTATION, AUGMENTATION_DRAWS)
        return {
            "pixels": torch.from_numpy(pixels).permute(0, 3, 1, 2),
            "labels": torch.from_numpy(self.labels[indices].astype(np.int64)),
            "draws_here": torch.from_numpy(draws.astype(np.float32)),
        }
