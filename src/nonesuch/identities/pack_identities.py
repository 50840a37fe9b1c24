"""Packing identity vectors into a table."""

from nonesuch.core import files
from nonesuch.core.arguments import COSINE, FMR, SEED, Number, checked
from nonesuch.core.devices import pick_device
from nonesuch.core.files import AnyPath, as_path, path_or_none
from nonesuch.generators.generator import GeneratorCard
from nonesuch.identities import table
from nonesuch.identities.packing import pack_apart
from nonesuch.identities.sample_identities import SampledIdentities
from nonesuch.identities.source import SAMPLING, SamplingOptions, identity_source
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.models import read_model_card, shipped_embedder_card, weights_path


@checked(identities=Number(2, whole=True), seed=SEED, sampling=SAMPLING, fmr=FMR, max_similarity=COSINE)
def pack_identities(
    out: AnyPath,
    *,
    identities: int = 1000,
    seed: int = 0,
    generator: str = "idiff_fast",
    sampling: str | None = None,
    statistics: AnyPath | None = None,
    max_similarity: float | None = None,
    fmr: float | None = None,
    device: str = "auto",
    on_progress: OnProgress = no_progress,
) -> SampledIdentities:
    """Make vectors of people who don't exist and push them apart by gradient steps (HyperFace).

    Each starts as a draw of the distribution. See `nonesuch.identities.packing.pack_apart`.

    Args:
        out: Parquet file to write; `generate_dataset` takes it as `vectors`.
        identities: how many, 2 to 20,000. A smaller sample is no part of a larger one.
        seed: of the sample.
        generator: the generator that decodes the vectors, a shipped one by name or a file with its card.
        sampling, statistics, max_similarity, fmr: see `nonesuch.identities.source.SamplingOptions`.
        device: where they are pushed.
        on_progress: told how many passes over all are done.

    Raises:
        NonesuchError: too many, the closest two end above the limit, options that contradict one another, or a place
            that cannot be written.

    Example:
        nonesuch.pack_identities("people.parquet", identities=10_000).closest
    """
    path = weights_path(generator)
    card = read_model_card(path, GeneratorCard)
    known = shipped_embedder_card(card.embedder, card.embedder_sha256)
    wishes = SamplingOptions(sampling, path_or_none(statistics), max_similarity, fmr)
    source = identity_source(card, path, known, wishes)
    place = as_path(out)
    files.check_outputs([place])
    sample = pack_apart(
        source.draw,
        identities,
        seed,
        source.max_cosine,
        lambda done, total: on_progress("packing", done, total),
        pick_device(device),
    )
    record = {**source.record, "packed": True, "seed": seed}
    table.write_sampled(place, sample, card.embedder, card.embedder_sha256, record)
    return SampledIdentities(
        place, len(sample.vectors), sample.vectors.shape[1], source.max_cosine, sample.closest, sample.drawn
    )
