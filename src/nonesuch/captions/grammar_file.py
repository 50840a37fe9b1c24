"""The file that a grammar is written in: rules, their weighted wordings, the words that depend on who is described.

How it is written stands at the top of `languages/english.txt`.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from nonesuch.captions.facts import bits
from nonesuch.core import files
from nonesuch.core.errors import NonesuchError

ROOT = "caption"
PEOPLE = ("anyone", "male", "female")  # who is described, as far as the facts tell
_HEAD = re.compile(r"(?P<name>[a-z_][a-z0-9_]*)(?:\s+\"(?P<comma>[^\"]*)\"\s+\"(?P<last>[^\"]*)\")?")
_FACTS = re.compile(r"(?P<facts>[a-z0-9_]+(?:\s*\+\s*[a-z0-9_]+)*)\s*=\s*(?P<rest>.*)")
_WEIGHTED = re.compile(r"(?P<weight>\d+(?:\.\d+)?)\s+(?P<text>.+)")
_PART = re.compile(r"<(?P<rule>[a-z_][a-z0-9_]*)(?P<optional>\?)?>|\{(?P<form>[^{}]*)\}")


@dataclass(frozen=True)
class Reference:
    """Words of another rule; `optional` ones are left out where they would state nothing."""

    rule: str
    optional: bool


@dataclass(frozen=True)
class Form:
    """A word that depends on who is described or on what follows."""

    name: str


Part = str | Reference | Form


@dataclass(frozen=True)
class Wording:
    """A line of a rule.

    Attributes:
        line: its number in the file.
        weight: how often it is chosen, relative to the others that fit.
        states: the facts that it states itself, as `facts.bits` makes them.
        parts: text, words of other rules, and forms, in order.
    """

    line: int
    weight: float
    states: int
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Rule:
    """A rule and its wordings; of a list, `joints` are what stands between its items and before the last."""

    name: str
    line: int
    joints: tuple[str, str] | None
    wordings: list[Wording] = field(default_factory=list)


@dataclass(frozen=True)
class GrammarFile:
    """What a file says.

    Attributes:
        path, language: where it is, and the language's name as the file gives it.
        forms: by name, the words in the order of `PEOPLE`.
        before: by name of a form, the other word and the letters that it stands before.
        rules: by name.
    """

    path: Path
    language: str
    forms: dict[str, tuple[str, ...]]
    before: dict[str, tuple[str, str]]
    rules: dict[str, Rule]


class GrammarError(NonesuchError):
    """A grammar that cannot be used: the file and the line."""

    def __init__(self, path: Path, line: int, problem: str) -> None:
        super().__init__(f"{path}, line {line}: {problem}")


def read_grammar_file(path: Path) -> GrammarFile:
    """Read a grammar; raises NonesuchError, with the line, where it is not written as it must be."""
    found = GrammarFile(path, "", {}, {}, {})
    language, section, letters = "", "", ""
    for number, raw in enumerate(files.read_text(path).splitlines(), 1):
        line = raw.rstrip()
        if not line or line.lstrip().startswith("#"):
            continue
        if line[0] not in " \t":
            section, *words = line.split()
            if section == "language":
                language = " ".join(words)
            elif section == "forms":
                if tuple(words) != PEOPLE:
                    raise GrammarError(path, number, f"the columns of forms are {', '.join(PEOPLE)}")
            elif section == "before":
                letters = "".join(words)
            else:
                section = _begin(found, number, line)
        elif section == "forms":
            name, *words = line.split()
            if len(words) != len(PEOPLE):
                raise GrammarError(path, number, f"{name}: a form has {len(PEOPLE)} words, one for each of {PEOPLE}")
            found.forms[name] = tuple(words)
        elif section == "before":
            words = line.split()
            if len(words) != 2 or not letters:
                raise GrammarError(path, number, "'before LETTERS' is followed by lines of two words: a  an")
            found.before[words[0]] = (words[1], letters)
        elif section in found.rules:
            found.rules[section].wordings.extend(_wordings(path, number, line.strip()))
        else:
            raise GrammarError(path, number, "an indented line belongs to a rule, and none begins above it")
    if not language:
        raise GrammarError(path, 1, "its language is missing: a line such as 'language English'")
    return GrammarFile(path, language, found.forms, found.before, found.rules)


def _begin(found: GrammarFile, number: int, line: str) -> str:
    match = _HEAD.fullmatch(line)
    if match is None:
        raise GrammarError(
            found.path, number, f"{line!r} begins no rule: a name in small letters, for a list two joints"
        )
    name = match["name"]
    if name in found.rules:
        raise GrammarError(found.path, number, f"rule {name} begins twice, first in line {found.rules[name].line}")
    joints = (match["comma"], match["last"]) if match["comma"] is not None else None
    found.rules[name] = Rule(name, number, joints)
    return name


def _wordings(path: Path, number: int, line: str) -> list[Wording]:
    match, states = _FACTS.fullmatch(line), 0
    if match:
        try:
            states = bits(part.strip() for part in match["facts"].split("+"))
        except NonesuchError as error:
            raise GrammarError(path, number, str(error)) from error
        line = match["rest"]
    found = []
    for text in line.split(" | "):
        weighted = _WEIGHTED.fullmatch(text.strip())
        weight = float(weighted["weight"]) if weighted else 1.0
        words = (weighted["text"] if weighted else text).strip()
        if not words or not weight:
            raise GrammarError(path, number, "a wording without words, or of weight 0")
        found.append(Wording(number, weight, states, _parts(path, number, words)))
    return found


def _parts(path: Path, number: int, text: str) -> tuple[Part, ...]:
    found: list[Part] = []
    place = 0
    for match in _PART.finditer(text):
        found.append(text[place : match.start()])
        if match["rule"]:
            found.append(Reference(match["rule"], bool(match["optional"])))
        else:
            found.append(Form(match["form"]))
        place = match.end()
    found.append(text[place:])
    for part in found:
        if isinstance(part, str) and re.search(r"[<>{}]", part):
            raise GrammarError(path, number, f"a bracket without its pair in {text!r}")
    return tuple(part for part in found if part != "")
