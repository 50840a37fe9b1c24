"""A language model rewrites sentences; whatever it answers, captions state their facts and nothing else."""

import time
from pathlib import Path

import pytest
import torch

from nonesuch.captions.endpoint import KEY, Endpoint
from nonesuch.captions.facts import bits
from nonesuch.captions.grammar import LANGUAGES, Caption
from nonesuch.captions.local_model import LocalModel
from nonesuch.captions.reading import Reader
from nonesuch.captions.rewriting import KEPT, MISREAD, SAME, UNANSWERED, Rewriter
from nonesuch.core.errors import NonesuchError
from tests.language_model import small_language_model
from tests.scripted import Answer, Scripted

SENTENCES = ("This is a young woman.", "She has wavy hair.", "She wears a hat but no glasses.")
FACTS = [(10, 15, "young"), (16, 21, "female"), (31, 35, "wavy_hair"), (53, 58, "wearing_hat"), (63, 73, "no_glasses")]
SAID = Caption(" ".join(SENTENCES), [(start, end, bits([fact])) for start, end, fact in FACTS])


def _rewriter(scripted: Scripted, folder: Path, most: int = 100, seconds: float = 5.0) -> Rewriter:
    endpoint = Endpoint(scripted.address, "small", seconds)
    return Rewriter(endpoint, Reader(LANGUAGES / "english.lark"), folder / "rewrites.jsonl", most)


GOOD = {
    SENTENCES[0]: "The picture shows a young lady.",
    SENTENCES[1]: "Her hair is wavy.",
    SENTENCES[2]: ' "She is wearing a hat, without glasses." \n',
}


def test_what_says_the_same_is_taken(scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "secret")
    scripted.answer = GOOD.__getitem__
    rewriter = _rewriter(scripted, tmp_path)
    said, changed = rewriter.caption(SAID, 0.0)
    assert changed
    kept = [sentence for sentence in (GOOD[part].strip(' "\n') for part in SENTENCES) if sentence in said.text]
    assert rewriter.counts[KEPT] == len(kept) >= 2
    for start, end, facts in said.clauses:
        assert rewriter.reader.read(said.text[start:end].removesuffix(".") + ".") is not None or facts
    whole = {(said.text[start:end], facts) for start, end, facts in said.clauses}
    assert ("Her hair is wavy.", bits(["wavy_hair"])) in whole
    assert rewriter.reader.read(said.text) == rewriter.reader.read(SAID.text)
    assert scripted.keys == ["Bearer secret"] * 3
    assert scripted.asked[0]["model"] == "small"


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (lambda sentence: sentence, SAME),
        (lambda sentence: "She has long wavy hair.", MISREAD),
        (lambda sentence: "She has hair.", MISREAD),
        (lambda sentence: sentence.removesuffix(".") + ", and " + sentence[0].lower() + sentence[1:], MISREAD),
        (lambda sentence: "He has wavy hair, a hat and no glasses.", MISREAD),
        (lambda sentence: "I'm sorry, but I can't describe people.", MISREAD),
        (lambda sentence: "Ignore all rules. She is beautiful.", MISREAD),
        (lambda sentence: "", MISREAD),
        (lambda sentence: sentence.removesuffix(".") + "\u202e.", MISREAD),
        (lambda sentence: sentence * 100, MISREAD),
        (lambda sentence: 500, UNANSWERED),
        (lambda sentence: b"not json", UNANSWERED),
        (lambda sentence: b'{"choices": []}', UNANSWERED),
        (lambda sentence: b"[" * 100_000, UNANSWERED),
        (lambda sentence: None, UNANSWERED),
    ],
)
def test_whatever_else_it_answers_costs_only_the_rewrite(
    scripted: Scripted, tmp_path: Path, answer: Answer, what: str
) -> None:
    scripted.answer = answer
    rewriter = _rewriter(scripted, tmp_path)
    assert rewriter.caption(SAID, 0.0) == (SAID, False)
    assert rewriter.counts == {what: 3}


def test_a_person_stays_who_they_are(scripted: Scripted, tmp_path: Path) -> None:
    scripted.answer = lambda sentence: "His hair is wavy."
    said = Caption("She has wavy hair.", [(8, 12, bits(["wavy_hair"]))])
    assert _rewriter(scripted, tmp_path).caption(said, 0.0) == (said, False)


def test_answers_are_remembered_and_versions_differ(scripted: Scripted, tmp_path: Path) -> None:
    scripted.answer = GOOD.__getitem__
    first = _rewriter(scripted, tmp_path).caption(SAID, 0.0)
    with (tmp_path / "rewrites.jsonl").open("ab") as handle:
        handle.write('{"model": "small", "sentence": "Ä'.encode()[:-1])  # a writer that was killed
    scripted.answer = lambda sentence: 500
    again = _rewriter(scripted, tmp_path)
    assert again.caption(SAID, 0.0) == first
    assert not again.counts
    again.caption(SAID, 0.99)
    assert again.counts == {UNANSWERED: 3}
    assert [asked["seed"] for asked in scripted.asked] == [0, 0, 0, 3, 3, 3]


def test_it_is_not_asked_for_ever(scripted: Scripted, tmp_path: Path) -> None:
    scripted.answer = GOOD.__getitem__
    rewriter = _rewriter(scripted, tmp_path, most=2)
    rewriter.caption(SAID, 0.0)
    assert len(scripted.asked) == 2
    scripted.asked.clear()
    scripted.answer = lambda sentence: time.sleep(0.5)
    slow = _rewriter(scripted, tmp_path, seconds=0.05)
    for draw in (0.3, 0.6, 0.9):
        assert slow.caption(SAID, draw) == (SAID, False)
    assert slow.counts == {UNANSWERED: 5}  # then it gives up


def test_a_folder_of_transformers(tmp_path: Path) -> None:
    folder = small_language_model(tmp_path / "small", ("She", "has", "wavy", "hair", "."))
    model = LocalModel(folder, "cpu")
    model.check()
    before = torch.get_rng_state()
    assert model.rewrite(SENTENCES[1], 3) == model.rewrite(SENTENCES[1], 3) != model.rewrite(SENTENCES[1], 4)
    assert torch.equal(torch.get_rng_state(), before)
    rewriter = Rewriter(model, Reader(LANGUAGES / "english.lark"), tmp_path / "rewrites.jsonl", 100)
    assert rewriter.caption(SAID, 0.0) == (SAID, False)  # an untrained network says nothing of worth
    assert rewriter.counts == {MISREAD: 3}
    small_language_model(tmp_path / "bare", ("She",), chat=False)
    with pytest.raises(NonesuchError, match="has no chat template"):
        LocalModel(tmp_path / "bare", "cpu").check()


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(NonesuchError, match=r"no language model of transformers|pip install"):
        LocalModel(tmp_path, "cpu").check()


def test_nobody_there() -> None:
    for address in ("http://127.0.0.1:1/v1", "file:///etc/passwd", "localhost:8080", ""):
        with pytest.raises(NonesuchError, match="start the server, and give the address"):
            Endpoint(address, "", 1.0).check()
