"""Questions about faces: what is understood, which face they mean, and what is answered from planted columns."""

import re
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nonesuch.captions.asking.answers import Answered, answer
from nonesuch.captions.asking.judging import Judge
from nonesuch.captions.asking.questions import EXAMPLES, Condition, read_question
from nonesuch.captions.facts import NAMES
from nonesuch.captions.grammar import LANGUAGES
from nonesuch.captions.reading import LONGEST
from nonesuch.captions.thresholds import PRECISIONS, Thresholds
from nonesuch.core.errors import NonesuchError
from nonesuch.perception.attributes import ATTRIBUTES

GRAMMAR = (LANGUAGES / "questions.lark").read_text(encoding="utf-8")
WORDS = sorted(set(re.findall(r'"([^"\s]+)"', GRAMMAR)) - {"'s"})
# A hat has no opposite, a goatee only from 0.85 on; blond hair never counts.
LEAST = {
    "male": 0.4,
    "female": 0.4,
    "young": 0.6,
    "mature": 0.6,
    "over_60": 70.0,
    "eyeglasses": 0.5,
    "no_glasses": 0.5,
    "smiling": 0.7,
    "not_smiling": 0.7,
    "wearing_hat": 0.7,
    "no_beard": 0.5,
    "black_hair": 0.7,
    "facing_camera": -10.0,
    "turned_left": 15.0,
    "turned_right": 15.0,
}
LOOSE = LEAST | {"goatee": 0.6, "brown_hair": 0.5}
# A missing tie may be told, missing bangs at 0.85.
MOST = {"wearing_hat": 0.2, "wearing_necktie": 0.35}
THRESHOLDS = Thresholds(
    "",
    "planted",
    {},
    {one: LOOSE if one <= "0.85" else LEAST for one in PRECISIONS},
    {one: MOST | ({"bangs": 0.35} if one <= "0.85" else {}) for one in PRECISIONS},
)
# Three faces, not in the order of their places: a young woman with glasses who smiles, right; an older man with a hat,
# left and largest; someone of whom little is sure, in the middle and above them.
PEOPLE: list[dict[str, float]] = [
    {"male": 0.1, "young": 0.9, "eyeglasses": 0.98, "smiling": 0.95, "black_hair": 0.9, "yaw": -20.0, "age": 24.4},
    {"male": 0.95, "young": 0.1, "eyeglasses": 0.02, "smiling": 0.1, "wearing_hat": 0.8, "age": 75.0, "no_beard": 0.1},
    {"male": 0.97, "young": 0.5, "eyeglasses": 0.6, "smiling": 0.5, "yaw": 12.0, "age": 40.0, "goatee": 0.65},
]
BOXES = [(300.0, 50.0, 400.0, 150.0), (0.0, 40.0, 150.0, 190.0), (160.0, 0.0, 250.0, 90.0)]


def _asked(question: str, people: list[dict[str, float]] = PEOPLE, precision: str = "0.9") -> Answered:
    usual = dict.fromkeys(ATTRIBUTES, 0.3) | {"no_beard": 0.9, "yaw": 0.0, "age": 30.0}
    columns = {name: np.array([(usual | person)[name] for person in people]) for name in usual}
    return answer(read_question(question), Judge(columns, THRESHOLDS, precision), BOXES[: len(people)], 6.0)


def _written(conditions: tuple[Condition, ...]) -> str:
    return " ".join(("" if one.holds else "not ") + one.fact for one in conditions)


