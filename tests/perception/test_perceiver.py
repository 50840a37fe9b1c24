"""The shipped perceiver, on faces that don't exist."""

import numpy as np
import pytest
import torch

from nonesuch import load_perceiver
from nonesuch.core.errors import NonesuchError
from nonesuch.perception.perceiver import COLUMNS, Perceiver
from tests.people import faces_of_no_one


@pytest.fixture(scope="module")
def perceiver() -> Perceiver:
    return load_perceiver(device="cpu")


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    """Twenty-four people who don't exist."""
    return faces_of_no_one(24, 5)


def test_a_mirrored_face_looks_the_other_way(perceiver: Perceiver, crops: np.ndarray) -> None:
    found, mirrored = perceiver.perceive(crops), perceiver.perceive(crops[:, :, ::-1].copy())
    assert np.abs(found["yaw"]).max() > 8
    assert np.abs(found["yaw"] + mirrored["yaw"]).mean() < 4
    assert np.abs(found["age"] - mirrored["age"]).mean() < 5


def test_columns_are_complete_whatever_the_batch(perceiver: Perceiver, crops: np.ndarray) -> None:
    found, alone = perceiver.perceive(crops), perceiver.perceive(crops[:5], batch=2)
    assert tuple(found) == COLUMNS
    for name in COLUMNS:
        if found[name].dtype.kind == "f":
            assert np.allclose(found[name][:5], alone[name], rtol=1e-3, atol=1e-3), name
        else:
            assert (found[name][:5] == alone[name]).all(), name
    assert set(found["gender"]) == {"male", "female"}
    assert ((found["gender"] == "female") == (found["gender_p"] >= 0.5)).all()
    # The sexes as one task learned them from UTKFace and another from CelebA.
    assert ((found["gender_p"] >= 0.5) == (found["male"] < 0.5)).mean() > 0.8


def test_a_blurred_face_is_worth_less(perceiver: Perceiver, crops: np.ndarray) -> None:
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float()
    coarse = torch.nn.functional.interpolate(pixels, size=(16, 16), mode="area")
    blurred = torch.nn.functional.interpolate(coarse, size=(112, 112), mode="bilinear")
    blurred_crops = blurred.permute(0, 2, 3, 1).round().byte().numpy()
    drop = perceiver.perceive(crops)["quality"] - perceiver.perceive(blurred_crops)["quality"]
    assert drop.mean() > 10


def test_quality_is_the_percentile_of_the_norm(perceiver: Perceiver) -> None:
    norms = np.linspace(0, 150, 301, dtype=np.float32)
    direction = torch.nn.functional.normalize(torch.ones(1, 192))
    found = perceiver.quality(torch.from_numpy(norms)[:, None] * direction).numpy()
    assert np.allclose(found, np.interp(norms, perceiver.card.quality_norms, np.arange(101)), atol=0.05)


def test_quality_has_a_gradient(perceiver: Perceiver) -> None:
    middle = perceiver.card.quality_norms[50]
    embedding = torch.full((1, 192), middle * 1.001 / 192**0.5, requires_grad=True)
    (gradient,) = torch.autograd.grad(perceiver.quality(embedding).sum(), embedding)
    assert (gradient > 0).all()


@pytest.mark.parametrize("crops", [np.zeros((1, 112, 112, 3), np.float32), np.zeros((1, 96, 96, 3), np.uint8)])
def test_only_aligned_crops_are_perceived(crops: np.ndarray) -> None:
    with pytest.raises(NonesuchError, match=r"perceiver takes \(N, 112, 112, 3\) uint8"):
        load_perceiver(device="cpu").perceive(crops)
