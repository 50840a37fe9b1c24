"""Crops and the larger images of a first stage."""

import pytest
import torch

from nonesuch.generators.idiff.framing import from_crops, to_crops


def test_a_frame_is_cut_out() -> None:
    ramp = torch.arange(128.0).expand(1, 3, 128, 128) / 128.0
    cut = to_crops(ramp, [8.0, 8.0, 112.0])
    torch.testing.assert_close(cut[0, 0, 0], ramp[0, 0, 0, 8:120], atol=1e-5, rtol=0)
    whole = to_crops(ramp)
    assert whole.shape == (1, 3, 112, 112)
    assert float(whole[0, 0, 0, 56:].mean() + whole[0, 0, 0, :56].mean()) == pytest.approx(127 / 128, abs=1e-3)


def test_a_crop_comes_back_from_the_larger_image() -> None:
    y, x = torch.meshgrid(torch.linspace(0, 3, 112), torch.linspace(0, 3, 112), indexing="ij")
    crop = torch.stack([x.sin(), y.cos(), (x + y).sin()])[None]
    larger = from_crops(crop, 128)
    assert larger.shape == (1, 3, 128, 128)
    torch.testing.assert_close(to_crops(larger)[..., 2:-2, 2:-2], crop[..., 2:-2, 2:-2], atol=2e-3, rtol=0)
    assert from_crops(crop, 112) is crop
