"""Captions of any origin, read sentence by sentence."""

import pytest

from nonesuch.captions.reading import LONGEST
from nonesuch.captions.sentences import READERS, SentenceReader
from nonesuch.core.errors import NonesuchError

HQ = (
    "The person in the picture is attractive, young. She is with big nose, mouth slightly open, wavy hair. "
    "This woman wears ."
)


@pytest.fixture(scope="module")
def reader() -> SentenceReader:
    return SentenceReader(READERS)


def test_captions_as_celebahq_has_them(reader: SentenceReader) -> None:
    facts = {"attractive", "young", "big_nose", "mouth_slightly_open", "wavy_hair", "female"}
    assert reader.whole(HQ) == reader.partly(HQ) == facts
    assert reader.whole("The person in the picture is . This man has bangs, goatee. He is wearing necktie.") == {
        "bangs",
        "goatee",
        "male",
        "wearing_necktie",
    }
    assert _stretches(reader, HQ) == [part + "." for part in HQ[:-1].split(". ")]


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("This is a young woman. She has a big nose.", "young female big_nose"),  # by the English grammar
        ("This woman has big nose. She is tall.", "female big_nose"),
        ("This woman has the big nose.", ""),  # neither grammar's
        ("This man has goatee. She wears hat.", ""),  # words of two kinds of person
        ("", ""),
        ("A smiling man." + " " * LONGEST, ""),
    ],
)
def test_only_what_is_understood(reader: SentenceReader, text: str, facts: str) -> None:
    assert reader.partly(text) == set(facts.split())


def test_a_text_is_whole_where_each_sentence_is(reader: SentenceReader) -> None:
    assert reader.whole("This woman has big nose. She is tall.") is None
    assert reader.whole("") is None
    assert reader.whole("This is a man. He has a goatee.") == {"male", "goatee"}


def test_a_reader_that_is_not_there() -> None:
    with pytest.raises(NonesuchError, match="--reader klingon: no such file; readers that ship: celebahq, english"):
        SentenceReader(["klingon"])


def _stretches(reader: SentenceReader, text: str) -> list[str]:
    return [text[start:end] for start, end, _ in reader.sentences(text)]
