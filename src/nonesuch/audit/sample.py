"""A sample of a dataset's identities, for datasets that are too large to look at every image."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from nonesuch.core.seeding import Stream, derive_seed, permutation
from nonesuch.formats.photograph_lists import chosen, classes_of
from nonesuch.formats.source import Source

Sample = tuple[Source, dict[str, int] | None]


def find_samples(paths: Mapping[str, Path], columns_in: Path, identities: int | None, seed: int) -> dict[str, Sample]:
    """All images of so many identities of each dataset, drawn by a seed.

    Args:
        paths: of the datasets, by name.
        columns_in: as of `Source`.
        identities: how many; None for all.

    Returns:
        By name the sample, and what it is for audit.json: `identities`, of how many (`of`), and `seed`. The whole and
        None where there are not more identities than wanted.

    Raises:
        NonesuchError: a dataset cannot be read.
    """
    found = {name: Source.at(path, columns_in=columns_in) for name, path in paths.items()}
    return {name: _drawn(source, identities, seed) for name, source in found.items()}


def _drawn(source: Source, identities: int | None, seed: int) -> Sample:
    if identities is None:
        return source, None
    people, shown = classes_of(source.photographs)
    if len(people) <= identities:
        return source, None
    drawn = permutation(derive_seed(seed), Stream.SPLIT, len(people))[:identities]
    photographs = chosen(source.photographs, np.isin(shown, drawn))
    told = {"identities": identities, "of": len(people), "seed": seed}
    return replace(source, photographs=photographs, is_sample=True), told
