"""What captions are worth: how varied, how long, how readable, and how often they say what is not so."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nonesuch.captions.analysis.caption_texts import CaptionTexts, read_captions
from nonesuch.captions.facts import NAMES, as_bits, names
from nonesuch.captions.grammar import LANGUAGES
from nonesuch.captions.known import Labels, read_labels
from nonesuch.captions.reading import Reader
from nonesuch.core import files
from nonesuch.core.arguments import AT_LEAST_1, checked
from nonesuch.core.files import AnyPath, as_path, as_paths
from nonesuch.core.seeding import Stream, permutation
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.measures.texts import TextFigures, growth, self_bleu, text_figures
from nonesuch.pages.writers import writer

_BLEU, _READ = 500, 2000  # captions, drawn by a seed, that self-BLEU compares, and that are read back
_POINTS = 24  # of the curve
_SENTENCE = re.compile(r"[^.!?]+[.!?]*")


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
        read_back: by what wrote the captions: "grammar", "rewritten", "text".
        labels: None where no labels were given, or none is of these images.
        shares: by fact, the share of captions that state it; of plain text, in sentences that are understood.
    """

    name: str
    images: int
    quality: float
    text: TextFigures
    self_bleu: float
    growth: list[tuple[int, int, int]]
    read_back: dict[str, ReadBack]
    labels: AgainstLabels | None
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
    reader: AnyPath = "english",
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
        reader: grammar that captions are read back by: "english", "german", or a .lark file.
        most: captions of each source that are looked at, the first ones.
        json: file for the figures.
        on_progress: told how many sources are done.

    Raises:
        NonesuchError: a source holds no captions, a table cannot be used, or a place cannot be written.

    Example:
        nonesuch.report_captions("faces").figures
    """
    paths = as_paths(sources)
    shipped = {path.stem: path.with_suffix(".lark") for path in LANGUAGES.glob("*.txt")}
    reads = Reader(shipped.get(str(reader)) or as_path(reader))
    known = read_labels(as_path(labels)) if labels is not None else None
    figures = []
    for number, path in enumerate(paths):
        on_progress("reading captions", number, len(paths))
        figures.append(_figures(read_captions(path, most), reads, known))
    if json is not None:
        files.write_json(as_path(json), [_plain(asdict(one)) for one in figures])
    write = writer("nonesuch.captions.analysis.captions_page", "write_captions_page")
    if write is not None:
        write(as_path(out), figures)
    return ReportedCaptions(None if write is None else as_path(out), tuple(figures))


def _figures(found: CaptionTexts, reader: Reader, known: Labels | None) -> CaptionFigures:
    texts = found.texts
    drawn = permutation(0, Stream.SPLIT, len(texts))
    at = sorted({round(len(texts) ** (point / _POINTS)) for point in range(1, _POINTS + 1)})
    counts = growth(texts, at)
    facts = found.facts
    if not facts:
        facts = [_in_sentences(texts[row], reader) for row in drawn[:_READ]]
    return CaptionFigures(
        name=found.name,
        images=found.images,
        quality=found.quality,
        text=text_figures(texts),
        self_bleu=self_bleu([texts[row] for row in drawn[:_BLEU]]) if len(texts) > 1 else float("nan"),
        growth=[(count, *pair) for count, pair in zip(at, counts, strict=True)],
        read_back=_read_back(found, drawn[:_READ].tolist(), reader),
        labels=_against(found, known) if known is not None and found.names else None,
        shares={name: sum(name in one for one in facts) / len(facts) for name in NAMES},
    )


def _in_sentences(text: str, reader: Reader) -> frozenset[str]:
    """The facts of the sentences that are understood."""
    return frozenset().union(*(reader.read(sentence) or frozenset() for sentence in _SENTENCE.findall(text)))


def _read_back(found: CaptionTexts, rows: list[int], reader: Reader) -> dict[str, ReadBack]:
    parts: dict[str, list[int]] = {}
    for row in rows:
        kind = "text" if not found.facts else "rewritten" if found.rewritten[row] else "grammar"
        parts.setdefault(kind, []).append(row)
    told = {}
    for kind, mine in parts.items():
        read = {row: reader.read(found.texts[row]) for row in mine}
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
