"""Words that a model learns from: captions as they are, or drawn anew from the facts each time an image is seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nonesuch.captions.facts import bits, names
from nonesuch.captions.grammar import DRAWS, Grammar
from nonesuch.core.seeding import Stream, uniform

_PERSON = bits(["male", "female"])
_FACTS = 64  # draws that choose among facts
_WHOLE = 0.5  # share of texts that state all that is known
_FEW = 4  # facts that the others state at most
_NAMES_PERSON = 0.6  # share of these that say whether they speak of a man or a woman


@dataclass(frozen=True)
class Wording:
    """How an image is spoken of while a model learns.

    Attributes:
        grammars: that say facts anew; each text is one of these, drawn. None: captions stay as they are.
    """

    grammars: Sequence[Grammar]

    @property
    def signature(self) -> list[str]:
        """The hashes of the grammars."""
        return [grammar.sha256 for grammar in self.grammars]

    @property
    def told(self) -> str:
        """What is done, in words; "" where captions stay as they are."""
        names = " and ".join(grammar.path.name for grammar in self.grammars)
        return f"their facts said anew by {names}" if names else ""

    def text(self, caption: str, facts: int, seed: int) -> tuple[str, int]:
        """A text of an image and the facts that it states; 0 where that is not known.

        Half of the texts that are drawn anew state all facts, as captions do, the others one to four, as people do who
        search.
        """
        if not self.grammars or not facts:
            return caption, facts if caption else 0
        draws = uniform(seed, Stream.WORDING, DRAWS + _FACTS + 3)
        words, order, (which, whole, few) = draws[:DRAWS], draws[DRAWS:-3], draws[-3:]
        grammar = self.grammars[int(which * len(self.grammars))]
        stated = facts & grammar.can_say
        if whole >= _WHOLE:
            stated = _some(stated, order, few)
        if not stated:
            return caption, facts if caption else 0
        return grammar.say(stated, words.tolist()).text, stated


def _some(facts: int, order: np.ndarray, few: float) -> int:
    """One to four of the facts."""
    person, others = facts & _PERSON, names(facts & ~_PERSON)
    if order[-1] >= _NAMES_PERSON:
        person = 0
    count = 1 + int(few * _FEW) - bool(person)
    chosen = sorted(range(len(others)), key=lambda place: order[place])[:count]
    return person | bits(others[place] for place in chosen) or facts
