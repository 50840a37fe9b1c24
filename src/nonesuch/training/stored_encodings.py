"""What a frozen network says of all photographs and of their mirror images, kept on the disk for a whole training."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nonesuch.core import files
from nonesuch.core.images import Pixels
from nonesuch.formats.crops import CropReader
from nonesuch.formats.photographs import Photograph
from nonesuch.loop.progress import OnProgress

_AT_ONCE = 32


def stored_encodings(
    path: Path,
    photographs: Sequence[Photograph],
    shape: tuple[int, ...],
    encode: Callable[[Pixels], NDArray[np.floating]],
    what: str,
    on_progress: OnProgress,
) -> None:
    """Write (2N, *shape) float16: photograph i at 2i, its mirror image at 2i + 1; nothing is done where that is there.

    Args:
        path: of the `.npy` file.
        photographs: N of them.
        encode: (B, 112, 112, 3) uint8 crops -> (2B, *shape), each crop and its mirror image one after the other.
        what: is being done, in words.
        on_progress: told so, and how many photographs are done.

    Raises:
        NonesuchError: a photograph cannot be read, or the disk is full.
    """
    whole = (2 * len(photographs), *shape)
    if path.exists() and np.load(path, mmap_mode="r", allow_pickle=False).shape == whole:
        return
    with files.replacing(path) as temporary:
        read, stored = CropReader(), np.lib.format.open_memmap(temporary, "w+", np.float16, whole)
        for start in range(0, len(photographs), _AT_ONCE):
            pixels = read(photographs[start : start + _AT_ONCE])
            stored[2 * start : 2 * start + 2 * len(pixels)] = encode(pixels)
            on_progress(what, start + len(pixels), len(photographs))
        stored.flush()
