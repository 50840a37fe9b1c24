"""What sentences about a face say: the way back from words to facts, to check those who put facts into words.

It shares nothing with `nonesuch.captions.grammar` but the names of the facts. A sentence is read whole or not at all:
one word that the grammar does not know, and nothing is read.
"""

import re
import unicodedata
from functools import lru_cache
from pathlib import Path
from textwrap import shorten

from lark import Lark
from lark.exceptions import LarkError
from lark.grammar import Rule
from lark.lexer import PatternRE, TerminalDef

from nonesuch.captions.facts import NAMES
from nonesuch.core import files
from nonesuch.core.errors import NonesuchError

LONGEST = 2000  # characters; a longer text describes no face, and should not hold up who reads many
_FACT, _WHO = "fact_", "who_"


def read_lark(path: Path) -> Lark:
    """A grammar of lark, for LALR(1) with the contextual lexer.

    Its terminals match in capitals and in small letters, and end only where a word ends.

    Raises:
        NonesuchError: the file is missing, is not UTF-8, or is no grammar that lark takes.
    """
    return _made(files.read_text(path), path)


@lru_cache(maxsize=8)  # half a second each
def _made(text: str, path: Path) -> Lark:
    try:
        return Lark(
            text,
            parser="lalr",
            g_regex_flags=re.IGNORECASE,
            edit_terminals=_end_with_words,
            source_path=str(path),
        )
    except Exception as error:  # besides its own, lark lets those of re and of its own insides through
        raise NonesuchError(f"{path}: no grammar that lark takes: {shorten(str(error), 300)}") from error


def plain(text: str) -> str:
    """A text as such grammars read it: letters composed, ' for a curled apostrophe."""
    return unicodedata.normalize("NFC", text).replace("\u2019", "'")


class Reader:
    """Reads texts by a grammar of lark (`read_lark`).

    A rule or an alias named fact_NAME marks words that state the fact NAME of `nonesuch.captions.facts.NAMES`, as in
    `fact_5_o_clock_shadow` and `glasses: "spectacles" -> fact_eyeglasses`. One named who_KIND marks words that fit one
    kind of person only, as "he" and "his" do. The grammar begins with the rule `start`.

    Attributes:
        path: of the grammar.
        can_read: the facts that it has words for.

    Raises:
        NonesuchError: the file is missing, is not UTF-8, is no grammar that lark takes, or marks what is no fact.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lark = read_lark(path)
        self.can_read = frozenset(name for name in map(self._marked, self._lark.rules) if name)

    def read(self, text: str) -> frozenset[str] | None:
        """The facts that a text states; None where it holds a word or a construction that is not understood.

        A text of more than `LONGEST` characters is not understood, nor one whose words fit different kinds of person
        ("he ... her"). Facts that exclude each other are not looked for.
        """
        if len(text) > LONGEST:
            return None
        try:
            tree = self._lark.parse(plain(text))
        except LarkError:
            return None
        marks = {str(subtree.data) for subtree in tree.iter_subtrees()}
        if sum(mark.startswith(_WHO) for mark in marks) > 1:
            return None
        return frozenset(mark.removeprefix(_FACT) for mark in marks if mark.startswith(_FACT))

    def _marked(self, rule: Rule) -> str:
        """The fact that a rule of the grammar marks, or ""; raises NonesuchError where it is none or would be lost."""
        mark = str(rule.alias or rule.options.template_source or rule.origin.name)
        name = mark.lstrip("_")
        if not name.startswith((_FACT, _WHO)):
            return ""
        if rule.origin.name.startswith("_") or (rule.options.expand1 and not rule.alias):
            raise NonesuchError(f"{self.path}: lark drops the mark {name}; no _ or ? before the rule that has it")
        if name.startswith(_WHO):
            return ""
        if (fact := name.removeprefix(_FACT)) not in NAMES:
            raise NonesuchError(f"{self.path}: {name} marks no fact; there are {', '.join(NAMES)}")
        return fact


def _end_with_words(terminal: TerminalDef) -> None:
    """Keep a terminal from ending inside a word: "man" is not read from "many"."""
    pattern = terminal.pattern
    terminal.pattern = PatternRE(f"(?:{pattern.to_regexp()})(?!(?<=\\w)\\w)", pattern.flags)
