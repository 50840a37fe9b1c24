"""Which distribution identities are drawn from, and how far apart they are kept, for a given generator."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nonesuch.core import files
from nonesuch.core.arguments import Choice
from nonesuch.core.errors import NonesuchError
from nonesuch.embedders.embedder import EmbedderCard
from nonesuch.generators.generator import GeneratorCard
from nonesuch.identities import statistics
from nonesuch.identities.distributions import Distribution, PcaGaussian, Sphere

DEFAULT_FMR = 1e-4
SAMPLING = Choice(("pca", "sphere"))


@dataclass(frozen=True)
class IdentitySource:
    """A way of drawing identities.

    Attributes:
        draw: maps a seed to a (D,) raw vector.
        max_cosine: largest cosine between two identities.
        record: the same in words and numbers, for a dataset's manifest.
    """

    draw: Distribution
    max_cosine: float
    record: dict[str, Any]


@dataclass(frozen=True)
class SamplingOptions:
    """What a user may say about the sampling; None leaves a point open.

    Attributes:
        sampling: "pca" (Gaussian over real people's mean vectors) or "sphere" (uniform); open: "pca" where there are
            statistics.
        statistics_file: replaces the generator's own.
        max_similarity: largest cosine between two identities; open: from `fmr`.
        fmr: false match rate of the embedder at that cosine; open: 1e-4, or the generator's own cosine where the
            embedder is not at hand.
    """

    sampling: str | None = None
    statistics_file: Path | None = None
    max_similarity: float | None = None
    fmr: float | None = None

    def __post_init__(self) -> None:
        if self.max_similarity is not None and self.fmr is not None:
            raise NonesuchError("--max-similarity and --fmr set the same limit; give one of them")
        if self.sampling == "sphere" and self.statistics_file is not None:
            raise NonesuchError("--statistics goes with --sampling pca, not sphere")


def identity_source(
    generator: GeneratorCard, weights: Path, embedder: EmbedderCard | None, options: SamplingOptions
) -> IdentitySource:
    """Settle what the user left open.

    Args:
        generator: its card.
        weights: its weight file; statistics that ship with it lie beside it.
        embedder: card of the embedder whose vectors it decodes, where that is at hand.
        options: what the user said.

    Raises:
        NonesuchError: options that contradict each other, no statistics, statistics of another embedder or width, a
            cosine out of range, an FMR without a known threshold.
    """
    sampling, statistics_file = options.sampling, options.statistics_file
    max_cosine = separation(generator, embedder, options)
    path = statistics_file or (weights.with_name(generator.statistics) if generator.statistics else None)
    if (sampling or ("pca" if path else "sphere")) == "sphere":
        record = {"sampling": "sphere", "max_similarity": max_cosine}
        return IdentitySource(Sphere(generator.feature_dim, generator.vector_norm), max_cosine, record)
    if sampling not in (None, "pca"):
        raise NonesuchError(f"--sampling {sampling}: unknown; use pca or sphere")
    if path is None:
        raise NonesuchError(
            f"{generator.name} ships no identity statistics; use --sampling sphere or --statistics FILE"
        )
    found = statistics.load(path)
    if found.embedder_sha256 != generator.embedder_sha256:
        raise NonesuchError(
            f"{path}: statistics of another embedder than {generator.embedder}; fit them on its vectors"
        )
    if len(found.mean) != generator.feature_dim:
        raise NonesuchError(f"{path}: width {len(found.mean)}, {generator.name} takes {generator.feature_dim}")
    record = {"sampling": "pca", "statistics_sha256": files.sha256(path), "max_similarity": max_cosine}
    return IdentitySource(PcaGaussian(found), max_cosine, record)


def separation(generator: GeneratorCard, embedder: EmbedderCard | None, options: SamplingOptions) -> float:
    """The largest cosine between two identities; arguments and errors as in `identity_source`."""
    if options.max_similarity is not None:
        return options.max_similarity
    if embedder is not None:
        return embedder.threshold(options.fmr or DEFAULT_FMR)
    if options.fmr is not None:
        raise NonesuchError(f"--fmr: the thresholds of {generator.embedder} are not known here; give a cosine")
    return generator.max_similarity
