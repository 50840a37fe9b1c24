"""Lists of comparisons: LFW's pairs.txt, CSV lists, CFP's protocol folder, insightface's .bin and .xz sets."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nonesuch.core import images
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import read_text
from nonesuch.core.images import CROP_SIZE
from nonesuch.evaluation.names import ImageNames
from nonesuch.formats import packed_pairs
from nonesuch.formats.packed_pairs import FOLDS
from nonesuch.formats.photographs import HeldPhotograph, Photograph

_WORDS = {True: ("1", "true", "yes", "mated"), False: ("0", "false", "no", "non-mated")}


@dataclass(frozen=True)
class Comparisons:
    """Comparisons of images of one set.

    Attributes:
        left, right: (N,) int64 rows of the images.
        mated: (N,) bool, whether both show one person.
        folds: (N,) int64, 1 .. .
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    mated: NDArray[np.bool_]
    folds: NDArray[np.int64]

    def of_folds(self, chosen: set[int]) -> "Comparisons":
        """Only those of some folds.

        Raises:
            NonesuchError: a fold does not exist, or there are fewer than two.
        """
        known = set(np.unique(self.folds).tolist())
        if not chosen <= known or len(chosen) < 2:
            raise NonesuchError(
                f"--folds: name at least two of {min(known)}-{max(known)}; a fold's threshold comes from the others"
            )
        keep = np.isin(self.folds, sorted(chosen))
        return Comparisons(self.left[keep], self.right[keep], self.mated[keep], self.folds[keep])

    def used(self) -> "tuple[NDArray[np.int64], Comparisons]":
        """Rows of the images that take part, ascending, and the comparisons by places among these."""
        rows, places = np.unique(np.concatenate([self.left, self.right]), return_inverse=True)
        half = len(self.left)
        return rows, Comparisons(places[:half], places[half:], self.mated, self.folds)


def read_pairs(path: Path, photographs: list[Photograph]) -> Comparisons:
    """A list of comparisons between photographs.

    The list has one of three forms. One is a `pairs.txt` as LFW's (first line `folds n`; three fields `person i j` for
    one person, four `person i person j` for two). Another is a CSV with the columns `left`, `right` (file names),
    `mated` (1 or 0) and optionally `fold`. The third is a folder with CFP's protocol (`Split/FP/01/same.txt`, ...
    beside `Pair_list_F.txt` and `Pair_list_P.txt`).

    Raises:
        NonesuchError: the list cannot be read, a line is not a comparison, or an image is not there.
    """
    if path.is_dir():
        return _cfp(path, photographs)
    text = read_text(path)
    kind = path.suffix.lower()
    return _csv(path, text, photographs) if kind in (".csv", ".tsv") else _lfw(path, text, photographs)