@pytest.mark.parametrize(
    ("text", "kind", "asked", "meant", "place"),
    [
        ("How old is the woman with glasses?", "age", "", "female eyeglasses", ""),
        ("what's his age", "age", "", "", "prefers male"),
        ("What is the age of the second person from the right?", "age", "", "", "right 2"),
        ("how old is the older man in the hat on the left", "age", "", "mature male wearing_hat", "left 1"),
        ("how old is the woman wearing glasses", "age", "", "female eyeglasses", ""),
        ("is the woman wearing glasses?", "fact", "eyeglasses", "female", ""),
        (
            "is the man with glasses wearing a hat and a tie?",
            "fact",
            "wearing_hat wearing_necktie",
            "male eyeglasses",
            "",
        ),
        ("Is the smiling woman in the hat young?", "fact", "young", "smiling female wearing_hat", ""),
        ("is the man who wears a tie bald", "fact", "bald", "male wearing_necktie", ""),
        ("does he have a beard?", "fact", "not no_beard", "", "prefers male"),
        ("is the bearded man smiling", "fact", "smiling", "male not no_beard", ""),
        ("does the man without a beard wear glasses", "fact", "eyeglasses", "male no_beard", ""),
        ("does she have wavy, black hair", "fact", "wavy_hair black_hair", "", "prefers female"),
        ("is the man\u2019s hair wavy?", "fact", "wavy_hair", "male", ""),
        ("IS HER MOUTH OPEN", "fact", "mouth_slightly_open", "", "prefers female"),
        ("is face 2 facing the camera", "fact", "facing_camera", "", "left 2"),
        ("is this a woman?", "fact", "female", "", ""),
        ("is he over 60?", "fact", "over_60", "", "prefers male"),
        ("is the person in the picture smiling?", "fact", "smiling", "", ""),
        ("what colour is the hair of the person in the middle?", "hair", "", "", "middle 1"),
        ("what color is the older man's hair", "hair", "", "mature male", ""),
        ("what is the hair colour of the last person", "hair", "", "", "right 1"),
        ("which way does the person at the top look?", "yaw", "", "", "top 1"),
        ("in which direction is she facing", "yaw", "", "", "prefers female"),
        ("is it a man or a woman?", "gender", "", "", ""),
        ("who is smiling?", "who", "smiling", "", ""),
        ("which one wears glasses?", "who", "eyeglasses", "", ""),
        ("which woman has black hair", "who", "black_hair", "female", ""),
        ("is there a woman with glasses?", "who", "", "female eyeglasses", ""),
        ("how many faces are there?", "count", "", "", ""),
        ("how many men with glasses are smiling", "count", "smiling", "male eyeglasses", ""),
        ("where is the second largest face", "where", "", "", "largest 2"),
        ("describe the third person", "describe", "", "", "left 3"),
        ("what does the woman look like?", "describe", "", "female", ""),
    ],
)
def test_what_is_understood(text: str, kind: str, asked: str, meant: str, place: str) -> None:
    found = read_question(text)
    where = f"{found.meant.place} {found.meant.nth}" if found.meant.place else ""
    where = f"prefers {found.meant.prefers}" if found.meant.prefers else where
    assert (found.kind, _written(found.asked), where) == (kind, asked, place)
    assert _written(found.meant.conditions) == meant


@pytest.mark.parametrize(
    ("topic", "questions"),
    [
        ("ethnicity", "is she Asian?|what race is the man|where is she from|is the black man smiling|who is white?"),
        ("emotion", "how does she feel?|is he happy|what is her mood|does the woman look sad|describe the angry man"),
        ("identity", "who is she?|who is the woman with glasses|what is his name?|is he famous|do you know her"),
        ("attractiveness", "is she pretty?|how attractive is the man|who is the most beautiful woman?|rate him"),
    ],
)
def test_what_is_never_told(topic: str, questions: str) -> None:
    for text in questions.split("|"):
        assert (read_question(text).kind, read_question(text).topic) == ("untold", topic), text
        found = _asked(text)
        assert "told here" in found.text
        assert (found.face, found.faces, found.probability, found.facts) == (None, 3, None, ())


@pytest.mark.parametrize(
    "text",
    [
        "the woman",
        "how old",
        "how old is the dog?",
        "how old is the girl",
        "is she",
        "is she a person",
        "is she wearing sunglasses?",
        "is she wearing makeup",
        "is the man not smiling",
        "is the woman wearing glasses and smiling",
        "is he over 40",
        "is he looking at the camera",
        "what colour are her eyes",
        "how old is the left person on the right",
        "how old is the first second person",
        "how old is face 0",
        "who is a man with glasses?",
        "is the mango smiling",
        "what is the capital of France?",
        "how old is she? is he bald?",
        "?",
        "\x00",
        "🙂",
    ],
)
def test_what_is_not_understood(text: str) -> None:
    with pytest.raises(NonesuchError) as caught:
        read_question(text)
    assert "is not understood; ask like" in str(caught.value)
    assert all(f"'{example}'" in str(caught.value) for example in EXAMPLES)


def test_no_question_and_too_much_of_one() -> None:
    for nothing in ("", "  \n", None, 7):
        with pytest.raises(NonesuchError, match="the question is empty; ask like"):
            read_question(nothing)  # type: ignore[arg-type]
    with pytest.raises(NonesuchError, match="10,000 characters, more than 2,000"):
        read_question("how old is the " + "young " * 1664 + "?")
    long = ("how old is the " + "young " * 1000)[: LONGEST - 5] + " man?"
    assert read_question(long[: LONGEST - 8].rsplit(" ", 1)[0] + " man").kind == "age"


@settings(deadline=None)
@given(st.one_of(st.text(), st.lists(st.sampled_from([*WORDS, "is", "glasses", "?", ","])).map(" ".join)))
def test_no_text_is_too_much(text: str) -> None:
    with suppress(NonesuchError):
        assert read_question(text).text == text


