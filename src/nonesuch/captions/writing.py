"""Captions of many images as columns: what is perceived and known, the facts that stay, the words."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from nonesuch.captions.facts import NAMES, PLACE, as_bits, as_row, names, scores, settled
from nonesuch.captions.grammar import DRAWS, Grammar
from nonesuch.captions.rewriting import Rewriter
from nonesuch.core.seeding import Stream, uniform_rows

_FACT = pa.dictionary(pa.int8(), pa.string())
_CLAUSE = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("fact", _FACT)])
SCHEMA = pa.schema(
    [
        ("caption", pa.string()),
        ("facts", pa.list_(_FACT)),
        ("clauses", pa.list_(_CLAUSE)),
        ("grammar", pa.string()),
        ("rewritten_by", pa.string()),
    ]
)
_PART = 4096  # images whose draws are in memory at a time
_UNNAMED = "a language model"
_KNOWN = 2.0  # sureness of what is known: above every probability


@dataclass(frozen=True)
class Captioner:
    """Puts images into words.

    Attributes:
        grammar: whose words.
        thresholds: by fact, the lowest score that is kept.
        least: images with fewer facts get no caption.
        seed: another one gives other words.
        rewriter: puts captions into more natural words; None where the grammar's stay.
    """

    grammar: Grammar
    thresholds: Mapping[str, float]
    least: int
    seed: int
    rewriter: Rewriter | None = None

    def signature(self, *others: str) -> str:
        """A hash of all that the captions depend on, with what else is named."""
        told = [self.grammar.sha256, repr(sorted(self.thresholds.items())), str(self.least), str(self.seed), *others]
        told += [f"rewritten by {self.rewriter.model.name}"] if self.rewriter else []
        return hashlib.sha256("\n".join(told).encode()).hexdigest()

    def table(
        self, columns: Mapping[str, NDArray[Any]], seeds: NDArray[np.uint64], truth: NDArray[np.float64] | None = None
    ) -> pa.Table:
        """Captions of N images.

        Args:
            columns: (N,) each, of `nonesuch.perception.perceiver.COLUMNS`; NaN where no face was found.
            seeds: (N,) of the images.
            truth: (N, F) facts that are known, 1 or 0, NaN where they are not; it takes precedence over what is seen.

        Returns:
            A row per image: `caption`, null where too few facts are sure; `facts` by name, in the order of `NAMES`;
            `clauses`, the stretch of the caption that states each fact, in characters; the hash of the `grammar`;
            `rewritten_by`, the language model that wrote a sentence of it, null where none did.
        """
        held = self.held(columns, truth)
        bits = as_bits(held)
        texts: list[str | None] = []
        writers: list[str | None] = []
        counts: list[int] = []
        starts: list[int] = []
        ends: list[int] = []
        stated: list[int] = []
        own = seeds ^ np.uint64(self.seed)
        for first in range(0, len(bits), _PART):
            draws = uniform_rows(own[first : first + _PART], Stream.CAPTION, DRAWS).tolist()
            for row, facts in zip(draws, bits[first : first + _PART], strict=True):
                if facts.bit_count() < self.least or not facts:
                    texts.append(None)
                    writers.append(None)
                    counts.append(0)
                    continue
                said, writer = self.grammar.say(facts, row), None
                if self.rewriter is not None:
                    said, changed = self.rewriter.caption(said, row[-1])
                    writer = (self.rewriter.model.name or _UNNAMED) if changed else None
                text, clauses = said
                texts.append(text)
                writers.append(writer)
                before = len(starts)
                for start, end, states in clauses:
                    for fact in _places(states):
                        starts.append(start)
                        ends.append(end)
                        stated.append(fact)
                counts.append(len(starts) - before)
        clauses_of = pa.StructArray.from_arrays(
            [pa.array(starts, pa.int32()), pa.array(ends, pa.int32()), as_facts(np.array(stated, dtype=np.int8))],
            fields=list(_CLAUSE),
        )
        facts_of = as_facts(np.nonzero(held)[1].astype(np.int8))
        return pa.table(
            [
                pa.array(texts, pa.string()),
                as_lists(held.sum(1), facts_of),
                as_lists(np.array(counts, int), clauses_of),
                pa.array([self.grammar.sha256] * len(texts), pa.string()),
                pa.array(writers, pa.string()),
            ],
            schema=SCHEMA,
        )

    def held(self, columns: Mapping[str, NDArray[Any]], truth: NDArray[np.float64] | None) -> NDArray[np.bool_]:
        """(N, F) the facts that stay and that the grammar has words for."""
        found = scores(columns)
        least = np.array([self.thresholds.get(name, np.inf) for name in NAMES])
        with np.errstate(invalid="ignore"):
            held = found >= least
        if truth is not None:
            known = np.isfinite(truth)
            held = np.where(known, truth > 0, held)
            found = np.where(known, _KNOWN, found)
        return settled(held & as_row(self.grammar.can_say), np.nan_to_num(found, nan=-np.inf))


@lru_cache(maxsize=1 << 16)
def _places(states: int) -> tuple[int, ...]:
    return tuple(PLACE[name] for name in names(states))


def as_facts(places: ArrayLike) -> pa.DictionaryArray:
    """Facts by their places in `NAMES`, as the columns hold them."""
    return pa.DictionaryArray.from_arrays(pa.array(places, pa.int8()), pa.array(NAMES))


def as_lists(counts: ArrayLike, values: pa.Array) -> pa.ListArray:
    """A row for each count, of so many of the values one after the other."""
    return pa.ListArray.from_arrays(pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32()), values)
