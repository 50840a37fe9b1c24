"""What texts of any origin say, sentence by sentence, by the grammar that understands most of each."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from nonesuch.captions.grammar import LANGUAGES, language_file
from nonesuch.captions.reading import LONGEST, Reader
from nonesuch.core.files import AnyPath

READERS = ("english", "celebahq")
_QUESTIONS = "questions"  # reads what is asked, not what is said
_SENTENCE = re.compile(r"[^.!?]+[.!?]*")
_KEPT = 1 << 16  # sentences that are not read again: many captions share theirs
_KEPT_TEXTS = 1 << 12  # a report asks more than once about some


class Sentence(NamedTuple):
    """A stretch of a text, from one character up to another, and the facts that it states; None: not understood."""

    start: int
    end: int
    facts: frozenset[str] | None


class SentenceReader:
    """Reads texts by grammars of lark.

    Args:
        readers: those that ship, by name ("english", "german", "celebahq"), or files. Of several the one that
            understands most sentences of a text reads it, the first of equals.

    Raises:
        NonesuchError: one is neither, or is no grammar.
    """

    def __init__(self, readers: Sequence[AnyPath]) -> None:
        shipped = [path for path in LANGUAGES.glob("*.lark") if path.stem != _QUESTIONS]
        found = [Reader(language_file("reader", name, shipped)) for name in readers]
        self._readers = [(reader, lru_cache(_KEPT)(reader.read)) for reader in found]
        self._known = lru_cache(_KEPT_TEXTS)(self._read)
        self.files = [reader.path for reader in found]

    def sentences(self, text: str) -> list[Sentence]:
        """The sentences of a text.

        None is understood where the text is longer than `LONGEST`, or the words of two fit different kinds of person.
        """
        return list(self._known(text))

    def _read(self, text: str) -> list[Sentence]:
        if len(text) > LONGEST:
            return [Sentence(0, len(text), None)]
        stretches = []
        for match in _SENTENCE.finditer(text):
            start = match.end() - len(match.group().lstrip())
            end = match.start() + len(match.group().rstrip())
            if start < end:
                stretches.append((start, end))
        best: list[Sentence] = []
        most = -1
        for reader, read in self._readers:
            found = [Sentence(start, end, read(text[start:end])) for start, end in stretches]
            understood = [text[start:end] for start, end, facts in found if facts is not None]
            if len(understood) > 1 and reader.read(" ".join(understood)) is None:
                return [Sentence(start, end, None) for start, end in stretches]
            if len(understood) > most:
                best, most = found, len(understood)
            if most == len(stretches):
                break
        return best

    def whole(self, text: str) -> frozenset[str] | None:
        """The facts of a text; None where a sentence of it is not understood."""
        found = [one.facts for one in self.sentences(text)]
        understood = [facts for facts in found if facts is not None]
        return frozenset().union(*understood) if found and len(understood) == len(found) else None

    def partly(self, text: str) -> frozenset[str]:
        """The facts of those sentences that are understood."""
        return frozenset().union(*(one.facts or frozenset() for one in self.sentences(text)))
