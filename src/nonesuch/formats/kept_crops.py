"""Decoded crops in a file that all processes of a host map, so that the host holds them once."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_BYTES, CROP_SIZE, Pixels
from nonesuch.formats.photographs import Photograph

_AT_ONCE = 512  # crops


def write_crops(
    path: Path,
    photographs: Sequence[Photograph],
    read: Callable[[Sequence[Photograph]], Pixels],
    on_crop: Callable[[int], None],
) -> None:
    """Write the crops of photographs one after the other, 38 KB each.

    Args:
        read: gives the crops (N, 112, 112, 3) uint8 of some of them.
        on_crop: told how many are written.

    Raises:
        NonesuchError: the disk has no space for all, or a crop cannot be read.
    """
    try:
        path.unlink(missing_ok=True)  # a killed run's, whose space this one takes
        needed, free = len(photographs) * CROP_BYTES, shutil.disk_usage(path.parent).free
        if needed > free:
            raise NonesuchError(
                f"{path.parent}: --cache needs {needed / 1e6:,.1f} MB there, {free / 1e6:,.1f} MB are free; let "
                "NONESUCH_CACHE name a folder on another disk, or leave out --cache"
            )
        with path.open("wb") as handle:
            for start in range(0, len(photographs), _AT_ONCE):
                crops = read(photographs[start : start + _AT_ONCE])
                handle.write(np.ascontiguousarray(crops).data)
                on_crop(start + len(crops))
    except OSError as error:
        raise files.write_error(path, error) from error


def map_crops(path: Path) -> Pixels:
    """(N, 112, 112, 3) uint8 that a file of `write_crops` holds; it is read from the disk as far as it is looked at."""
    crops: Pixels = np.memmap(path, np.uint8, "r").reshape(-1, CROP_SIZE, CROP_SIZE, 3)
    return crops
