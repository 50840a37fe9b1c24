"""A grammar that puts facts into words: each fact once, nothing else, and each clause says which fact it states.

A probabilistic context-free grammar whose rules are given the facts that they must state: a wording fits where its own
facts and those of the rules that it names are exactly these. FaceCaption-15M (arXiv 2407.08515) uses such a grammar and
does not publish it; this one is of our own making.
"""

import hashlib
from bisect import bisect
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from nonesuch.captions.compiled import Article, Choice, Compiler, List, Slot, Text, Way
from nonesuch.captions.facts import bits
from nonesuch.captions.grammar_file import read_grammar_file
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path

LANGUAGES = Path(__file__).parent / "languages"
DRAWS = 64  # uniform draws that a caption may use; more choices than these repeat them
_MALE, _FEMALE = bits(["male"]), bits(["female"])
# A stretch of a caption, from one character up to another, and the facts that it states, as `facts.bits` makes them.
Clause = tuple[int, int, int]


class Caption(NamedTuple):
    """A caption and its clauses; a clause may lie in a longer one."""

    text: str
    clauses: list[Clause]


class _End(NamedTuple):
    """The end of a stretch that began at `start`."""

    start: int
    states: int


class Grammar:
    """Rules read from a file.

    Attributes:
        path, language: of the file, and the language as it calls it.
        sha256: of the file.
        can_say: the facts that it has words for, as `facts.bits` makes them.

    Raises:
        NonesuchError: the file is not written as it must be, names a rule or a form that is not there, or has no words
            for a set of facts that can occur; with the line.
    """

    def __init__(self, path: Path) -> None:
        file = read_grammar_file(path)
        self.path, self.language = path, file.language
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        self._compiler = Compiler(file)
        self.can_say = self._compiler.can_say

    def say(self, facts: int, draws: Sequence[float]) -> Caption:
        """Put facts into words.

        Args:
            facts: as `facts.bits` makes them; consistent, and among `can_say`.
            draws: `DRAWS` numbers of [0, 1), which choose among the wordings.

        Raises:
            NonesuchError: the grammar has no words for them.
        """
        person = 1 if facts & _MALE else 2 if facts & _FEMALE else 0
        out: list[str] = []
        clauses: list[Clause] = []
        stack: list[Any] = [self._compiler.root(facts, person)]
        used = 0
        article: tuple[int, Article] | None = None  # its place in `out`, until a letter follows
        while stack:
            part = stack.pop()
            kind = type(part)
            if kind is Slot:
                part = self._compiler.words(part.rule, facts & part.domain, person)
                kind = type(part)
            if kind is Choice:
                part = part.ways[bisect(part.shares, draws[used % DRAWS])]
                used += 1
                kind = type(part)
            if kind is str or kind is Text:
                text = part
                if kind is Text:
                    text = part.text
                    clauses.append((len(out), len(out) + 1, part.states))
                if article is not None and not text.isspace():
                    place, words = article
                    article = None
                    if text.lstrip()[0] in words.letters:
                        out[place] = words.other
                out.append(text)
            elif kind is Way:
                if part.states:
                    stack.append(_End(len(out), part.states))
                stack += part.parts
            elif kind is List:
                items = list(part.items)
                for left in range(len(items) - 1, 0, -1):
                    place = int(draws[used % DRAWS] * (left + 1))
                    items[left], items[place] = items[place], items[left]
                    used += 1
                stack.append(items[0])
                for number, item in enumerate(items[1:], 1):
                    stack += (part.last if number == 1 else part.comma, item)
            elif kind is _End:
                clauses.append((part.start, len(out), part.states))
            elif kind is Choice:
                stack.append(part)
            else:
                article = len(out), part
                out.append(part.word)
        ends = [0, *accumulate(map(len, out))]
        return Caption("".join(out), [(ends[start], ends[end], states) for start, end, states in clauses])


def grammar_file(grammar: AnyPath) -> Path:
    """The file of a grammar that ships, by its name, or of one that is named by its file.

    Raises:
        NonesuchError: there is neither.
    """
    return language_file("grammar", grammar, LANGUAGES.glob("*.txt"))


def language_file(kind: str, given: AnyPath, ship: Iterable[Path]) -> Path:
    """One of the files that ship, by its name, or one that is named by its file.

    Args:
        kind: what it is; also the name of the option, for the error.

    Raises:
        NonesuchError: there is neither.
    """
    shipped = {path.stem: path for path in sorted(ship)}
    if str(given) in shipped:
        return shipped[str(given)]
    path = as_path(given)
    if not path.is_file():
        raise NonesuchError(f"--{kind} {given}: no such file; {kind}s that ship: {', '.join(shipped)}")
    return path
