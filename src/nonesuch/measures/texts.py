"""How varied texts are, how alike, and how hard to read."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")
_SENTENCE = re.compile(r"[^.!?]+")
_LONG = 6  # letters; a word of more is long
_GRAMS = 4  # words, as in FaceCaption-15M's analysis
_SHORTEST = 1e-9  # in place of a precision of 0, whose logarithm is none


@dataclass(frozen=True)
class TextFigures:
    """Figures of a set of texts.

    Attributes:
        texts: how many.
        words, words_sd, longest: words per text: mean, standard deviation, most.
        sentence_words: words per sentence.
        vocabulary: different words, whatever their case.
        distinct: share of texts that differ from all before them.
        distinct_2, distinct_4: different runs of two and of four words, by all such runs (arXiv 1510.03055).
        lix: words per sentence + percent of words of more than six letters (Bjoernsson, 1968); below 30 is very easy.
    """

    texts: int
    words: float
    words_sd: float
    longest: int
    sentence_words: float
    vocabulary: int
    distinct: float
    distinct_2: float
    distinct_4: float
    lix: float


def words_of(text: str) -> list[str]:
    """The words of a text, in small letters."""
    return [word.lower() for word in _WORD.findall(text)]


def grams(words: Sequence[str], count: int) -> list[tuple[str, ...]]:
    """All runs of so many words."""
    return list(zip(*(words[start:] for start in range(count)), strict=False))


def text_figures(texts: Sequence[str]) -> TextFigures:
    """Figures of at least one text with at least one word."""
    split = [words_of(text) for text in texts]
    lengths = [len(words) for words in split]
    total, mean = sum(lengths), sum(lengths) / len(split)
    sentences = sum(len([one for one in _SENTENCE.findall(text) if _WORD.search(one)]) for text in texts)
    long_words = sum(len(word) > _LONG for words in split for word in words)
    shares = []
    for count in (2, _GRAMS):
        seen: set[tuple[str, ...]] = set()
        runs = 0
        for words in split:
            found = grams(words, count)
            seen.update(found)
            runs += len(found)
        shares.append(len(seen) / max(runs, 1))
    return TextFigures(
        texts=len(split),
        words=mean,
        words_sd=math.sqrt(sum((length - mean) ** 2 for length in lengths) / len(split)),
        longest=max(lengths),
        sentence_words=total / max(sentences, 1),
        vocabulary=len({word for words in split for word in words}),
        distinct=len(set(texts)) / len(split),
        distinct_2=shares[0],
        distinct_4=shares[1],
        lix=total / max(sentences, 1) + 100 * long_words / max(total, 1),
    )


def growth(texts: Sequence[str], at: Sequence[int]) -> list[tuple[int, int]]:
    """Different runs of four words in the first n texts, and how many of these occur once, for each n.

    Args:
        at: ascending, each at most the number of texts.
    """
    counts: Counter[tuple[str, ...]] = Counter()
    found, place = [], 0
    for count in at:
        for text in texts[place:count]:
            counts.update(grams(words_of(text), _GRAMS))
        place = count
        found.append((len(counts), sum(number == 1 for number in counts.values())))
    return found


def self_bleu(texts: Sequence[str]) -> float:
    """Mean BLEU-4 (Papineni et al., 2002) of each text with all others as references (arXiv 1802.01886), in 0..1.

    1 where the texts are equal. At least two texts.
    """
    split = [words_of(text) for text in texts]
    lengths = [len(words) for words in split]
    counted = [[Counter(grams(words, count)) for words in split] for count in range(1, _GRAMS + 1)]
    most = [_two_most(counts) for counts in counted]
    scores = []
    for row, length in enumerate(lengths):
        total = 0.0
        for counts, best in zip(counted, most, strict=True):
            mine = counts[row]
            right = 0
            for run, number in mine.items():
                first, second, whose = best[run]
                right += min(number, second if whose == row else first)
            total += math.log(max(right / max(sum(mine.values()), 1), _SHORTEST))
        others = [other for place, other in enumerate(lengths) if place != row]
        closest = min(others, key=lambda other: (abs(other - length), other))
        brevity = min(0.0, 1 - closest / max(length, 1))
        scores.append(math.exp(brevity + total / _GRAMS))
    return sum(scores) / len(scores)


def _two_most(counts: Sequence[Counter[tuple[str, ...]]]) -> dict[tuple[str, ...], tuple[int, int, int]]:
    """For each run, how often the text has it that has it most, the next one's number, and which text the first is."""
    found: dict[tuple[str, ...], tuple[int, int, int]] = {}
    for row, counter in enumerate(counts):
        for run, number in counter.items():
            first, second, whose = found.get(run, (0, 0, -1))
            if number > first:
                found[run] = (number, first, row)
            elif number > second:
                found[run] = (first, number, whose)
    return found
