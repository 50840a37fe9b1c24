"""Sentences read back into facts: what is understood, what is not, and grammars that are none."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nonesuch.captions.facts import NAMES
from nonesuch.captions.reading import LONGEST, Reader
from nonesuch.core.errors import NonesuchError

LANGUAGES = Path(__file__).parents[2] / "src" / "nonesuch" / "captions" / "languages"
ENGLISH, GERMAN = Reader(LANGUAGES / "english.lark"), Reader(LANGUAGES / "german.lark")
WORDS = sorted(
    {word.strip('"') for word in (LANGUAGES / "english.lark").read_text("utf-8").split() if word.startswith('"')}
)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("This is a person.", ""),
        ("A young woman with wavy black hair", "young female wavy_hair black_hair"),
        ("A young woman with black, wavy hair and a smile on her face.", "young female black_hair wavy_hair smiling"),
        ("This is a portrait of an older man facing the camera.", "mature male facing_camera"),
        ("In this photo, an elderly gentleman is smiling.", "over_60 male smiling"),
        ("An old man turned to the left is in the picture.", "over_60 male turned_left"),
        ("The person in the picture is facing right!", "turned_right"),
        ("The photo shows a blonde lady, smiling with her mouth closed", "blond_hair female smiling mouth_closed"),
        ("A black-haired guy appears in the photo.", "black_hair male"),
        ("This picture shows an attractive woman without glasses.", "attractive female no_glasses"),
        ("A man with no beard and no glasses.", "male no_beard no_glasses"),
        ("A bald man who's smiling.", "bald male smiling"),
        ("The woman\u2019s lips are full.", "female big_lips"),
        ("The man's hair is grey and wavy.", "male gray_hair wavy_hair"),
        ("Her hair is straight, and she has bangs.", "straight_hair bangs"),
        ("He has brown hair, a receding hairline and sideburns.", "brown_hair receding_hairline sideburns"),
        ("HE HAS A FIVE O'CLOCK SHADOW", "5_o_clock_shadow"),
        ("He has a 5 o\u2019clock shadow, mustache, and goatee.", "5_o_clock_shadow mustache goatee"),
        ("They have big lips and nose.", "big_lips big_nose"),
        ("He has a big nose and lips, and a double chin.", "big_nose big_lips double_chin"),
        ("His nose and lips are big.", "big_nose big_lips"),
        ("He has a large, pointed nose.", "big_nose pointy_nose"),
        ("Her eyebrows are arched.", "arched_eyebrows"),
        ("She has bushy, arched eyebrows and narrow eyes.", "bushy_eyebrows arched_eyebrows narrow_eyes"),
        ("There are bags under her eyes.", "bags_under_eyes"),
        ("His face has high cheekbones and rosy cheeks.", "high_cheekbones rosy_cheeks"),
        ("Her face is oval and chubby; her skin is pale.", "oval_face chubby pale_skin"),
        ("He isn't smiling, but his mouth is slightly open.", "not_smiling mouth_slightly_open"),
        ("Although he does not smile, his lips are parted.", "not_smiling mouth_slightly_open"),
        ("Her mouth is closed as she smiles.", "mouth_closed smiling"),
        ("He's not wearing glasses and doesn't have a beard.", "no_glasses no_beard"),
        ("Without glasses or a beard, he smiles.", "no_glasses no_beard smiling"),
        ("He has a mustache but no beard.", "mustache no_beard"),
        ("They wear a hat but no glasses.", "wearing_hat no_glasses"),
        ("She's wearing spectacles, earrings, and a necklace.", "eyeglasses wearing_earrings wearing_necklace"),
        ("Wearing a hat and tie, the man is facing forward.", "wearing_hat wearing_necktie male facing_camera"),
        ("She wears lipstick and heavy make-up.", "wearing_lipstick heavy_makeup"),
        ("He is not smiling, but wearing glasses.", "not_smiling eyeglasses"),
        ("He is a young man with black hair and wears a tie.", "young male black_hair wearing_necktie"),
        ("A blurry photo of a woman.", "blurry female"),
        ("The picture is out of focus. They are bald.", "blurry bald"),
        ("She has blond hair. She has black hair. She has black hair.", "blond_hair black_hair"),
    ],
)
def test_english_is_read(text: str, facts: str) -> None:
    assert ENGLISH.read(text) == frozenset(facts.split())


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "black",
        "Her hair is long.",
        "She has long black hair.",
        "A beautiful woman.",
        "She has blue eyes.",
        "She is happy.",
        "He is 30 years old.",
        "An Asian man.",
        "John has black hair.",
        "He wears black glasses.",
        "He wears a cap.",
        "She wears sunglasses.",
        "He has a beard.",
        "He is clean-shaven.",
        "She is grinning.",
        "She has a warm smile.",
        "He is looking at the camera.",
        "He is turned to his left.",
        "He has no hat.",
        "She does not have big lips.",
        "Her hair is not black.",
        "He isn't bald.",
        "This is not a man.",
        "The picture is not blurry.",
        "He has no beard or mustache.",
        "He wears no glasses and earrings.",
        "He is not smiling and wearing glasses.",
        "They do not smile and wear glasses.",
        "He is not smiling with his mouth closed.",
        "He has full lips and nose.",
        "He has big lips and eyes.",
        "He has black hair and her mouth is closed.",
        "This is a woman. He has black hair.",
        "The woman is smiling with his mouth open.",
        "They are smiling, and his mouth is open.",
        "The man and the woman.",
        "The person and the person with glasses.",
        "He have black hair.",
        "A older man.",
        "He wears ahat.",
        "This is a manx.",
    ],
)
def test_english_is_refused(text: str) -> None:
    assert ENGLISH.read(text) is None


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("Das ist ein junger Mann mit nach links gedrehtem Kopf.", "young male turned_left"),
        ("Das Bild zeigt einen alten Mann von vorn.", "over_60 male facing_camera"),
        ("Eine ältere Frau mit schwarzem, welligem Haar und Brille", "mature female black_hair wavy_hair eyeglasses"),
        ("Der Mann trägt keine Brille und lächelt.", "male no_glasses smiling"),
        ("Ihre Haare sind grau und glatt.", "gray_hair straight_hair"),
        ("Sie hat volle Lippen und eine große, spitze Nase.", "big_lips big_nose pointy_nose"),
        ("Er lächelt nicht, aber sein Mund ist leicht geöffnet.", "not_smiling mouth_slightly_open"),
        ("Ein Mann ohne Bart.", "male no_beard"),
        ("Er hat einen Bartschatten, Koteletten und einen Schnurrbart.", "5_o_clock_shadow sideburns mustache"),
        ("Auf dem Foto ist eine Person zu sehen. Das Foto ist unscharf.", "blurry"),
        ("Die Frau hat einen Bart.", None),
        ("Er trägt keinen Hut.", None),
        ("Sie hat lange Haare.", None),
        ("Die Frau lächelt, und sein Mund ist geschlossen.", None),
        ("Er lächelt nicht mit geschlossenem Mund.", None),
    ],
)
def test_german_is_read_or_refused(text: str, facts: str | None) -> None:
    assert GERMAN.read(text) == (None if facts is None else frozenset(facts.split()))


def test_letters_may_be_composed_of_several() -> None:
    assert GERMAN.read("Sie tra\u0308gt eine Brille.") == frozenset(["eyeglasses"])


def test_both_languages_have_words_for_every_fact() -> None:
    assert ENGLISH.can_read == GERMAN.can_read == frozenset(NAMES)


def test_a_text_that_is_too_long_is_not_read() -> None:
    sentence = "He is bald. "
    assert ENGLISH.read(sentence * (LONGEST // len(sentence))) == frozenset(["bald"])
    assert ENGLISH.read(sentence * (LONGEST // len(sentence) + 1)) is None


@settings(deadline=None)
@given(st.one_of(st.text(), st.lists(st.sampled_from([*WORDS, "a", "no", ",", ".", "and"])).map(" ".join)))
def test_no_text_is_too_much(text: str) -> None:
    found = ENGLISH.read(text)
    assert found is None or found <= set(NAMES)


def _written(folder: Path, grammar: str) -> Path:
    path = folder / "mine.lark"
    path.write_text(grammar, encoding="utf-8")
    return path


def test_a_grammar_of_ones_own(tmp_path: Path) -> None:
    reader = Reader(
        _written(tmp_path, 'start: (glasses | fact_bald) "."\nglasses: "Ti" -> fact_eyeglasses\nfact_bald: "to"')
    )
    assert reader.can_read == {"eyeglasses", "bald"}
    assert [reader.read(text) for text in ("ti.", "TO.", "tito.", "ti")] == [{"eyeglasses"}, {"bald"}, None, None]


@pytest.mark.parametrize(
    ("grammar", "reason"),
    [
        ("start: (", "no grammar that lark takes"),
        ('begin: "a"', "no grammar that lark takes"),
        ("start: /(/", "no grammar that lark takes"),
        ("start: A\nA: /a*/", "no grammar that lark takes"),
        ("%import nowhere.A\nstart: A", "no grammar that lark takes"),
        ('start: one | other\none: "a"\nother: "a"', "no grammar that lark takes"),
        ('start: "a" -> fact_tall', "fact_tall marks no fact; there are 5_o_clock_shadow, "),
        ('start: fact_tall\nfact_tall: "a"', "fact_tall marks no fact"),
        ('start: _fact_bald\n_fact_bald: "a"', "lark drops the mark fact_bald"),
        ('start: _head\n_head: "a" -> fact_bald', "no grammar that lark takes"),
        ('start: fact_bald\n?fact_bald: "a" | start', "lark drops the mark fact_bald"),
        ('start: _who_he\n_who_he: "a"', "lark drops the mark who_he"),
    ],
)
def test_a_grammar_that_cannot_be_used(tmp_path: Path, grammar: str, reason: str) -> None:
    with pytest.raises(NonesuchError) as caught:
        Reader(_written(tmp_path, grammar))
    assert reason in str(caught.value)
    assert "mine.lark" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(NonesuchError, match=r"nowhere\.lark"):
        Reader(tmp_path / "nowhere.lark")
    (tmp_path / "latin.lark").write_bytes('start: "ä"'.encode("latin-1"))
    with pytest.raises(NonesuchError, match=r"latin\.lark"):
        Reader(tmp_path / "latin.lark")
