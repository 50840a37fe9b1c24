"""The two linear layers on planted features, and what the encoder hands to them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.flip.model import FlipModel
from nonesuch.flip.network import Flip
from nonesuch.language.sketches.layers import SketchLayers, encoded, trained_layers
from nonesuch.measures.early_retrieval import early_figures, ranks_of
from nonesuch.models import create_model, load_flip
from tests.people import faces_of_no_one

TRAINED, ALL = 300, 400
WIDTH = 1_000


def _seen(what: NDArray[np.float64], seed: int) -> Tensor:
    """Features of what images show, as one kind of image has them, each of its own mean and deviation."""
    draws = np.random.default_rng(seed)
    mixed = what @ draws.normal(size=(what.shape[1], WIDTH))
    return torch.from_numpy(mixed * draws.uniform(0.5, 4, WIDTH) + draws.normal(0, 5, WIDTH)).float()


@pytest.fixture(scope="module")
def planted() -> tuple[Tensor, Tensor]:
    """Features of drawings (N, 3, F) and of photographs (N, F) that show the same in other ways."""
    what = np.random.default_rng(0).normal(size=(ALL, 24))
    return _seen(what, 1)[:, None].repeat(1, 3, 1), _seen(what, 2)


def _m_a(layers: SketchLayers, drawings: Tensor, photographs: Tensor) -> float:
    """m@A of what the layers did not learn from."""
    scores = layers.drawings(drawings[TRAINED:, 0]) @ layers.photographs(photographs[TRAINED:]).T
    ranks = ranks_of(scores.detach().numpy(), np.arange(ALL - TRAINED))
    return early_figures(ranks[:, None], ALL - TRAINED).m_a


def test_drawings_that_show_the_same_are_found(planted: tuple[Tensor, Tensor]) -> None:
    drawings, photographs = planted
    layers = trained_layers(drawings[:TRAINED], photographs[:TRAINED], seed=0)
    assert _m_a(layers, drawings, photographs) > 0.99
    assert _m_a(SketchLayers(WIDTH, seed=0), drawings, photographs) < 0.7
    assert not any(parameter.requires_grad for parameter in layers.parameters())


def test_nothing_is_learned_from_drawings_of_others(planted: tuple[Tensor, Tensor]) -> None:
    order = torch.from_numpy(np.random.default_rng(2).permutation(ALL))
    drawings, photographs = planted[0][order], planted[1]
    layers = trained_layers(drawings[:TRAINED], photographs[:TRAINED], seed=0)
    assert _m_a(layers, drawings, photographs) == pytest.approx(0.5, abs=0.1)


def test_the_seed_decides(planted: tuple[Tensor, Tensor]) -> None:
    drawings, photographs = planted[0][:40], planted[1][:40]
    first, again, other = (trained_layers(drawings, photographs, seed) for seed in (3, 3, 4))
    assert torch.equal(first.drawing.weight, again.drawing.weight)
    assert not torch.equal(first.drawing.weight, other.drawing.weight)


def test_features_are_the_image_and_its_places() -> None:
    model, faces = load_flip(device="cpu"), faces_of_no_one(3, seed=1)
    found = encoded(model, faces)
    places = model.encode_images(faces)
    torch.testing.assert_close(found.features[:, :128], places[:, 0])
    assert found.features.shape == (3, 50 * 128)
    assert sorted(found.features[0, 128:].tolist()) == pytest.approx(sorted(places[0, 1:].flatten().tolist()), abs=1e-4)
    np.testing.assert_allclose(found.vectors.numpy(), model.image_vectors(faces), atol=1e-5)


def test_finer_places_are_averaged() -> None:
    image = {"channels": 3, "side": 28, "patch": 2, "width": 8, "depth": 1, "heads": 2}
    network = create_model("flip_tiny", image=image).eval()
    assert isinstance(network, Flip)
    card = replace(load_flip(device="cpu").card, embedder="")
    model, faces = FlipModel(card, network, None, torch.device("cpu")), faces_of_no_one(2, seed=1)
    places = model.encode_images(faces)
    found = encoded(model, faces).features
    assert places.shape == (2, 1 + 14 * 14, 8)
    assert found.shape == (2, 8 * (1 + 7 * 7))
    grid = places[:, 1:].reshape(2, 7, 2, 7, 2, 8).mean((2, 4))
    torch.testing.assert_close(found[:, 8:].reshape(2, 8, 7, 7), grid.permute(0, 3, 1, 2))
