"""English in everyday words: every fact has words, each is stated once, and few facts make a short phrase."""

import re

import numpy as np
import pytest

from nonesuch.captions.facts import FACTS, NAMES, as_bits, bits, consistent, names, settled
from nonesuch.captions.grammar import DRAWS, LANGUAGES, Grammar


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return Grammar(LANGUAGES / "everyday.txt")


def _said(grammar: Grammar, facts: str, count: int = 400) -> set[str]:
    draws = np.random.default_rng(3).random((count, DRAWS)).tolist()
    return {grammar.say(bits(facts.split()), row).text for row in draws}


def test_each_fact_has_many_words(grammar: Grammar) -> None:
    assert grammar.can_say == bits(NAMES)
    for name in NAMES:
        assert len(_said(grammar, name, 100)) > 20, name


def test_each_fact_is_stated_once_and_nothing_else(grammar: Grammar) -> None:
    draws = np.random.default_rng(1)
    held = draws.random((3000, len(FACTS))) < draws.random((3000, 1)) ** 2
    words: set[str] = set()
    for facts in as_bits(settled(held, draws.random(held.shape))):
        text, clauses = grammar.say(facts, draws.random(DRAWS).tolist())
        assert sorted(name for _, _, part in clauses for name in names(part)) == sorted(names(facts)), text
        assert all(0 <= start < end <= len(text) for start, end, _ in clauses)
        assert not re.search(r"  | [,.:]|,,|\.\.|^[ ,]|[ ,]$", text), text
        words.update(re.findall(r"[a-z'-]+", text.lower()))
    assert len(words) > 500


def test_any_three_facts_have_words(grammar: Grammar) -> None:
    draws = np.random.default_rng(2)
    for chosen in draws.permuted(np.tile(np.arange(len(FACTS)), (2000, 1)), axis=1)[:, :3]:
        facts = sum(1 << int(place) for place in chosen)
        if consistent(facts):
            assert grammar.say(facts, draws.random(DRAWS).tolist()).text


def test_short_phrases_and_joint_words(grammar: Grammar) -> None:
    assert {"hat", "someone in a hat", "cap"} <= _said(grammar, "wearing_hat", 1500)
    assert {"a clean-shaven man", "clean-shaven man"} <= _said(grammar, "male no_beard", 1500)
    assert {"a blonde", "blonde"} & _said(grammar, "female blond_hair")
    assert any("who isn't smiling" in text for text in _said(grammar, "male not_smiling"))
    both = _said(grammar, "goatee mustache")
    assert any("circle beard" in text for text in both)
    assert any("Van Dyke" in text for text in both)


def test_half_are_phrases(grammar: Grammar) -> None:
    said = _said(grammar, "female young smiling eyeglasses wavy_hair mouth_slightly_open")
    phrases = [text for text in said if not text.endswith(".")]
    assert 0.4 < len(phrases) / len(said) < 0.75
    assert not any(text[0].isupper() for text in phrases)


def test_what_is_denied_takes_no_with(grammar: Grammar) -> None:
    for text in _said(grammar, "male not_smiling mouth_closed"):
        assert not re.search(r"(isn't|not|doesn't) smil(e|ing) with", text), text
