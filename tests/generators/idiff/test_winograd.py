"""Winograd's algorithm against torch's convolution in float64."""

import copy

import pytest
import torch
from torch.nn.functional import conv2d

from nonesuch.generators.idiff.winograd import Convolution3x3, transformed, winograd


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 7), (4, 5), (1, 2)])
def test_equals_the_plain_convolution(height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, height, width, generator=generator, dtype=torch.float64)
    weight = torch.randn(3, 5, 3, 3, generator=generator, dtype=torch.float64)
    expected = conv2d(x, weight, padding=1)
    torch.testing.assert_close(winograd(x, transformed(weight)), expected, rtol=1e-12, atol=1e-12)


def test_a_wide_layer_gives_the_same_with_and_without_gradients() -> None:
    torch.manual_seed(0)
    layer, x = Convolution3x3(256, 256), torch.randn(2, 256, 7, 7)
    with torch.inference_mode():
        found = layer(x)
    assert layer._kept is not None
    torch.testing.assert_close(found, layer(x).detach(), rtol=1e-4, atol=1e-5)
    assert layer(x).requires_grad


def test_changed_weights_are_seen_and_copies_make_their_own() -> None:
    torch.manual_seed(0)
    layer, x = Convolution3x3(256, 256), torch.randn(1, 256, 4, 4)
    with torch.inference_mode():
        layer(x)
    other = copy.deepcopy(layer)
    other.load_state_dict({name: 2.0 * tensor for name, tensor in layer.state_dict().items()})
    with torch.no_grad():
        torch.testing.assert_close(other(x), 2.0 * layer(x))
        layer.weight.zero_()
        torch.testing.assert_close(layer(x), layer.bias[:, None, None].expand(1, 256, 4, 4))


@pytest.mark.parametrize(("width", "side"), [(255, 8), (256, 9)])
def test_narrow_layers_and_large_maps_go_through_torch(width: int, side: int) -> None:
    layer = Convolution3x3(width, 256)
    with torch.inference_mode():
        layer(torch.randn(1, width, side, side))
    assert layer._kept is None


@pytest.mark.parametrize(("batch", "side"), [(16, 7), (5, 4), (3, 8)])
def test_an_image_has_the_same_bits_at_any_place_of_the_batch(batch: int, side: int) -> None:
    torch.manual_seed(0)
    layer, x = Convolution3x3(256, 256), torch.randn(batch, 256, side, side)
    with torch.inference_mode():
        assert torch.equal(layer(x.flip(0)).flip(0), layer(x))
        assert torch.equal(layer(x.roll(1, 0)).roll(-1, 0), layer(x))
