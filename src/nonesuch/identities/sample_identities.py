"""Sampling identity vectors into a table."""

from dataclasses import dataclass
from pathlib import Path

from nonesuch.core.arguments import AT_LEAST_1, COSINE, FMR, SEED, checked
from nonesuch.core.files import AnyPath, as_path, path_or_none
from nonesuch.generators.generator import GeneratorCard
from nonesuch.identities import table
from nonesuch.identities.sampling import draw_apart
from nonesuch.identities.source import SAMPLING, SamplingOptions, identity_source
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.models import read_model_card, shipped_embedder_card, weights_path


@dataclass(frozen=True)
class SampledIdentities:
    """What was sampled.

    Attributes:
        table: the Parquet file of vectors.
        identities: how many.
        width: of the vectors.
        max_similarity: cosine that no two exceed.
    """

    table: Path
    identities: int
    width: int
    max_similarity: float


@checked(identities=AT_LEAST_1, seed=SEED, sampling=SAMPLING, fmr=FMR, max_similarity=COSINE)
def sample_identities(
    out: AnyPath,
    *,
    identities: int = 100,
    seed: int = 0,
    generator: str = "vec2face_small",
    sampling: str | None = None,
    statistics: AnyPath | None = None,
    max_similarity: float | None = None,
    fmr: float | None = None,
    on_progress: OnProgress = no_progress,
) -> SampledIdentities:
    """Sample vectors of people who don't exist, no two more alike than the threshold allows.

    The first n of a larger sample with the same seed are the sample of n.

    Args:
        out: Parquet file to write; `generate_dataset` takes it as `vectors`.
        identities: how many.
        seed: of the sample.
        generator: the generator that decodes the vectors, a shipped one by name or a file with its card.
        sampling, statistics, max_similarity, fmr: see `nonesuch.identities.source.SamplingOptions`.
        on_progress: told how many are accepted.

    Raises:
        NonesuchError: that many do not fit, options that contradict one another, or a place that cannot be written.

    Example:
        nonesuch.sample_identities("people.parquet", identities=10_000, fmr=1e-5)
    """
    path = weights_path(generator)
    card = read_model_card(path, GeneratorCard)
    embedder = shipped_embedder_card(card.embedder, card.embedder_sha256)
    wishes = SamplingOptions(sampling, path_or_none(statistics), max_similarity, fmr)
    source = identity_source(card, path, embedder, wishes)
    vectors = draw_apart(
        source.draw, identities, seed, source.max_cosine, lambda done: on_progress("sampling", done, identities)
    )
    table.write_sampled(as_path(out), vectors, card.embedder, card.embedder_sha256)
    return SampledIdentities(as_path(out), identities, vectors.shape[1], source.max_cosine)