def test_all_that_is_marked_is_a_fact_and_all_examples_are_understood() -> None:
    marked = set(re.findall(r"(?:fact|not|prefers)_(\w+)", GRAMMAR.split("start:")[1]))
    assert marked <= set(NAMES)
    assert set(NAMES) - marked == {"attractive", "blurry"}
    assert [read_question(example).kind for example in EXAMPLES] == ["age", "hair", "who"]


@pytest.mark.parametrize(
    ("whose", "face"),
    [
        ("the person", 1),
        ("she", 3),
        ("he", 1),
        ("the man", 1),
        ("the woman with glasses", 3),
        ("the older man", 1),
        ("the man with glasses", 2),
        ("the man in the hat", 1),
        ("the person on the left", 1),
        ("the man on the right", 2),
        ("the second person from the right", 2),
        ("the second man", 2),
        ("the face in the middle", 2),
        ("the face at the top", 2),
        ("the face at the bottom", 1),
        ("the largest face", 1),
        ("the smallest face", 2),
        ("the second largest face", 3),
        ("the last person", 3),
        ("face number 3", 3),
    ],
)
def test_whose_face_is_meant(whose: str, face: int) -> None:
    found = _asked(f"how old is {whose}?")
    row = {1: 1, 2: 2, 3: 0}[face]
    assert (found.face, found.box) == (face, BOXES[row])
    assert found.text.startswith(f"About {[24, 75, 40][row]} years (the heads are off by 6 years on average")


@pytest.mark.parametrize(
    ("whose", "says"),
    [
        ("the woman in the hat", "Cannot tell which face is meant: 'woman, wearing hat' surely fits none of 3."),
        ("the older woman", "No such face: 'no longer young, woman' fits none of 3."),
        ("the fourth person", "No such face: the picture shows 3 faces."),
        ("the third man", "No such face: the picture shows 2 faces that fit."),
        ("the man in the middle", "No such face: of 2 faces that fit none is in the middle."),
        ("the blond man", "Cannot tell which face is meant: no score of the heads for 'blond hair' is known"),
        ("the blond woman", "No such face: 'blond hair, woman' fits none of 3."),
        ("the older man with no beard", "Cannot tell which face is meant: 'no longer young, man, no beard' surely "),
    ],
)
def test_nobody_is_meant(whose: str, says: str) -> None:
    found = _asked(f"how old is {whose}?", [*PEOPLE[:2], PEOPLE[2] | {"no_beard": 0.4}])
    assert found.text.startswith(says)
    assert (found.face, found.faces, found.box) == (None, 3, None)


def test_several_that_fit_are_counted() -> None:
    assert _asked("how old is the man?").text.endswith("2 of 3 faces fit; the largest of them is meant.")
    assert _asked("how old is the person?").text.endswith("3 of 3 faces fit; the largest of them is meant.")
    assert "fit" not in _asked("how old is the woman?").text
    assert "fit" not in _asked("how old is the second man?").text
    found = _asked("how old is the last smiling person?")  # of face 2 it cannot be told
    assert (found.face, found.text.endswith("Of 1 more it cannot be told whether they fit.")) == (3, True)
    one = _asked("how old is he?", PEOPLE[:1])
    assert (one.face, one.faces, one.text.count(".")) == (1, 1, 1)  # there is but one


@pytest.mark.parametrize(
    ("question", "says", "probability", "facts"),
    [
        (
            "is she smiling?",
            "Yes: the heads give smiling 0.95; statements like this are right in at least 90%",
            0.95,
            "*",
        ),
        ("is the older man smiling?", "No: the heads give not smiling 0.90; statements", 0.1, "not_smiling"),
        ("is face 2 smiling?", "Cannot tell: the heads give smiling 0.50, and are right in at least 90% of", 0.5, ""),
        ("is she wearing glasses?", "Yes: the heads give glasses 0.98; ", 0.98, "eyeglasses"),
        ("is she wearing a hat?", "Cannot tell: the heads give wearing hat 0.30, and are right ", 0.3, ""),
        ("is she wearing a tie?", "No: the heads give wearing necktie 0.30; statements like this are right ", 0.3, ""),
        ("does she have bangs?", "Cannot tell: the heads give bangs 0.30, and no score of theirs", 0.3, ""),
        ("does she have glasses and black hair?", "Yes: the heads give glasses 0.98 and black hair 0.90; ", None, "*"),
        ("does the older man have glasses and a hat?", "No: the heads give no glasses 0.98", None, "no_glasses"),
        ("does she have a beard?", "No: the heads give no beard 0.90; ", 0.1, "no_beard"),
        ("does the older man have a beard?", "Cannot tell: the heads give no beard 0.10, and are right", 0.9, ""),
        ("does she have blond hair?", "No: the heads give black hair 0.90; ", 0.3, "black_hair"),
        (
            "is he blond?",
            "Cannot tell: the heads give blond hair 0.30, and no score of theirs for it is known",
            0.3,
            "",
        ),
        ("is the older man old?", "Yes: the heads give 75 years; ", None, "over_60"),
        ("is the older man mature?", "Yes: the heads give no longer young 0.90; ", 0.9, "mature"),
        ("what gender is face 3?", "A woman: the heads give woman 0.90; ", 0.9, "female"),
        ("what colour is her hair?", "Black: the heads give black hair 0.90; ", 0.9, "black_hair"),
        ("what colour is his hair?", "Cannot tell: the heads give black hair 0.30", 0.3, ""),
        (
            "which way does she look?",
            "The head is turned to the left of the picture: the heads give a yaw of -20 ",
            None,
            "*",
        ),
        ("which way does face 1 look?", "The head faces the camera: the heads give a yaw of 0 degrees", None, "*"),
        ("which way does face 2 look?", "Cannot tell: the heads give a yaw of 12 degrees, and are right ", None, ""),
        ("where is she?", "Face 3 of 3, counted from the left.", None, ""),
    ],
)
def test_answers(question: str, says: str, probability: float | None, facts: str) -> None:
    found = _asked(question)
    assert found.text.startswith(says)
    assert found.probability == (None if probability is None else pytest.approx(probability))
    assert facts in ("*", " ".join(found.facts))
    assert bool(found.facts) == bool(facts)


