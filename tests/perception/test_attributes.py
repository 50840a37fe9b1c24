"""The perception heads: shapes, gradients, and what they may look at."""

import torch

from nonesuch.embedders.embedder import feature_network
from nonesuch.models import load_embedder
from nonesuch.perception.attributes import AGES, ATTRIBUTES, WINDOW, AttributeHeads, Perceived, windowed


def test_the_window_hides_everything_outside() -> None:
    top, left, bottom, right = WINDOW
    pixels = torch.rand(2, 3, 112, 112) * 255
    seen = windowed(pixels)
    assert torch.equal(seen[:, :, top:bottom, left:right], pixels[:, :, top:bottom, left:right])
    seen[:, :, top:bottom, left:right] = 127.5
    assert (seen == 127.5).all()


def test_predictions_reach_back_to_the_pixels() -> None:
    torch.manual_seed(0)
    embedder = load_embedder("mobilefacenet", "cpu")
    features, heads = feature_network(embedder), AttributeHeads(16).eval()
    pixels = (torch.rand(2, 3, 112, 112) * 255).requires_grad_()
    whole, window = (
        features.feature_maps(embedder.preprocessing.apply(part))[1:] for part in (pixels, windowed(pixels))
    )
    pose, attributes = heads.of_whole(whole)
    seen = Perceived(pose, *heads.of_window(window), attributes)
    shapes = [tuple(part.shape) for part in (seen.pose, seen.age, seen.gender, seen.ethnicity, seen.attributes)]
    assert shapes == [(2, 2), (2, AGES), (2,), (2, 5), (2, 40)]
    for part, outside in ((seen.pose, True), (seen.attributes, True), (seen.years, False), (seen.gender, False)):
        gradient = torch.autograd.grad(part.sum(), pixels, retain_graph=True)[0]
        assert gradient.abs().sum() > 0
        assert bool(gradient[:, :, : WINDOW[0]].abs().sum() > 0) is outside


def test_years_are_the_expectation() -> None:
    age = torch.full((2, AGES), -torch.inf)
    age[0, 30] = 0.0
    age[1, [20, 40]] = torch.tensor([0.25, 0.75]).log()
    nothing = torch.zeros(2)
    seen = Perceived(nothing, age, nothing, nothing, nothing)
    assert torch.allclose(seen.years, torch.tensor([30.0, 35.0]))


def test_attributes_are_celebas() -> None:
    assert len(set(ATTRIBUTES)) == 40
    assert [ATTRIBUTES[number] for number in (0, 15, 20, 31, 39)] == [
        "5_o_clock_shadow",
        "eyeglasses",
        "male",
        "smiling",
        "young",
    ]
