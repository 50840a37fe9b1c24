"""A sample of a dataset's identities, for datasets that are too large to look at every image."""

from dataclasses import replace

from nonesuch.core.seeding import Stream, derive_seed, permutation
from nonesuch.formats.source import Source


def sample_of(source: Source, identities: int | None, seed: int) -> tuple[Source, dict[str, int] | None]:
    """All images of so many identities, drawn by a seed.

    Args:
        identities: how many; None for all.

    Returns:
        The sample, and what it is for audit.json: `identities`, of how many (`of`), and `seed`. The source as it is and
        None where there are not more identities than wanted.
    """
    if identities is None:
        return source, None
    people = sorted({photograph.identity for photograph in source.photographs})
    if len(people) <= identities:
        return source, None
    drawn = {people[row] for row in permutation(derive_seed(seed), Stream.SPLIT, len(people))[:identities]}
    photographs = [photograph for photograph in source.photographs if photograph.identity in drawn]
    told = {"identities": identities, "of": len(people), "seed": seed}
    return replace(source, photographs=photographs, is_sample=True), told
