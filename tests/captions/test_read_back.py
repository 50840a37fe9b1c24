"""What the grammars write, a parser that shares nothing with them reads as just these facts."""

import numpy as np
import pytest

from nonesuch.captions.facts import FACTS, as_bits, as_row, names, settled
from nonesuch.captions.grammar import DRAWS, LANGUAGES, Grammar
from nonesuch.captions.reading import Reader


@pytest.mark.parametrize(("language", "count"), [("english", 500), ("german", 300)])
def test_captions_read_back_as_their_facts(language: str, count: int) -> None:
    grammar, reader = Grammar(LANGUAGES / f"{language}.txt"), Reader(LANGUAGES / f"{language}.lark")
    draws = np.random.default_rng(2)
    held = draws.random((count, len(FACTS))) < draws.random((count, 1))
    held &= as_row(grammar.can_say)
    for facts in as_bits(settled(held, draws.random(held.shape))):
        text = grammar.say(facts, draws.random(DRAWS).tolist()).text
        assert reader.read(text) == frozenset(names(facts)), text
