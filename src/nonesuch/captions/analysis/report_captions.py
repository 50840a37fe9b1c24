"""What captions are worth: how varied, how long, how readable, and how often they say what is not so."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.captions.analysis.caption_texts import CaptionTexts, read_captions
from nonesuch.captions.analysis.naturalness import Naturalness, Texts, compared
from nonesuch.captions.analysis.relevance import Relevance, RelevanceJudge
from nonesuch.captions.analysis.relevance import relevance as fitting
from nonesuch.captions.facts import NAMES, as_bits, names
from nonesuch.captions.known import Labels, read_labels
from nonesuch.captions.local_model import LocalModel
from nonesuch.captions.sentences import READERS, SentenceReader
from nonesuch.core import files
from nonesuch.core.arguments import AT_LEAST_1, checked
from nonesuch.core.files import AnyPath, as_path, as_paths
from nonesuch.core.notices import notice
from nonesuch.core.seeding import Stream, permutation
from nonesuch.formats.manifest import is_dataset
from nonesuch.formats.source import Source
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.measures.texts import TextFigures, growth, self_bleu, text_figures
from nonesuch.models import load_detector, load_flip
from nonesuch.pages.writers import writer

_BLEU, _READ = 500, 2000  # captions, drawn by a seed, that self-BLEU compares, and that are read back
_POINTS = 24  # of the curve


@dataclass(frozen=True)
class ReadBack:
    """What another parser finds in captions.

    Attributes:
        read: captions that were tried.
        understood: share that it understands.
        hallucinated, omitted: facts that a text states and its facts lack, and the other way round, per understood
            caption; None where a source has no facts.
    """

    read: int
    understood: float
    hallucinated: float | None
    omitted: float | None


@dataclass(frozen=True)
class AgainstLabels:
    """What is stated, beside what is known.

    Attributes:
        stated: facts whose truth is known.
        wrong: share of these that is not so: hallucinations of perception.
        missing: share of the facts that are so, and that captions ever state, that is not stated where it is so.
    """

    stated: int
    wrong: float
    missing: float


@dataclass(frozen=True)
class CaptionFigures:
    """A source's figures.

    Attributes:
        name: of the source.
        images: of the source.
        quality: mean quality of its images, 0..100; NaN where no perception columns tell.
        text: of its captions.
        self_bleu: of up to 500 of them; NaN of a single one.
        growth: captions, different runs of four words, runs that occur once.
        stated: facts of a caption, on average; of plain text, in sentences that are understood.
        read_back: by what wrote the captions: "grammar", "rewritten", "text".
        naturalness: by the same; of the first kind of the first source, beside which the others are, there is none.
        labels: None where no labels were given, or none is of these images.
        relevance: None where no text-image model was given, or the source holds no images.
        shares: by fact, the share of captions that state it; of plain text, in sentences that are understood.
    """

    name: str
    images: int
    quality: float
    text: TextFigures
    self_bleu: float
    growth: list[tuple[int, int, int]]
    stated: float
    read_back: dict[str, ReadBack]
    naturalness: dict[str, Naturalness]
    labels: AgainstLabels | None
    relevance: Relevance | None
    shares: dict[str, float]


@dataclass(frozen=True)
class ReportedCaptions:
    """What was measured.

    Attributes:
        report: the page; None where the libraries of reports are missing.
        figures: of each source.
    """

    report: Path | None
    figures: tuple[CaptionFigures, ...]


@checked(most=AT_LEAST_1)
def report_captions(
    sources: AnyPath | Sequence[AnyPath],
    *,
    out: AnyPath = "captions.html",
    labels: AnyPath | None = None,
    reader: AnyPath | Sequence[AnyPath] = READERS,
    likelihood: AnyPath | None = None,
    relevance: str | Path | None = None,
    most: int = 100_000,
    json: AnyPath | None = None,
    on_progress: OnProgress = no_progress,
) -> ReportedCaptions:
    """Analyse captions, those of several sources side by side, on one page.

    Args:
        sources: datasets of ours with captions, tables that `caption_faces` wrote, or text files (also `.gz`) with a
            caption on each line.
        out: HTML page to write; needs `nonesuch[report]`, without which there is none.
        labels: table with a column `file` or `key` and true values, as for `caption_faces`: says how much is wrong.
        reader: grammars that captions are read back by: "english", "german", "celebahq", or a .lark file. Of several
            the one that understands most of a caption reads it.
        likelihood: a folder of transformers (needs `nonesuch[llm]`), whose language model says how natural captions are
            beside those of the first source that state the same facts.
        relevance: a text-image model, by name ("flip_small") or file, which says how well a dataset's captions fit its
            images; their vectors are kept beside its shards.
        most: captions of each source that are looked at, the first ones.
        json: file for the figures.
        on_progress: told how many sources are done.

    Raises:
        NonesuchError: a source holds no captions, a table cannot be used, or a place cannot be written.

    Example:
        nonesuch.report_captions("faces").figures
    """
    paths = as_paths(sources)
    reads = SentenceReader(as_paths(reader))
    known = read_labels(as_path(labels)) if labels is not None else None
    model = LocalModel(as_path(likelihood), option="--likelihood").load() if likelihood is not None else None
    judge = RelevanceJudge(load_flip(relevance), load_detector()) if relevance is not None else None
    figures = []
    texts: list[dict[str, Texts]] = []
    for number, path in enumerate(paths):
        on_progress("reading captions", number, len(paths))
        found = read_captions(path, most)
        drawn = permutation(0, Stream.SPLIT, len(found.texts))
        fit = _relevance(path, found, judge, partial(on_progress, "looking")) if judge else None
        figures.append(replace(_figures(found, drawn, reads, known), relevance=fit))
        texts.append(_by_facts(found, drawn[:_READ].tolist(), reads) if model is not None else {})
    if model is not None:
        _judge(figures, texts, model, on_progress)
    if json is not None:
        files.write_json(as_path(json), [_plain(asdict(one)) for one in figures])
    write = writer("nonesuch.captions.analysis.captions_page", "write_captions_page")
    if write is not None:
        write(as_path(out), figures)
    return ReportedCaptions(None if write is None else as_path(out), tuple(figures))


def _relevance(
    path: Path, found: CaptionTexts, judge: RelevanceJudge, on_image: Callable[[int, int], None]
) -> Relevance | None:
    if not is_dataset(path):
        notice(f"{path}: holds no images, so its captions' relevance is not known")
        return None
    return fitting(Source.at(path), found, judge, on_image)


def _figures(
    found: CaptionTexts, drawn: NDArray[np.int64], reader: SentenceReader, known: Labels | None
) -> CaptionFigures:
    texts = found.texts
    at = sorted({round(len(texts) ** (point / _POINTS)) for point in range(1, _POINTS + 1)})
    counts = growth(texts, at)
    facts = found.facts
    if not facts:
        facts = [reader.partly(texts[row]) for row in drawn[:_READ]]
    return CaptionFigures(
        name=found.name,
        images=found.images,
        quality=found.quality,
        text=text_figures(texts),
        self_bleu=self_bleu([texts[row] for row in drawn[:_BLEU]]) if len(texts) > 1 else float("nan"),
        growth=[(count, *pair) for count, pair in zip(at, counts, strict=True)],
        stated=sum(map(len, facts)) / len(facts),
        naturalness={},
        read_back=_read_back(found, drawn[:_READ].tolist(), reader),
        labels=_against(found, known) if known is not None and found.names else None,
        relevance=None,
        shares={name: sum(name in one for one in facts) / len(facts) for name in NAMES},
    )


def _kind(found: CaptionTexts, row: int) -> str:
    """What wrote a caption."""
    return "text" if not found.facts else "rewritten" if found.rewritten[row] else "grammar"


def _by_facts(found: CaptionTexts, rows: list[int], reader: SentenceReader) -> dict[str, Texts]:
    """By what wrote them, a text for each set of facts; of plain text, those that are wholly understood."""
    texts: dict[str, Texts] = {}
    for row in rows:
        facts = found.facts[row] if found.facts else reader.whole(found.texts[row])
        if facts:
            texts.setdefault(_kind(found, row), {}).setdefault(facts, found.texts[row])
    return {kind: texts[kind] for kind in sorted(texts)}  # the grammar's first


def _judge(
    figures: list[CaptionFigures], texts: list[dict[str, Texts]], model: LocalModel, on_progress: OnProgress
) -> None:
    """Add how natural captions are to the figures of their sources."""
    groups = [(number, kind, mine) for number, kinds in enumerate(texts) for kind, mine in kinds.items()]
    told: list[Naturalness | None] = []
    if groups:
        told = compared([mine for _, _, mine in groups], model, lambda *seen: on_progress("judging captions", *seen))
    for (number, kind, _), one in zip(groups, told, strict=True):
        if one is not None:
            figures[number].naturalness[kind] = one
    if not any(told):
        notice("--likelihood: nothing to compare: no two kinds of captions state the same facts")


def _read_back(found: CaptionTexts, rows: list[int], reader: SentenceReader) -> dict[str, ReadBack]:
    parts: dict[str, list[int]] = {}
    for row in rows:
        parts.setdefault(_kind(found, row), []).append(row)
    told = {}
    for kind, mine in parts.items():
        read = {row: reader.whole(found.texts[row]) for row in mine}
        understood = {row: said for row, said in read.items() if said is not None}
        added = omitted = None
        if found.facts and understood:
            added = sum(len(said - found.facts[row]) for row, said in understood.items()) / len(understood)
            omitted = sum(len(found.facts[row] - said) for row, said in understood.items()) / len(understood)
        told[kind] = ReadBack(len(mine), len(understood) / len(mine), added, omitted)
    return told


def _against(found: CaptionTexts, known: Labels) -> AgainstLabels | None:
    truth = known.of(found.names)
    said = np.array([[name in facts for name in NAMES] for facts in found.facts])
    there = np.isfinite(truth)
    if not there.any():
        return None
    ever = said.any(0)
    stated, true = said & there, (truth > 0) & there & ever
    # A fact that another one makes needless, as a woman's missing beard, is not missed.
    for row, facts in enumerate(as_bits(true)):
        if "female" in names(facts):
            true[row, NAMES.index("no_beard")] = False
    count = int(stated.sum())
    return AgainstLabels(
        count,
        float((stated & (truth == 0)).sum() / max(count, 1)),
        float((true & ~said).sum() / max(int(true.sum()), 1)),
    )


def _plain(content: Any) -> Any:
    """Content for JSON, which has no NaN."""
    if isinstance(content, dict):
        return {name: _plain(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    return None if isinstance(content, float) and np.isnan(content) else content
