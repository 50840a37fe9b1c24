"""What a test compares: photographs, and the figures that follow from their embeddings."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.core import tables
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice
from nonesuch.evaluation.all_pairs import check_count
from nonesuch.evaluation.figures import check_both_kinds, pair_figures, within_groups
from nonesuch.evaluation.pairs import Comparisons, read_packed, read_pairs
from nonesuch.evaluation.people import people_figures, people_rates
from nonesuch.evaluation.probes import Embedded
from nonesuch.formats.photographs import Photograph, check_known, plain_name, read_names
from nonesuch.measures.fairness import Groups

_MOST_PER_PERSON = 10


@dataclass(frozen=True)
class Benchmark:
    """A test of embedders.

    Attributes:
        title: what is compared, in words.
        photographs: the images that take part.
        figures: the figures of their embeddings, JSON-ready.
        landmarks: (N, 5, 2) of the images where the protocol gives them, otherwise None.
        rates_refusing: used instead of `figures` where images are refused and `figures` would leave them out.
    """

    title: str
    photographs: list[Photograph]
    figures: Callable[[Embedded], dict[str, Any]]
    landmarks: NDArray[np.float64] | None = None
    rates_refusing: Callable[[Embedded, NDArray[np.bool_]], dict[str, Any]] | None = None

    def refusing(self, found: Embedded, refused: NDArray[np.bool_]) -> dict[str, Any]:
        """The figures, or the rates among them, if (N,) more images were refused as if they showed no face."""
        if self.rates_refusing is not None:
            return self.rates_refusing(found, refused)
        return self.figures(found.without(refused))


def packed_benchmark(path: Path, folds: str | None) -> Benchmark:
    """The comparisons of insightface's `.bin` or an `.xz`; errors as in `read_packed`."""
    images, listed = read_packed(path)
    return _of_comparisons(list(images), listed, folds)


def pair_benchmark(photographs: list[Photograph], pairs: Path, folds: str | None, groups: Path | None) -> Benchmark:
    """A list of comparisons between photographs.

    Args:
        folds: such as "8-10" or "1,2,5"; None for all.
        groups: CSV `identity`, `group`, for error rates per group.

    Raises:
        NonesuchError: as in `read_pairs` and `Comparisons.of_folds`, or the groups fit no image.
    """
    return _of_comparisons(photographs, read_pairs(pairs, photographs), folds, groups, named=True)


def people_benchmark(photographs: list[Photograph], people: Path | None, allow_unknown: bool = False) -> Benchmark:
    """All comparisons of at most 10 images of each person, the first in name order; and identification.

    Args:
        people: a list of names; None for everyone.
        allow_unknown: whether it may name who is not there.

    Raises:
        NonesuchError: as in `read_names` and `check_known`, or there is nothing to compare.
    """
    names = None if people is None else read_names(people)
    if names is not None:
        check_known("--people", names, {plain_name(item.identity) for item in photographs}, allow_unknown)
    kept = _capped(photographs, names)
    check_count(len(kept))
    labels = np.unique([photograph.identity for photograph in kept], return_inverse=True)[1]
    title = f"all comparisons of {len(kept):,} images of {labels.max() + 1:,} people, 95% intervals over people"
    return Benchmark(title, kept, partial(people_figures, labels), rates_refusing=partial(people_rates, labels))


def _of_comparisons(
    photographs: list[Photograph],
    listed: Comparisons,
    folds: str | None,
    groups: Path | None = None,
    named: bool = False,
) -> Benchmark:
    """`named`: whether it is known whom the photographs show; otherwise each comparison stands for itself."""
    rows, comparisons = (listed if folds is None else listed.of_folds(_numbers(folds))).used()
    check_both_kinds(comparisons.mated)  # before any image is read in vain
    if len(np.unique(comparisons.folds)) < 2:
        raise NonesuchError("there is only one fold; accuracy needs a threshold from other folds")
    used = [photographs[row] for row in rows]
    mated = int(comparisons.mated.sum())
    title = f"{mated:,} mated and {len(comparisons.mated) - mated:,} non-mated comparisons"
    known = None if groups is None else _groups(groups, used)
    if known is not None:
        within_groups(comparisons, known)  # or an error, before any image is read in vain
    people = np.zeros(len(used), dtype=np.int64)
    if named:
        people = np.unique([item.identity for item in used], return_inverse=True)[1].astype(np.int64)
    else:
        for side in (comparisons.left, comparisons.right):
            people[side] = np.arange(len(side))
    return Benchmark(title, used, partial(pair_figures, comparisons, people, known))


def _groups(path: Path, photographs: list[Photograph]) -> Groups:
    table = tables.read_columns(path, ["identity", "group"])
    named = zip(table["identity"], table["group"], strict=True)
    known = {plain_name(name): group or "" for name, group in named if name is not None}
    found = np.array([known.get(plain_name(photograph.identity), "") for photograph in photographs])
    if not (found != "").any():
        raise NonesuchError(f"{path}: names none of the test's people, such as {photographs[0].identity}")
    if nowhere := len({item.identity for item, group in zip(photographs, found, strict=True) if not group}):
        notice(f"{path}: {nowhere} of the test's people are in none of its groups")
    return Groups(found, np.unique([item.identity for item in photographs], return_inverse=True)[1].astype(np.int64))


def _capped(photographs: list[Photograph], people: set[str] | None) -> list[Photograph]:
    """The first images of each person in name order: otherwise one person would make most mated comparisons."""
    counts: dict[str, int] = {}
    kept = []
    for photograph in photographs:
        if people is not None and plain_name(photograph.identity) not in people:
            continue
        counts[photograph.identity] = counts.get(photograph.identity, 0) + 1
        if counts[photograph.identity] <= _MOST_PER_PERSON:
            kept.append(photograph)
    if len(counts) < 2 or max(counts.values()) < 2:
        raise NonesuchError(f"--data: {len(counts)} people; a comparison needs two, and one of them twice")
    return kept


def _numbers(text: str) -> set[int]:
    found: set[int] = set()
    try:
        for part in text.split(","):
            low, _, high = part.partition("-")
            found |= set(range(int(low), int(high or low) + 1))
    except ValueError as error:
        raise NonesuchError(f"--folds {text}: write it as 8-10 or 1,2,5") from error
    return found
