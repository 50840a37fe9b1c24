"""The text-image model that ships, beside the perception heads: of faces that nobody has, both see the same."""

import numpy as np
import pytest

from nonesuch import load_flip, load_perceiver
from nonesuch.core.images import Pixels
from tests.people import faces_of_no_one


@pytest.fixture(scope="module")
def faces() -> Pixels:
    return faces_of_no_one(60, seed=5)


@pytest.mark.parametrize(
    ("query", "attribute", "sign"),
    [
        ("a woman", "male", -1),
        ("some bloke", "male", 1),
        ("smiling", "smiling", 1),
        ("with lipstick", "wearing_lipstick", 1),
    ],
)
def test_the_first_of_a_search_are_what_the_heads_see(faces: Pixels, query: str, attribute: str, sign: int) -> None:
    model = load_flip(device="cpu")
    scores = model.image_vectors(faces) @ model.text_vectors([query])[0]
    seen = sign * (load_perceiver(device="cpu").perceive(faces)[attribute] - 0.5)
    first, last = np.argsort(-scores)[:10], np.argsort(scores)[:10]
    assert (seen[first] > 0).mean() >= 0.8
    assert seen[first].mean() > seen[last].mean() + 0.3


def test_the_card_says_what_it_is(faces: Pixels) -> None:
    model = load_flip(device="cpu")
    assert model.card.embedder == "mobilefacenet"
    assert "non-commercial" in model.card.licence
    assert len(model.card.vocabulary) == model.network.text_encoder.embeddings.word_embeddings.num_embeddings
    places = model.encode_images(faces[:4])
    # The judge of pairs, too, tells a man from a woman.
    men = load_perceiver(device="cpu").perceive(faces[:4])["male"] > 0.5
    told = model.matches(["a man"] * 4, places) > model.matches(["a woman"] * 4, places)
    assert np.array_equal(told, men)
