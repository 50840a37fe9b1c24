"""Captions in more natural words by a language model, sentence by sentence; what it changes or adds is thrown away.

Small models drop and invent facts. So a rewritten sentence is read back (`nonesuch.captions.reading`), and taken only
if it says exactly what the grammar's sentence says; else that one stays.
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nonesuch.captions.endpoint import Endpoint, NoAnswerError
from nonesuch.captions.facts import names
from nonesuch.captions.grammar import Caption, Clause
from nonesuch.captions.local_model import LocalModel
from nonesuch.captions.reading import Reader
from nonesuch.core import files
from nonesuch.core.notices import notice

KEPT, SAME, MISREAD, UNANSWERED = "kept", "same words", "other facts", "no answer"
_SENTENCE = re.compile(r"[^.!?]+[.!?]+ ?")
_LONGEST = 300  # characters of a rewritten sentence
_LONG_WORD = 4  # letters
_GIVES_UP_AFTER = 5  # questions in a row without an answer
_VERSIONS = 4  # of a sentence


@dataclass
class Rewriter:
    """Rewrites sentences, and remembers all answers in a file.

    Attributes:
        model: who is asked.
        reader: reads back what is answered.
        place: JSON lines with each sentence, the number of its version, and what it became: a sentence, or "" where
            the grammar's stays.
        most: questions that may be asked in all.
        counts: of answers, by KEPT, SAME, MISREAD, UNANSWERED.
        on_asked: told how many questions have been asked.
    """

    model: Endpoint | LocalModel
    reader: Reader
    place: Path
    most: int
    on_asked: Callable[[int], None] = lambda asked: None
    counts: Counter[str] = field(default_factory=Counter)
    _known: dict[tuple[str, int], str] = field(default_factory=dict)
    _silent: int = 0

    def __post_init__(self) -> None:
        if self.place.exists():
            for line in self.place.read_bytes().decode("utf-8", "replace").splitlines():
                try:
                    told = json.loads(line)
                    if told["model"] == self.model.name:
                        self._known[str(told["sentence"]), int(told["version"])] = str(told["became"])
                except (ValueError, KeyError, TypeError):
                    continue  # the end of a file whose writer was killed

    def caption(self, said: Caption, draw: float) -> tuple[Caption, bool]:
        """A caption with the sentences that were rewritten well, and whether there is one.

        Args:
            draw: of [0, 1), which chooses among the versions of its sentences.
        """
        out, clauses, changed, position = [], [], False, 0
        for match in _SENTENCE.finditer(said.text):
            inside = [one for one in said.clauses if match.start() <= one[0] and one[1] <= match.end()]
            facts = 0
            for _, _, states in inside:
                facts |= states
            text = match.group().rstrip()
            became = self._became(text, facts, int(draw * _VERSIONS)) if facts else ""
            clauses += _moved(inside, match.start(), position, became, facts)
            changed = changed or bool(became)
            out.append(became or text)
            position += len(out[-1]) + 1
        return Caption(" ".join(out), clauses), changed

    def _became(self, sentence: str, facts: int, version: int) -> str:
        """A version of a sentence; "" where the grammar's own stays."""
        key = (sentence, version)
        if key not in self._known:
            if sum(self.counts.values()) >= self.most or self._silent >= _GIVES_UP_AFTER:
                return ""
            became, what = self._asked(sentence, facts, version)
            self.counts[what] += 1
            self.on_asked(sum(self.counts.values()))
            if what == UNANSWERED:
                return ""  # asked again another time
            self._known[key] = became
            told = {"model": self.model.name, "sentence": sentence, "version": version, "became": became}
            try:
                with self.place.open("a", encoding="utf-8") as handle:
                    handle.write(json.dumps(told, ensure_ascii=False) + "\n")
            except OSError as error:
                raise files.write_error(self.place, error) from error
        return self._known[key]

    def _asked(self, sentence: str, facts: int, version: int) -> tuple[str, str]:
        try:
            answer = self.model.rewrite(sentence, version).strip().strip('"').strip()
        except NoAnswerError as error:
            self._silent += 1
            if self._silent == _GIVES_UP_AFTER:
                notice(f"{self.model.place}: {error}, {_GIVES_UP_AFTER} times in a row; the grammar's words stay")
            return "", UNANSWERED
        self._silent = 0
        if answer == sentence:
            return "", SAME
        return (answer, KEPT) if self.fits(answer, sentence, facts) else ("", MISREAD)

    def fits(self, answer: str, sentence: str, facts: int) -> bool:
        """Whether an answer says exactly what a sentence says, of the same person."""
        if len(answer) > _LONGEST or not answer.endswith(".") or not answer.isprintable():
            return False
        if _repeated(answer) - _repeated(sentence):  # "a young man is a young man"
            return False
        if self.reader.read(answer) != frozenset(names(facts)):
            return False
        return self.reader.read(f"{sentence} {answer}") is not None  # not "he" where the sentence has "she"


def _repeated(text: str) -> Counter[str]:
    """Longer words that occur more than once."""
    words = Counter(word for word in re.findall(r"\w+", text.lower()) if len(word) >= _LONG_WORD)
    return Counter({word: count for word, count in words.items() if count > 1})


def _moved(inside: list[Clause], start: int, position: int, became: str, facts: int) -> list[Clause]:
    """The clauses of a sentence where it now is; a rewritten one states its facts as a whole."""
    if became:
        return [(position, position + len(became), facts)]
    return [(one - start + position, end - start + position, states) for one, end, states in inside]
