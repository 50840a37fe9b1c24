"""Grammars: each fact once and nothing else, weights, articles, lists, and what is wrong with a file."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nonesuch.captions.facts import FACTS, as_bits, as_row, bits, names, settled
from nonesuch.captions.grammar import DRAWS, LANGUAGES, Grammar
from nonesuch.core.errors import NonesuchError

START = """language Test
forms anyone male female
  He They He She
  has have has has
before aeiou
  a an
caption
  <who> <face?> <hair?>
who
  3 This is {a} <age?> <person>.
person
  male = man
  female = woman
  person
age
  young = young
  over_60 = old | elderly
"""
FACE = """face
  {He} {has} <features>.
features ", " " and "
  oval_face = an oval face
  big_nose = a big nose
  pale_skin = pale skin
"""
HAIR = """hair
  {He} {has} <texture?> <colour?> hair.
texture
  wavy_hair = wavy
colour
  3 black_hair = black
  gray_hair = 3 gray | grey
"""
WHOLE = START + FACE + HAIR.replace("  3 black_hair", "  black_hair")


def _grammar(folder: Path, text: str) -> Grammar:
    path = folder / "own.txt"
    path.write_text(text, encoding="utf-8")
    return Grammar(path)


def _random_facts(grammar: Grammar, count: int, share: float = 0.4) -> list[int]:
    draws = np.random.default_rng(0)
    held = draws.random((count, len(FACTS))) < share
    held &= as_row(grammar.can_say)
    return as_bits(settled(held, draws.random(held.shape)))


def test_words_articles_and_what_is_left_out(tmp_path: Path) -> None:
    grammar = _grammar(tmp_path, WHOLE)
    low, high = [0.0] * DRAWS, [0.99] * DRAWS
    assert grammar.say(0, low).text == "This is a person."
    assert grammar.say(bits(["male", "young", "wavy_hair"]), low).text == "This is a young man. He has wavy hair."
    assert grammar.say(bits(["female", "over_60"]), low).text == "This is an old woman."
    assert grammar.say(bits(["female", "over_60"]), high).text == "This is an elderly woman."
    said = grammar.say(bits(["big_nose", "pale_skin", "oval_face", "gray_hair"]), low)
    assert said.text == "This is a person. They have an oval face, pale skin and a big nose. They have gray hair."
    assert [(said.text[start:end], names(facts)) for start, end, facts in said.clauses] == [
        ("an oval face", ["oval_face"]),
        ("pale skin", ["pale_skin"]),
        ("a big nose", ["big_nose"]),
        ("gray", ["gray_hair"]),
    ]


def test_weights_are_shares(tmp_path: Path) -> None:
    grammar = _grammar(tmp_path, WHOLE)
    draws = np.random.default_rng(0).random((4000, DRAWS)).tolist()
    found = Counter(grammar.say(bits(["gray_hair"]), row).text for row in draws)
    assert found["This is a person. They have gray hair."] / 4000 == pytest.approx(0.75, abs=0.03)
    three = bits(["oval_face", "big_nose", "pale_skin"])
    orders = Counter(grammar.say(three, row).text for row in draws)
    assert len(orders) == 6
    assert min(orders.values()) / 4000 == pytest.approx(1 / 6, abs=0.03)


@pytest.mark.parametrize("language", ["english", "german"])
def test_each_fact_is_stated_once_and_nothing_else(language: str) -> None:
    grammar = Grammar(LANGUAGES / f"{language}.txt")
    assert names(grammar.can_say ^ bits(names((1 << len(FACTS)) - 1))) == ["attractive"]
    draws = np.random.default_rng(1).random((3000, DRAWS)).tolist()
    for facts, row in zip(_random_facts(grammar, 3000), draws, strict=True):
        text, clauses = grammar.say(facts, row)
        stated = [name for _, _, part in clauses for name in names(part)]
        assert sorted(stated) == sorted(names(facts))
        assert all(0 <= start < end <= len(text) for start, end, _ in clauses)
        assert "  " not in text
        assert " ." not in text
        assert " ," not in text
        assert all(sentence[0].isupper() for sentence in text.removesuffix(".").split(". "))
        assert grammar.say(facts, row) == (text, clauses)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("language Test\n", ""), "line 1: its language is missing"),
        (("<person>.", "<persons>."), "line 10: there is no rule persons"),
        (("{a} <age", "{an} <age"), "line 10: {an} is in neither forms nor before"),
        (("male = man", "man = man"), "line 12: 'man' is no fact"),
        (("male = man", "male ="), "line 12: a wording without words"),
        (("<texture?>", "<texture>"), "hair has no words for black_hair"),
        (("= man", "= <person>"), "person is made of itself"),
        (("{He} {has} <features", "{He {has} <features"), "a bracket without its pair"),
        (("face\n  {He}", "who\n  {He}"), "rule who begins twice"),
        (("caption\n", "captions\n"), "no rule is called caption"),
        (("texture\n  wavy_hair = wavy\n", "texture\n"), "texture has no wordings"),
        (("wavy_hair = wavy", "oval_face = oval"), "face and hair both state oval_face"),
        (("forms anyone male female", "forms male female anyone"), "the columns of forms are anyone, male, female"),
        (("  He They He She", "  He They He"), "He: a form has 3 words"),
        (("  a an\n", "  a\n"), "'before LETTERS' is followed by lines of two words"),
        (("face\n  {He}", "Face!\n  {He}"), "begins no rule"),
        (("language Test\n", "language Test\n  lost\n"), "line 2: an indented line belongs to a rule"),
        (("  <who> <face?> <hair?>", "  male = <who> <face?> <hair?>"), "caption is made of other rules"),
        (("oval_face = an oval face", "oval_face + big_nose = both"), "face has no words for oval_face"),
        (
            ("<who> <face?> <hair?>", "<who> <face?>\n  <who> <hair?>"),
            "line 7: no wording of caption has words for every",
        ),
        (("<face?> <hair?>\n", "<face?> <hair?>\n  <who> <sex>\nsex\n  male = he\n"), "sex and who both state male"),
        (
            ("<hair?>\n", "<hair?>\n  <who> <waves>\nwaves\n  wavy_hair = waves\n"),
            "line 9: this wording of caption has no",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    assert change[0] in WHOLE
    with pytest.raises(NonesuchError) as error:
        _grammar(tmp_path, WHOLE.replace(*change, 1))
    assert says in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "own.txt"))


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_bytes("language Français".encode("latin-1"))
    with pytest.raises(NonesuchError, match="not UTF-8"):
        Grammar(path)
    with pytest.raises(NonesuchError, match="not readable"):
        Grammar(tmp_path)
