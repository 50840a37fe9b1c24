"""Fitting the distribution of identity vectors."""

from dataclasses import dataclass
from pathlib import Path

from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path
from nonesuch.identities import statistics, table


@dataclass(frozen=True)
class FittedStatistics:
    """What was fitted.

    Attributes:
        file: the `.safetensors` file of mean and axes.
        people: how many they come from.
        axes: how many there are.
        embedder: the embedder of the vectors.
    """

    file: Path
    people: int
    axes: int
    embedder: str


def fit_statistics(embeddings: AnyPath, out: AnyPath) -> FittedStatistics:
    """Fit mean and principal axes of people's mean vectors; each person counts once.

    Args:
        embeddings: a table that `embed_photographs` wrote.
        out: the `.safetensors` file to write; `sample_identities` and `generate_dataset` take it as `statistics`.

    Raises:
        NonesuchError: the file is not a table of vectors or names no embedder, holds fewer than two people, or `out`
            cannot be written.

    Example:
        nonesuch.fit_statistics("people.parquet", "statistics.safetensors")
    """
    found = table.read(as_path(embeddings))
    if not found.embedder:
        raise NonesuchError(
            f"{embeddings}: does not say which embedder made its vectors, and statistics must; make a table of them "
            "with 'nonesuch embed'"
        )
    fitted = statistics.fit(found.vectors, found.identities, found.embedder_sha256)
    statistics.save(fitted, as_path(out))
    return FittedStatistics(as_path(out), fitted.people, len(fitted.spread), found.embedder)
