"""Where a dataset's identity vectors come from: sampled, a table, or photographs of real people."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.readers import find
from nonesuch.generators.generator import GeneratorCard, check_identity_vectors
from nonesuch.identities import table
from nonesuch.identities.embedding import Tally, embed_each
from nonesuch.identities.sampling import keep_apart, one_by_one
from nonesuch.identities.source import IdentitySource
from nonesuch.measures.similarity import normalised
from nonesuch.perception.detection import Detector
from nonesuch.perception.faces import CLOSEST, tell_several
from nonesuch.steering.least_age import LeastAge

_OTHERWISE = "to take others, make a table for --vectors with 'nonesuch embed --face RULE'"

Vectors = tuple[Sequence[str], NDArray[np.float32]]
OnProgress = Callable[[int, int], None]  # done, total


@dataclass(frozen=True)
class VectorSource:
    """Identity vectors, not yet fetched.

    Attributes:
        record: what determines them, JSON-ready; kept in the manifest, and a resumed dataset must have the same.
        shows_real_people: whether they come from photographs or from an unknown place.
        fetch: gives the identities' names and (N, D) raw vectors.
        problems: in words, of each photograph that gave `fetch` no vector.
    """

    record: dict[str, Any]
    shows_real_people: bool
    fetch: Callable[[OnProgress], Vectors]
    problems: list[str] = field(default_factory=list)


def sampled(source: IdentitySource, count: int, seed: int, least_age: LeastAge | None = None) -> VectorSource:
    """`count` identities drawn from a distribution; `fetch` raises NonesuchError if they do not fit.

    Identities that look younger than `least_age` are left out.
    """

    def fetch(on_progress: OnProgress) -> Vectors:
        kept = keep_apart(
            one_by_one(source.draw),
            count,
            seed,
            source.max_cosine,
            rough=source.draw.rough,
            admits=least_age,
            rendered=least_age is not None,
            on_block=lambda kept: on_progress(len(kept.vectors), count),
        )
        return [""] * count, kept.vectors

    record = {"identities": count, **source.record}
    return VectorSource(record if least_age is None else record | least_age.record(), False, fetch)


def from_table(path: Path, generator: GeneratorCard) -> VectorSource:
    """The mean vector of each identity of a table made by `nonesuch identities` or `nonesuch embed`, or of contexts.

    Contexts have no embedder and no length: they are taken for the generator's embedder's, and get its usual length.

    Raises:
        NonesuchError: the table cannot be read, or its vectors are of another embedder or width than the generator's.
    """
    found = table.read(path)
    if not found.embedder:
        check_identity_vectors(found.vectors, generator)
        notice(
            f"{path}: does not say which embedder made its vectors; they are taken for {generator.embedder}'s, and get "
            f"the length that {generator.name} expects"
        )
        found = replace(found, vectors=normalised(found.vectors) * np.float32(generator.vector_norm))
    elif (found.embedder, found.embedder_sha256) != (generator.embedder, generator.embedder_sha256):
        raise NonesuchError(
            f"{path}: vectors of {found.embedder} ({found.embedder_sha256[:8] or 'no hash'}), "
            f"{generator.name} decodes those of {generator.embedder} ({generator.embedder_sha256[:8] or 'no hash'}); "
            "make them with that embedder"
        )
    record: dict[str, Any] = {"vectors_sha256": files.sha256(path)}
    if certified := found.sampled.get("away_from"):
        record["away_from"] = certified
    return VectorSource(record, found.origin != table.SAMPLED, lambda on_progress: table.per_identity(found))


def from_photographs(path: Path, embedder: Embedder, detector: Detector, on_read: OnProgress) -> VectorSource:
    """The mean vector of each person in a photograph, a folder or a tar; a person is a folder, or a lone image.

    Args:
        on_read: told how many photographs of how many have been read for their hash.

    Raises:
        NonesuchError: no images; from `fetch`: none gave a vector.
    """
    photographs = find(path)
    problems: list[str] = []

    def fetch(on_progress: OnProgress) -> Vectors:
        names, vectors, tally = [], [], Tally()
        for done, result in enumerate(tally.of(embed_each(photographs, embedder, detector)), start=1):
            if result.vector is None:
                problems.append(result.problem)
            else:
                names.append(result.photograph.identity)
                vectors.append(result.vector)
            on_progress(done, len(photographs))
        tell_several(path, tally.faces, tally.unclear, CLOSEST, _OTHERWISE)
        if not vectors:
            count = len(photographs)
            raise NonesuchError(f"{path}: none of {count} photographs shows a face; the first: {problems[0]}")
        found = table.VectorTable(names, np.stack(vectors), embedder.name, embedder.card.sha256, table.PHOTOGRAPHS)
        return table.per_identity(found)

    return VectorSource({"reference_sha256": _content_hash(photographs, on_read)}, True, fetch, problems)


def _content_hash(photographs: Sequence[Photograph], on_read: OnProgress) -> str:
    digest = hashlib.sha256()
    for done, photograph in enumerate(photographs, start=1):
        on_read(done, len(photographs))
        digest.update(f"{photograph.name}\0{photograph.identity}\0".encode())
        digest.update(hashlib.sha256(photograph.read_bytes()).digest())
    return digest.hexdigest()