def _lfw(path: Path, text: str, photographs: list[Photograph]) -> Comparisons:
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if not lines or len(lines[0]) > 2 or not all(field.isdigit() for field in lines[0]):
        raise NonesuchError(f"{path}: its first line should be 'folds n' as in LFW's pairs.txt")
    folds, each = (int(lines[0][0]), int(lines[0][1])) if len(lines[0]) == 2 else (1, int(lines[0][0]))
    if len(lines) - 1 != folds * 2 * each:
        raise NonesuchError(f"{path}: {len(lines) - 1} pairs, its first line says {folds * 2 * each}; copy it again")
    rows_of, found = ImageNames(photographs), []
    for number, fields in enumerate(lines[1:]):
        if len(fields) not in (3, 4) or not fields[1].isdigit() or not fields[-1].isdigit():
            raise NonesuchError(f"{path}: line {number + 2} is not a pair: {' '.join(fields)}")
        first, second = fields[0], fields[0] if len(fields) == 3 else fields[2]
        names = (f"{first}/{first}_{int(fields[1]):04d}", f"{second}/{second}_{int(fields[-1]):04d}")
        left, right = (rows_of.row(name, path) for name in names)
        found.append((left, right, len(fields) == 3, number // (2 * each) + 1))
    return _comparisons(path, found)


def _csv(path: Path, text: str, photographs: list[Photograph]) -> Comparisons:
    delimiter = max(",\t;", key=text.partition("\n")[0].count)
    rows = list(csv.DictReader(text.splitlines(), delimiter=delimiter))
    if not rows or not {"left", "right", "mated"} <= set(rows[0]):
        raise NonesuchError(f"{path}: a CSV of pairs has the columns left, right, mated (1 or 0) and perhaps fold")
    rows_of, found = ImageNames(photographs), []
    seen = {True: 0, False: 0}
    counts = {kind: sum(str(row["mated"]).strip().lower() in words for row in rows) for kind, words in _WORDS.items()}
    for number, row in enumerate(rows):
        said = next((kind for kind, words in _WORDS.items() if str(row["mated"]).strip().lower() in words), None)
        if said is None or row["left"] is None or row["right"] is None:
            raise NonesuchError(f"{path}: line {number + 2}: it needs left, right and mated, which is 1 or 0")
        # Without folds, each kind is dealt out in order, so that a fold holds both kinds whatever the order of the
        # lines.
        fold = str(row.get("fold") or seen[said] * FOLDS // counts[said] + 1)
        if not fold.isdigit():
            raise NonesuchError(f"{path}: line {number + 2}: fold must be a number")
        seen[said] += 1
        found.append((rows_of.row(row["left"], path), rows_of.row(row["right"], path), said, int(fold)))
    return _comparisons(path, found)


def _cfp(folder: Path, photographs: list[Photograph]) -> Comparisons:
    """CFP's frontal-profile protocol (its frontal-frontal one where there is no other)."""
    kind = next((kind for kind in ("FP", "FF") if (folder / "Split" / kind).is_dir()), None)
    if kind is None:
        raise NonesuchError(f"{folder}: no Split/FP as in CFP's protocol folder")
    try:
        lists = [_cfp_list(folder / f"Pair_list_{letter}.txt") for letter in ("F", kind[1])]
        splits = sorted((folder / "Split" / kind).iterdir())
        rows_of, found = ImageNames(photographs), []
        for fold, split in enumerate(splits, start=1):
            for file, mated in (("same.txt", True), ("diff.txt", False)):
                for line in read_text(split / file).split():
                    numbers = line.split(",")
                    left, right = (rows_of.row(names[int(n)], folder) for names, n in zip(lists, numbers, strict=True))
                    found.append((left, right, mated, fold))
    except (OSError, ValueError, KeyError) as error:
        raise NonesuchError(f"{folder}: not CFP's protocol folder ({error})") from error
    return _comparisons(folder, found)


def _cfp_list(path: Path) -> dict[int, str]:
    lines = [line.split() for line in read_text(path).splitlines() if line.strip()]
    return {int(fields[0]): "/".join(fields[1].split("/")[-3:]) for fields in lines}


def _comparisons(path: Path, found: list[tuple[int, int, bool, int]]) -> Comparisons:
    if not found:
        raise NonesuchError(f"{path}: holds no pairs")
    left, right, mated, folds = (np.array(column) for column in zip(*found, strict=True))
    return Comparisons(left.astype(np.int64), right.astype(np.int64), mated.astype(bool), folds.astype(np.int64))


def read_packed(path: Path) -> tuple[list[HeldPhotograph], Comparisons]:
    """insightface's `.bin`, or the same compressed (`.xz`): aligned crops and their comparisons, ten folds in order.

    Returns:
        2N images, and comparisons of rows 2i and 2i + 1.

    Raises:
        NonesuchError: the file is refused or damaged, or an image cannot be decoded or is not of 112x112 pixels.
    """
    held, labels = packed_pairs.read(path)
    for item in held:
        height, width = images.decode(item.data, f"{path}: {item.name}").shape[:2]
        if (height, width) != (CROP_SIZE, CROP_SIZE):
            raise NonesuchError(f"{path}: {item.name} is {width}x{height}, not {CROP_SIZE}x{CROP_SIZE}")
    at = np.arange(len(labels))
    return held, Comparisons(2 * at, 2 * at + 1, np.array(labels), at * FOLDS // len(labels) + 1)