def test_what_the_precision_changes() -> None:
    question = "does face 2 have a goatee?"
    people = [person | {"no_beard": 0.4} for person in PEOPLE]
    assert _asked(question, people).text.endswith("(--precision 0.85 can tell).")
    found = _asked(question, people, "0.85")
    assert found.text == (
        "Yes: the heads give goatee 0.65; statements like this are right in at least 85% of labelled photographs."
    )
    assert _asked("does face 2 have bangs?").text.endswith("(--precision 0.85 can tell).")
    assert _asked("does face 2 have bangs?", precision="0.85").text.startswith("No: the heads give bangs 0.30; ")
    assert _asked("does face 2 have a beard?", people, "0.8").text.startswith("Yes: the heads give goatee 0.65; ")


def test_of_facts_that_exclude_each_other_the_surer_counts() -> None:
    both = [{"male": 0.45}]  # 0.45 and 0.55 both reach 0.4
    assert _asked("is it a man or a woman?", both).text.startswith("A woman: the heads give woman 0.55")
    assert _asked("is he a man?", both).text.startswith("No: the heads give woman 0.55")
    assert _asked("is he a man?", [{"male": 0.5}]).text.startswith("Cannot tell: ")


@pytest.mark.parametrize(
    ("question", "says", "face"),
    [
        ("how many people are there?", "3 faces.", None),
        ("how many men are there?", "2: faces 1 and 2 of 3, counted from the left; statements like this", None),
        ("how many faces are women", "1: face 3 of 3, counted from the left; ", 3),
        ("how many people are smiling?", "At least 1: face 3 of 3, counted from the left; ", 3),
        ("who is smiling?", "Face 3 of 3, counted from the left; statements like this are right in at least 90%", 3),
        ("which man wears glasses?", "Face 2 of 3, counted from the left; statements like each of these are", 2),
        ("which man is smiling?", "No face of 3 for sure; ", None),
        ("who has blond hair?", "Cannot tell: no score of the heads for 'blond hair' is known to be right", None),
        ("which woman has a beard?", "No face of 3; ", None),
        ("who is facing the camera?", "Face 1 of 3, counted from the left; ", 1),
        ("who wears a tie?", "No face of 3; statements like this are right", None),
        ("are there any bald men?", "Cannot tell: no score of the heads for 'bald' is known", None),
    ],
)
def test_who_and_how_many(question: str, says: str, face: int | None) -> None:
    found = _asked(question, [PEOPLE[0], PEOPLE[1] | {"no_beard": 0.9}, PEOPLE[2]])
    assert found.text.startswith(says)
    assert (found.face, found.faces) == (face, 3)
    assert (found.box is None) == (face is None)


def test_a_description_states_the_facts_that_are_sure() -> None:
    found = _asked("describe the woman")
    stated = {"female", "young", "eyeglasses", "smiling", "black_hair", "turned_left"}
    assert set(found.facts) == stated  # that a woman has no beard goes without saying
    assert {"young", "woman", "black", "left"} <= set(re.findall(r"\w+", found.text))
    assert _asked("describe the woman") == found
    dull = {"male": np.nan, "eyeglasses": np.nan, "young": 0.5, "smiling": 0.5, "no_beard": 0.4, "yaw": 12.0}
    assert _asked("describe the person", [dull]).text == "Cannot tell: no fact is sure."
