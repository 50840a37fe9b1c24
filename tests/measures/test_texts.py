"""Figures of texts, against counts by hand and BLEU written out."""

import math
from collections import Counter

import pytest

from nonesuch.measures.texts import growth, self_bleu, text_figures, words_of

TEXTS = [
    "She has black hair. She's smiling.",
    "She has black hair. She's smiling.",
    "He wears a five-o'clock shadow and extraordinary eyeglasses!",
]


def test_words() -> None:
    assert words_of("She's got a five-o'clock shadow, 3 hats.") == [
        "she's",
        "got",
        "a",
        "five-o'clock",
        "shadow",
        "3",
        "hats",
    ]


def test_figures_counted_by_hand() -> None:
    found = text_figures(TEXTS)
    assert (found.texts, found.longest, found.vocabulary) == (3, 8, 14)
    assert found.words == pytest.approx((6 + 6 + 8) / 3)
    assert found.words_sd == pytest.approx(math.sqrt(8) / 3)
    assert found.sentence_words == pytest.approx(20 / 5)
    assert found.distinct == pytest.approx(2 / 3)
    assert found.distinct_2 == pytest.approx((5 + 7) / (5 + 5 + 7))
    assert found.distinct_4 == pytest.approx((3 + 5) / (3 + 3 + 5))
    assert found.lix == pytest.approx(4 + 100 * (1 + 1 + 3) / 20)


def test_growth() -> None:
    assert growth(TEXTS, [1, 2, 3]) == [(3, 3), (3, 0), (8, 5)]


def _bleu(words: list[str], references: list[list[str]]) -> float:
    total = 0.0
    for size in range(1, 5):
        mine = Counter(tuple(words[place : place + size]) for place in range(len(words) - size + 1))
        right = 0
        for run, count in mine.items():
            right += min(
                count,
                max(
                    sum(tuple(other[place : place + size]) == run for place in range(len(other) - size + 1))
                    for other in references
                ),
            )
        total += math.log(max(right / sum(mine.values()), 1e-9)) / 4
    closest = min((abs(len(other) - len(words)), len(other)) for other in references)[1]
    return math.exp(total + min(0.0, 1 - closest / len(words)))


def test_self_bleu_is_the_mean_of_bleus() -> None:
    texts = [
        "the man has a big nose and a beard",
        "the man has a big nose and a big hat and a big beard",
        "the woman has a big nose",
        "a big nose and a big hat has the man",
        "the man has a big nose and a beard",
    ]
    split = [text.split() for text in texts]
    expected = [_bleu(words, split[:row] + split[row + 1 :]) for row, words in enumerate(split)]
    assert self_bleu(texts) == pytest.approx(sum(expected) / len(expected))
    assert self_bleu(texts[:1] * 3) == pytest.approx(1.0)
    assert self_bleu(["a b c d e", "f g h i j"]) < 1e-6
