"""What questions about a face ask: of which face of a picture, and what of it.

A question is read whole or not at all, by the grammar `languages/questions.lark`, which says what may be asked.
"""

from dataclasses import dataclass
from functools import cache

from lark import Lark, Token, Tree
from lark.exceptions import LarkError

from nonesuch.captions.grammar import LANGUAGES
from nonesuch.captions.reading import LONGEST, plain, read_lark
from nonesuch.core.errors import NonesuchError

EXAMPLES = (
    "how old is the woman with glasses?",
    "what colour is the hair of the person on the left?",
    "who is smiling?",
)
LEFT, RIGHT, MIDDLE, TOP, BOTTOM = "left", "right", "middle", "top", "bottom"
LARGEST, SMALLEST = "largest", "smallest"
_MEANT = ("face", "face_first", "face_object", "whose", "which", "counted", "any")
_ASK, _FACT, _NOT, _PREFERS, _PLACE, _UNTOLD = "ask_", "fact_", "not_", "prefers_", "place_", "untold_"
_NTH = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_LAST = "last"


@dataclass(frozen=True)
class Condition:
    """A fact of `nonesuch.captions.facts.NAMES`, or where it does not hold its opposite."""

    fact: str
    holds: bool = True


@dataclass(frozen=True)
class Meant:
    """Which face is meant.

    Attributes:
        conditions: what the words say of it.
        prefers: a fact that a pronoun suggests: "she" may be said of a face that is not known to be a woman's. "" for
            none.
        place: where it is, or how large; "" where no place is named.
        nth: counted from that place, 1 for the first.
    """

    conditions: tuple[Condition, ...] = ()
    prefers: str = ""
    place: str = ""
    nth: int = 1


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        text: as it was put.
        kind: age, hair, gender, yaw, fact, who, where, count, describe, or untold.
        asked: what is asked of the face, for the kinds fact, who and count.
        meant: whose face.
        topic: of the kind untold: ethnicity, emotion, identity or attractiveness.
    """

    text: str
    kind: str
    asked: tuple[Condition, ...] = ()
    meant: Meant = Meant()
    topic: str = ""


def read_question(text: str) -> Question:
    """What a question asks.

    Raises:
        NonesuchError: it is no text, is empty, is longer than `LONGEST` characters, or is not understood.
    """
    if not isinstance(text, str) or not text.strip():
        raise NonesuchError(f"the question is empty; {_ask_like()}")
    if len(text) > LONGEST:
        raise NonesuchError(f"the question has {len(text):,} characters, more than {LONGEST:,}; {_ask_like()}")
    found = _read(text)
    if found is None:
        raise NonesuchError(f"the question {text.strip()[:100]!r} is not understood; {_ask_like()}")
    return found


def _ask_like() -> str:
    return "ask like " + ", ".join(f"'{example}'" for example in EXAMPLES)


@cache
def _grammar() -> Lark:
    return read_lark(LANGUAGES / "questions.lark")


def _read(text: str) -> Question | None:
    """The question, or None where it is not understood."""
    try:
        tree = _grammar().parse(plain(text))
    except LarkError:
        return None
    question = tree.children[0]
    assert isinstance(question, Tree)
    marks, words = _marks(question), list(question.scan_values(lambda part: isinstance(part, Token)))
    topics = [mark.removeprefix(_UNTOLD) for mark in marks if mark.startswith(_UNTOLD)]
    if topics:
        return Question(text, "untold", topic=topics[0])
    meant = _meant(marks, words)
    if meant is None:
        return None
    said = next(question.find_pred(lambda part: part.data in _MEANT), None)
    told = _conditions(_marks(said)) if said else ()
    asked = _conditions(_marks(question, said))
    kind = str(question.data).removeprefix(_ASK)
    if (kind == "fact" and not asked) or (kind == "who" and not asked + told):
        return None  # "is she a person?"
    return Question(text, kind, asked, Meant(told, *meant))


def _marks(tree: Tree[Token], but: Tree[Token] | None = None) -> list[str]:
    """What marks the parts of a tree, in the order of the text, without those of one part."""
    if tree is but:
        return []
    parts = [part for part in tree.children if isinstance(part, Tree)]
    return [str(tree.data), *(mark for part in parts for mark in _marks(part, but))]


def _conditions(marks: list[str]) -> tuple[Condition, ...]:
    found = [Condition(mark.removeprefix(_FACT)) for mark in marks if mark.startswith(_FACT)]
    found += [Condition(mark.removeprefix(_NOT), False) for mark in marks if mark.startswith(_NOT)]
    return tuple(dict.fromkeys(found))


def _meant(marks: list[str], words: list[Token]) -> tuple[str, str, int] | None:
    """What a pronoun prefers, the place and the number; None where the words name several places or numbers."""
    prefers = next((mark.removeprefix(_PREFERS) for mark in marks if mark.startswith(_PREFERS)), "")
    places = [mark.removeprefix(_PLACE) for mark in marks if mark.startswith(_PLACE)]
    if len(places) > 1 or len(words) > 1:
        return None
    place = places[0] if places else ""
    if not words:
        return prefers, place, 1
    word = words[0].lower()
    if word == _LAST:
        return (prefers, RIGHT, 1) if not place else None
    nth = _NTH.index(word) + 1 if word in _NTH else int("".join(letter for letter in word if letter.isdigit()))
    if not nth or place == MIDDLE:
        return None
    return prefers, place or LEFT, nth
