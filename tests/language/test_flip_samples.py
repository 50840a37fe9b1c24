"""What FLIP learns from: mirrored faces, the words that fit them, pixels, and the published schedule."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nonesuch.captions.facts import bits
from nonesuch.captions.grammar import LANGUAGES, Grammar
from nonesuch.core.seeding import derive_seed
from nonesuch.flip.presets import FLIP_RECIPES
from nonesuch.flip.word_pieces import SPECIAL, WordPieces, learned
from nonesuch.formats.readers import find
from nonesuch.language.captioned_images import CaptionedImages
from nonesuch.language.flip_samples import FlipSamples
from nonesuch.language.wording import Wording
from nonesuch.loop.runs import RunOptions, Schedule

TURNED = bits(["male", "turned_left", "smiling"])


@pytest.fixture
def captioned(tmp_path: Path) -> CaptionedImages:
    """Two images whose left half is bright."""
    pixels = np.zeros((112, 112, 3), dtype=np.uint8)
    pixels[:, :56] = 200
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "0.png")
    text = "A man turned to the left. He is smiling."
    return CaptionedImages(find(tmp_path), [text, text], np.array([TURNED, TURNED]))


def _samples(captioned: CaptionedImages, *grammars: str) -> FlipSamples:
    wording = Wording([Grammar(LANGUAGES / f"{name}.txt") for name in grammars])
    texts = [wording.text(captioned.captions[0], TURNED, seed)[0] for seed in range(500)]
    return FlipSamples(captioned, None, wording, WordPieces(learned(texts, 300), 65), side=32)


def test_a_mirrored_face_is_turned_to_the_other_side(captioned: CaptionedImages) -> None:
    samples = _samples(captioned, "english")
    seeds = [derive_seed(0, number) for number in range(200)]
    batch = samples.load(np.zeros(200, dtype=np.int64), seeds)
    left = batch["images"][:, :, :, 4:12].mean((1, 2, 3)) > batch["images"][:, :, :, 20:28].mean((1, 2, 3))
    holds = batch["said"][:, 2]
    assert set(holds.tolist()) == {TURNED, bits(["male", "turned_right", "smiling"])}
    told = holds == TURNED
    # Equalizing, or shifting far, makes a few of them hard to tell by their brightness.
    assert (told == left).double().mean() > 0.95
    assert 0.4 < told.double().mean() < 0.6
    assert (batch["said"][:, 1] & ~holds == 0).all()  # nothing is stated that does not hold


def test_a_caption_that_stays_says_the_right_side(captioned: CaptionedImages) -> None:
    samples = _samples(captioned)
    batch = samples.load(np.zeros(50, dtype=np.int64), list(range(50)))
    assert set(batch["said"][:, 2].tolist()) == {TURNED}
    assert len(torch.unique(batch["tokens"], dim=0)) == 1


def test_a_sample_depends_on_its_own_seed_alone(captioned: CaptionedImages) -> None:
    samples = _samples(captioned, "english", "everyday")
    together = samples.load(np.array([0, 1, 0]), [5, 6, 7])
    alone = samples.load(np.array([1]), [6])
    torch.testing.assert_close(together["images"][1], alone["images"][0])
    words = alone["tokens"].shape[1]
    assert torch.equal(together["tokens"][1, :words], alone["tokens"][0])
    assert torch.equal(together["said"][1], alone["said"][0])
    assert together["said"][0, 3] == together["said"][2, 3] != together["said"][1, 3]  # whom they show


def test_half_of_the_texts_state_all_and_the_others_up_to_four() -> None:
    wording = Wording([Grammar(LANGUAGES / "everyday.txt")])
    facts = bits(["female", "young", "smiling", "blond_hair", "wavy_hair", "wearing_lipstick", "no_glasses"])
    counts = [wording.text("", facts, seed)[1].bit_count() for seed in range(2_000)]
    assert np.mean([count == 7 for count in counts]) == pytest.approx(0.5, abs=0.04)
    assert set(counts) == {1, 2, 3, 4, 7}


def test_words_are_cut_as_published() -> None:
    words = learned(["A man, with glasses.", "A man!", "a hat"], 100)
    assert words[: len(SPECIAL)] == list(SPECIAL)
    pieces = WordPieces(words, 6)
    tokens = [list(pieces.number)[number] for number in pieces.encode(["A MAN! (with) glasses and more"])[0].tolist()]
    assert tokens == ["[CLS]", "a", "man", "with", "glasses", "[SEP]"]  # cut after six
    assert pieces.is_cut("a man with a hat")
    assert pieces.strange_words("a man with a xq") == ["xq"]
    assert pieces.encode(["a"], begin="[ENC]")[0, 0] == pieces.number["[ENC]"]
    assert learned(["b a", "a b"], 100) == learned(["a b", "b a"], 100)


def test_the_published_schedule_counts_epochs() -> None:
    recipe, run = FLIP_RECIPES["flip_base"], RunOptions(schedule=Schedule())
    settings = run.settings(recipe, 10_000)
    assert (settings.images, settings.batch, settings.weight_decay) == (150_000, 640, 0.05)
    assert settings.learning_rate(5_000 - 640) == pytest.approx(3e-5 * 5_000 / 10_640)
    assert settings.learning_rate(10_000) == pytest.approx(3e-5 * 0.9)
    assert settings.learning_rate(149_999) == pytest.approx(3e-5 * 0.9**14)
    assert settings.learning_rate(10_000 * 60) == 1e-6
    losses = recipe.losses_over(settings.images)
    assert (losses.ramp, losses.queue, losses.momentum, losses.alpha) == (20_000, 61_440, 0.995, 0.4)
