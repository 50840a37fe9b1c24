"""The figures of captions as lines of tables, for the page and the terminal."""

import math
from collections.abc import Callable, Iterable, Sequence

from nonesuch.captions.analysis.report_captions import CaptionFigures
from nonesuch.captions.facts import NAMES
from nonesuch.pages.sections import Line, Section, section

# Title, how a figure is written, where it is, what it means.
_Row = tuple[str, str, Callable[[CaptionFigures], float | None], str]
_LEAST_SHARE = 0.005  # of captions; facts that no source states more often have no line
_LIX = "words in a sentence + percent of words above six letters; below 30 is very easy"
_DISTINCT = "different runs of words by all runs; falls with the number of captions"
_BLEU = "how much of a caption is in the others, of up to 500; lower is more varied"
_QUALITY = "share of real photographs that are harder to recognise, by the perception heads"
_WORDS: tuple[_Row, ...] = (
    ("captions", ",.0f", lambda one: one.text.texts, ""),
    ("quality of the images", ".0f", lambda one: one.quality, _QUALITY),
    ("facts stated", ".1f", lambda one: one.stated, ""),
    ("words each", ".1f", lambda one: one.text.words, ""),
    ("their standard deviation", ".1f", lambda one: one.text.words_sd, ""),
    ("longest", ",.0f", lambda one: one.text.longest, ""),
    ("words in a sentence", ".1f", lambda one: one.text.sentence_words, ""),
    ("LIX", ".0f", lambda one: one.text.lix, _LIX),
)
_VARIETY: tuple[_Row, ...] = (
    ("different captions", ".1%", lambda one: one.text.distinct, ""),
    ("different words", ",.0f", lambda one: one.text.vocabulary, ""),
    ("different runs of four words", ",.0f", lambda one: one.growth[-1][1], ""),
    ("distinct-2", ".4f", lambda one: one.text.distinct_2, _DISTINCT),
    ("distinct-4", ".4f", lambda one: one.text.distinct_4, _DISTINCT),
    ("self-BLEU", ".3f", lambda one: one.self_bleu, _BLEU),
)


def _of(part: str, name: str) -> Callable[[CaptionFigures], float | None]:
    """A figure of a part that not every source has."""

    def show(one: CaptionFigures) -> float | None:
        found = getattr(one, part)
        return None if found is None else getattr(found, name)

    return show


_LABELS: tuple[_Row, ...] = (
    ("stated and not so", ".1%", _of("labels", "wrong"), "of statements whose truth the labels tell"),
    (
        "so and not stated",
        ".1%",
        _of("labels", "missing"),
        "of facts that the labels tell and that captions of this source ever state",
    ),
)
_RELEVANCE: tuple[_Row, ...] = (
    ("cosine with the own image", ".3f", _of("relevance", "own"), "mean, by a text-image model (FLIP score)"),
    ("with another image", ".3f", _of("relevance", "other"), "of the same source, drawn"),
    ("fit the own one better", ".1%", _of("relevance", "first"), "share of the captions; 50% by chance"),
)


def figure_sections(figures: Sequence[CaptionFigures]) -> list[Section]:
    """All figures, a column for each source."""
    natural = [row for kind in ("grammar", "rewritten", "text") for row in _naturalness(kind)]
    truth = [row for kind in ("grammar", "rewritten", "text") for row in _read_back(kind)]
    shares = [_share(name) for name in NAMES if any(one.shares[name] >= _LEAST_SHARE for one in figures)]
    return [
        section("Words", _lines(_WORDS, figures)),
        section("Variety", _lines(_VARIETY, figures)),
        section("Naturalness", _lines(natural, figures)),
        section("Relevance", _lines(_RELEVANCE, figures)),
        section("Truth", _lines((*truth, *_LABELS), figures)),
        section("Captions that state a fact", _lines(shares, figures)),
    ]


def _lines(rows: Iterable[_Row], figures: Sequence[CaptionFigures]) -> list[Line]:
    """Lines without those that no source has."""
    found = []
    for title, form, show, meaning in rows:
        values = [show(one) for one in figures]
        cells = ["-" if value is None or math.isnan(value) else format(value, form) for value in values]
        if set(cells) != {"-"}:
            found.append(Line(title, cells, meaning))
    return found


def _read_back(kind: str) -> list[_Row]:
    def figure(name: str) -> Callable[[CaptionFigures], float | None]:
        return lambda one: getattr(one.read_back[kind], name) if kind in one.read_back else None

    return [
        (f"understood, {kind}", ".1%", figure("understood"), "by the parser that reads captions back"),
        (
            f"facts added, {kind}",
            ".3f",
            figure("hallucinated"),
            "facts of a text that are not the caption's, per caption",
        ),
        (f"facts left out, {kind}", ".3f", figure("omitted"), "facts of the caption that its text does not state"),
    ]


def _naturalness(kind: str) -> list[_Row]:
    def figure(name: str) -> Callable[[CaptionFigures], float | None]:
        return lambda one: getattr(one.naturalness[kind], name) if kind in one.naturalness else None

    beside = "than texts of the first source that state the same facts, by a language model"
    return [
        (f"more improbable, {kind}", "+.1f", figure("nats"), f"nats a text {beside}; below 0 is more natural"),
        (
            f"likelier, {kind}",
            ".0%",
            figure("likelier"),
            f"share of the texts that are more probable {beside}; the same text counts half",
        ),
        (f"sets of facts, {kind}", ",.0f", figure("sets"), "that are compared; up to 300"),
    ]


def _share(name: str) -> _Row:
    return name.replace("_", " "), ".1%", lambda one: one.shares[name], ""
