"""Sampling identity vectors into a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nonesuch.core import files
from nonesuch.core.arguments import AT_LEAST_1, COSINE, FMR, SEED, checked
from nonesuch.core.devices import pick_device
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path, path_or_none
from nonesuch.embedders.embedder import EmbedderCard
from nonesuch.generators.generator import GeneratorCard
from nonesuch.identities.away_from import AwayFrom
from nonesuch.identities.growing_table import GrowingTable
from nonesuch.identities.plain_images import PlainImages
from nonesuch.identities.quotas import Quotas
from nonesuch.identities.sampling import Draws, KeptApart, keep_apart, one_by_one
from nonesuch.identities.source import DEFAULT_FMR, SAMPLING, SamplingOptions, identity_source, separation
from nonesuch.identities.two_stage import two_stage
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.models import (
    load_embedder_of,
    load_generator,
    load_perceiver,
    read_model_card,
    shipped_embedder_card,
    weights_path,
)


@dataclass(frozen=True)
class SampledIdentities:
    """What was sampled.

    Attributes:
        table: the Parquet file of vectors.
        identities: how many.
        width: of the vectors.
        max_similarity: cosine that no two exceed.
        closest: the largest cosine of any two; -1 where there are no two.
        drawn: candidates that were tried.
    """

    table: Path
    identities: int
    width: int
    max_similarity: float
    closest: float
    drawn: int


@checked(identities=AT_LEAST_1, seed=SEED, sampling=SAMPLING, fmr=FMR, away_fmr=FMR, max_similarity=COSINE)
def sample_identities(
    out: AnyPath,
    *,
    identities: int = 100,
    seed: int = 0,
    generator: str = "idiff_fast",
    sampling: str | None = None,
    statistics: AnyPath | None = None,
    max_similarity: float | None = None,
    fmr: float | None = None,
    from_unconditional: str | None = None,
    embedder: str | None = None,
    extend: AnyPath | None = None,
    away_from: AnyPath | Sequence[AnyPath] = (),
    away_fmr: float = DEFAULT_FMR,
    quota: str | Sequence[str] = (),
    device: str = "auto",
    on_progress: OnProgress = no_progress,
) -> SampledIdentities:
    """Sample vectors of people who don't exist, no two more alike than the threshold allows.

    The first n of a larger sample with the same seed are the sample of n. A long sample is saved every minute beside
    `out`; after a kill the same call goes on from there.

    Args:
        out: Parquet file to write; `generate_dataset` takes it as `vectors`.
        identities: how many.
        seed: of the sample.
        generator: the generator that decodes the vectors, a shipped one by name or a file with its card.
        sampling, statistics, max_similarity, fmr: see `nonesuch.identities.source.SamplingOptions`.
        from_unconditional: a generator that draws images of nobody in particular, such as an unconditional IDiff-Face;
            the vectors are those of its images.
        embedder: embeds these images, a name or a file; None for the generator's embedder.
        extend: a smaller sample of the same options: its identities come first, only those that are added are checked.
        away_from: tables of vectors of people whom no identity may match, or datasets of ours; see
            `nonesuch.identities.away_from.AwayFrom`. The table says so, and so do datasets that are made of it.
        away_fmr: false match rate at whose cosine two vectors match.
        quota: which share of the identities shows what in the perceiver's eyes, as "SHARE%: CONDITION"; see
            `nonesuch.identities.quotas.Quotas`. A smaller sample is then no part of a larger one.
        device: where candidates are compared, and rendered where that is needed.
        on_progress: told how many are accepted.

    Raises:
        NonesuchError: that many do not fit, options that contradict one another, a generator that draws no image
            without an identity, or a place that cannot be written.

    Example:
        nonesuch.sample_identities("people.parquet", identities=10_000, fmr=1e-5)
    """
    wishes = SamplingOptions(sampling, path_or_none(statistics), max_similarity, fmr)
    card, candidates = _candidates(generator, from_unconditional, wishes, embedder)
    out = as_path(out)
    files.check_outputs([out])
    record = {**candidates.record, "seed": seed}
    away, quotas = _admission(card, generator, files.as_paths(away_from), away_fmr, files.as_texts(quota), device)
    record |= ({"away_from": away.record()} if away else {}) | (quotas.record() if quotas else {})
    growing = GrowingTable(out, card.embedder, card.embedder_sha256, record)
    start = growing.start(path_or_none(extend), identities)

    def on_block(kept: KeptApart) -> None:
        growing.save(kept)
        on_progress("sampling", len(kept.vectors), identities)

    sample = keep_apart(
        candidates.draws,
        identities,
        seed,
        candidates.max_cosine,
        rough=candidates.rough,
        admits=away,
        quotas=quotas,
        rendered=from_unconditional is not None or quotas is not None or (away is not None and away.renders),
        start=start,
        on_block=on_block,
        device=pick_device(device),
    )
    growing.finish(sample)
    return SampledIdentities(
        out, len(sample.vectors), sample.vectors.shape[1], candidates.max_cosine, sample.closest, sample.drawn
    )


@dataclass(frozen=True)
class _Candidates:
    """Where candidates come from; `record` is the same in words and numbers."""

    draws: Draws
    rough: Draws | None
    max_cosine: float
    record: dict[str, Any]


def _admission(
    card: GeneratorCard, generator: str, galleries: list[Path], away_fmr: float, texts: list[str], device: str
) -> tuple[AwayFrom | None, Quotas | None]:
    """Who may be taken at all, and how many of whom; None where that is open."""
    own = (card.embedder, card.embedder_sha256)
    images = PlainImages(generator, device)
    away = AwayFrom(galleries, away_fmr, images, own, device) if galleries else None
    quotas = Quotas(texts, images, load_perceiver(device=device)) if texts else None
    return away, quotas


def _candidates(
    generator: str, unconditional: str | None, wishes: SamplingOptions, embedder: str | None
) -> tuple[GeneratorCard, _Candidates]:
    path = weights_path(generator)
    card = read_model_card(path, GeneratorCard)
    if unconditional is not None:
        return card, _two_stage(unconditional, card, wishes, embedder)
    known = shipped_embedder_card(card.embedder, card.embedder_sha256)
    return card, _distribution(card, path, known, wishes, embedder)


def _distribution(
    card: GeneratorCard, path: Path, known: EmbedderCard | None, wishes: SamplingOptions, embedder: str | None
) -> _Candidates:
    if embedder is not None:
        raise NonesuchError("--embedder goes with --from-unconditional only")
    source = identity_source(card, path, known, wishes)
    return _Candidates(one_by_one(source.draw), source.draw.rough, source.max_cosine, source.record)


def _two_stage(unconditional: str, card: GeneratorCard, wishes: SamplingOptions, embedder: str | None) -> _Candidates:
    for name, value in (("--sampling", wishes.sampling), ("--statistics", wishes.statistics_file)):
        if value is not None:
            raise NonesuchError(f"{name} names a distribution, and --from-unconditional takes images; give one of them")
    model = load_generator(unconditional).unconditional()
    judge = load_embedder_of(card, embedder)
    max_cosine = separation(card, judge.card if judge.card.thresholds else None, wishes)
    record = {
        "sampling": "two-stage",
        "unconditional": model.name,
        "unconditional_sha256": model.card.sha256,
        "sampler": model.sampler,
        "max_similarity": max_cosine,
    }
    return _Candidates(two_stage(model, judge), None, max_cosine, record)
