"""The table of quantities, and what the objective makes of each."""

import numpy as np
import pytest
import torch

from nonesuch import load_perceiver
from nonesuch.perception.attributes import ATTRIBUTES
from nonesuch.perception.perceiver import Perceiver
from nonesuch.steering.objective import Objective
from nonesuch.steering.quantities import QUANTITIES
from nonesuch.steering.wishes import Wish, draw_wishes, parse_wish
from tests.people import faces_of_no_one


@pytest.fixture(scope="module")
def perceiver() -> Perceiver:
    return load_perceiver(device="cpu")


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return faces_of_no_one(3, seed=4)


def test_each_is_what_the_perceiver_calls_so(perceiver: Perceiver, crops: np.ndarray) -> None:
    assert list(QUANTITIES) == ["yaw", "pitch", "age", "quality", "gender", *ATTRIBUTES]
    wishes = [Wish(name, name, "value", (QUANTITIES[name].low,)) for name in QUANTITIES]
    columns = perceiver.perceive(crops)
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float()
    ranges = torch.full((3, len(wishes), 2), torch.nan)
    for chosen in (wishes, wishes[:2]):  # with the second look, and without
        judged = Objective(perceiver, chosen, 0.7).judge(pixels, torch.ones(3, 192), ranges[:, : len(chosen)])
        for number, wish in enumerate(chosen):
            expected = columns["gender_p" if wish.name == "gender" else wish.name]
            assert np.allclose(judged.values[:, number].numpy(), expected, atol=1e-3), wish.name


@pytest.mark.parametrize(
    ("text", "away", "unit"), [("yaw", 30.0, 10.0), ("pitch", 30.0, 10.0), ("age", 40.0, 10.0), ("quality", 45.0, 20.0)]
)
def test_a_miss_is_counted_in_units(
    perceiver: Perceiver, crops: np.ndarray, text: str, away: float, unit: float
) -> None:
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float()
    found = torch.from_numpy(perceiver.perceive(crops)[text])
    ranges = torch.stack([found + away, found + away + 1.0], dim=1)[:, None]
    judged = Objective(perceiver, [parse_wish(f"{text}=1")], -1.0).judge(pixels, torch.ones(3, 192), ranges)
    assert torch.allclose(judged.miss, torch.full((3,), away / unit), atol=1e-3)
    assert not judged.accepted.any()


def test_a_miss_of_a_probability_is_counted_in_its_logit(perceiver: Perceiver, crops: np.ndarray) -> None:
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float()
    found = torch.from_numpy(perceiver.perceive(crops)["smiling"]).double().logit()
    wish = parse_wish("smiling=1")
    ranges = torch.stack([(found + 3.0).sigmoid(), torch.ones(3).double()], dim=1)[:, None].float()
    judged = Objective(perceiver, [wish], -1.0).judge(pixels, torch.ones(3, 192), ranges)
    assert torch.allclose(judged.miss, torch.full((3,), 1.5), atol=0.02)
    assert draw_wishes([wish], np.zeros(1, dtype=np.uint64))[0, 0].tolist() == pytest.approx([0.7, 1.3])
