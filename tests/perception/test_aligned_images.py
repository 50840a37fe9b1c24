"""Large images -> aligned crops: a face that is planted somewhere comes back where the template wants it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nonesuch import load_detector
from nonesuch.core.warp import warp_affine
from nonesuch.perception.aligned_images import ImageAligner
from nonesuch.perception.alignment import TEMPLATE, align
from tests.people import faces_of_no_one


@pytest.fixture(scope="module")
def aligner() -> ImageAligner:
    return ImageAligner(load_detector("cpu", 128))


@pytest.fixture(scope="module")
def crops() -> Tensor:
    return torch.from_numpy(faces_of_no_one(2, 11)).permute(0, 3, 1, 2).float()


def _planted(crop: Tensor, degrees: float, scale: float, centre: tuple[float, float], side: int = 512) -> Tensor:
    """(1, 3, side, side): the crop turned, enlarged and put somewhere."""
    turn = np.deg2rad(degrees)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shift = np.array(centre) - linear @ np.array([55.5, 55.5])
    return warp_affine(crop[None], torch.from_numpy(np.column_stack([linear, shift])), side)


@pytest.mark.parametrize(("degrees", "scale", "centre"), [(15, 3.0, (230, 270)), (-20, 3.8, (280, 256))])
def test_a_planted_face_comes_back(
    aligner: ImageAligner, crops: Tensor, degrees: float, scale: float, centre: tuple[float, float]
) -> None:
    inner = (slice(None), slice(16, 104), slice(16, 96))
    straight, turned = _planted(crops[0], 0.0, 3.5, (256.0, 290.0)), _planted(crops[0], degrees, scale, centre)
    found = aligner(turned)[0]
    assert float((found - aligner(straight)[0])[inner].abs().mean()) < 10.0
    framed = F.interpolate(torch.cat([straight, turned]), size=112, mode="area")
    assert float((framed[0] - framed[1])[inner].abs().mean()) > 20.0
    pixels = turned[0].round().to(torch.uint8).permute(1, 2, 0).numpy()
    landmarks = load_detector("cpu", 128).detect(pixels)[0].landmarks
    as_photographs = torch.from_numpy(align(pixels, landmarks)).permute(2, 0, 1).float()
    assert float((found - as_photographs)[inner].abs().mean()) < 2.0


def test_each_image_alone_and_differentiable(aligner: ImageAligner, crops: Tensor) -> None:
    images = torch.cat([_planted(crops[0], 10.0, 3.4, (256.0, 280.0)), _planted(crops[1], -5.0, 3.6, (240.0, 280.0))])
    images.requires_grad_()
    both = aligner(images)
    assert both.shape == (2, 3, 112, 112)
    assert torch.equal(both[1:], aligner(images[1:]))
    both[0].sum().backward()  # type: ignore[no-untyped-call]
    assert images.grad is not None
    assert float(images.grad[0].sum()) == pytest.approx(3 * 112 * 112, rel=1e-3)
    assert float(images.grad[1].abs().max()) == 0.0


@pytest.mark.parametrize("side", [512, 32])
def test_without_a_face_the_framing_of_ffhq_stands(aligner: ImageAligner, side: int) -> None:
    """Dots where FFHQ shows eyes, nose and mouth come to the template's places, within their mean disagreement."""
    places = (np.array([[193, 240], [319, 240], [257, 314], [201, 371], [313, 371]]) + 0.5) * side / 512 - 0.5
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    found = []
    for left, top in places:
        dot = 255.0 * torch.exp(-((x - left) ** 2 + (y - top) ** 2) / (2.0 * (side / 64) ** 2)).expand(1, 3, -1, -1)
        crop = aligner(F.relu(dot))[0, 0]
        weight = crop / crop.sum()
        axis = torch.arange(112.0)
        found.append([float((weight.sum(0) * axis).sum()), float((weight.sum(1) * axis).sum())])
    assert np.abs(np.array(found) - TEMPLATE).max() < 4.0
