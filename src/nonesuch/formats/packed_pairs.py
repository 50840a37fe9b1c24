"""insightface's verification sets (`.bin`, compressed `.xz`): pickled lists of crops and of whether pairs match."""

import csv
import pickle
from pathlib import Path

import numpy as np

from nonesuch.core import images
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_SIZE
from nonesuch.core.notices import notice
from nonesuch.formats import safe_pickle
from nonesuch.formats.photographs import HeldPhotograph, Photograph
from nonesuch.formats.to_write import ToWrite

SUFFIXES = (".bin", ".xz")
FOLDS = 10  # of equal size, in the order of the pairs
TABLE = "pairs.csv"
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


def write(folder: Path, wanted: ToWrite) -> None:
    """Write `pairs.bin` and a table that says whose images each pair compares, as `nonesuch evaluate --pairs` reads it.

    An image that several pairs show is in the file once. All images are in memory at a time, as they are for a reader.

    Raises:
        NonesuchError: an image cannot be read or decoded, or is larger than `read` takes.
        OSError: the disk is full.
    """
    encoded, others = [], 0
    for image in wanted:
        if len(image.data) > _LARGEST_CROP:
            raise NonesuchError(
                f"{image.name}: {len(image.data):,} bytes, more than the {_LARGEST_CROP:,} that a packed set may have; "
                "make crops with 'nonesuch embed IN --crops FOLDER'"
            )
        others += images.decode(image.data, image.name).shape[:2] != (CROP_SIZE, CROP_SIZE)
        encoded.append(image.data)
    mated = (wanted.labels[wanted.pairs[:, 0]] == wanted.labels[wanted.pairs[:, 1]]).tolist()
    with (folder / "pairs.bin").open("wb") as file:
        # Protocol 3 is the first that has bytes; 2 would name a function that makes them, which safe readers refuse.
        pickle.dump(([encoded[row] for row in wanted.pairs.ravel().tolist()], mated), file, protocol=3)
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["fold", "mated", "left", "left_identity", "right", "right_identity"])
        for number, pair in enumerate(wanted.pairs.tolist()):
            left, right = (wanted.photographs[row] for row in pair)
            fold = number * FOLDS // len(mated) + 1
            rows.writerow([fold, int(mated[number]), left.name, left.identity, right.name, right.identity])
    if others:
        notice(
            f"{others} of {len(encoded)} images are not {CROP_SIZE}x{CROP_SIZE}, which 'nonesuch evaluate' asks of a "
            "packed set; 'nonesuch embed IN --crops FOLDER' makes such crops"
        )
