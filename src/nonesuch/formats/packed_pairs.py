"""insightface's verification sets (`.bin`, compressed `.xz`): pickled lists of crops and of whether pairs match."""

from pathlib import Path

import numpy as np

from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice
from nonesuch.formats import safe_pickle
from nonesuch.formats.photographs import HeldPhotograph, Photograph

SUFFIXES = (".bin", ".xz")
_LARGEST_CROP = 1 << 20  # bytes of an encoded crop, which has 37,632 uncompressed


def takes(path: Path) -> bool:
    """Files called `.bin` or `.xz`."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


def find(path: Path, split: str | None) -> list[Photograph]:
    """All images, each of a person of its own, since pairs name nobody; there are no splits, so `split` is ignored.

    Raises:
        NonesuchError: as in `read`.
    """
    held, _ = read(path)
    notice(f"{path}: pairs name no identities, so each image counts as one; 'nonesuch evaluate' uses the pairs")
    return list(held)


def read(path: Path) -> tuple[list[HeldPhotograph], list[bool]]:
    """The 2N encoded images, held in memory, and of each pair of neighbours whether it shows one person.

    Raises:
        NonesuchError: the file is refused or damaged.
    """
    content = safe_pickle.plain(safe_pickle.load(path))
    parts = [safe_pickle.plain(part) for part in content] if isinstance(content, list | tuple) else []
    if len(parts) != 2 or not all(isinstance(part, list | tuple | np.ndarray) for part in parts):
        raise NonesuchError(f"{path}: not a list of images and a list of labels")
    encoded, labels = parts
    if len(encoded) != 2 * len(labels) or not len(labels):
        raise NonesuchError(f"{path}: {len(encoded)} images for {len(labels)} pairs")
    held = []
    for number, data in enumerate(encoded):
        item = safe_pickle.plain(data)
        raw = item.tobytes() if isinstance(item, np.ndarray) else item
        if not isinstance(raw, bytes) or len(raw) > _LARGEST_CROP:
            raise NonesuchError(f"{path}: image {number} is not an encoded image")
        held.append(HeldPhotograph(f"image {number}", "", path, data=raw))
    if not all(isinstance(label, bool | int | np.bool_ | np.integer) for label in labels):
        raise NonesuchError(f"{path}: its labels are not truth values")
    return held, [bool(label) for label in labels]
