"""FLIP's losses beside loops in float64 that share no code with them."""

import math

import numpy as np
import pytest
import torch

from nonesuch.flip.losses import Said, belonging, contrast, hard_negatives, matching


def _said(rows: list[tuple[int, int, int, int]]) -> Said:
    return Said(*torch.tensor(rows, dtype=torch.int64).unbind(1))


def test_texts_belong_where_they_are_equal_or_all_that_they_state_holds() -> None:
    texts = _said([(1, 0b011, 0b011, 1), (2, 0b100, 0b110, 2), (3, 0, 0, 3)])
    images = _said([(1, 0b011, 0b111, 1), (4, 0b1, 0b001, 2), (3, 0, 0, 3)])
    # The first holds for the image with all three facts; the second too; the third states nothing known: equal or not.
    assert belonging(texts, images).tolist() == [[True, False, False], [True, False, False], [False, False, True]]


def test_contrast_is_the_cross_entropy_with_soft_targets() -> None:
    rng = np.random.default_rng(0)
    logits, teacher = rng.normal(size=(3, 5)), rng.normal(size=(3, 5))
    belongs = np.array([[1, 0, 1, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 1, 0]], dtype=bool)
    apart = np.array([[0, 1, 0, 0, 1], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]], dtype=bool)
    total = 0.0
    for row in range(3):
        there = [column for column in range(5) if not apart[row, column]]
        of_twins = sum(math.exp(teacher[row, column]) for column in there)
        ours = math.log(sum(math.exp(logits[row, column]) for column in there))
        for column in there:
            soft = math.exp(teacher[row, column]) / of_twins
            target = 0.3 * soft + 0.7 * belongs[row, column] / belongs[row].sum()
            total -= target * (logits[row, column] - ours)
    found = contrast(*(torch.from_numpy(part) for part in (logits, teacher, belongs, apart)), alpha=0.3)
    assert found.item() == pytest.approx(total / 3, rel=1e-12)


def test_hard_negatives_are_drawn_by_likeness_and_never_belong() -> None:
    logits = torch.tensor([[3.0, 1.0, 0.0, 2.0]], dtype=torch.float64).repeat(20_000, 1)
    belongs = torch.tensor([[True, False, False, True]]).repeat(20_000, 1)
    draws = torch.from_numpy(np.random.default_rng(1).random(20_000))
    drawn = hard_negatives(logits, belongs, draws)
    softmax = np.exp([3.0, 1.0, 0.0, 2.0]) / np.exp([3.0, 1.0, 0.0, 2.0]).sum() + 1e-4
    assert set(drawn.tolist()) == {1, 2}
    assert (drawn == 1).double().mean().item() == pytest.approx(softmax[1] / (softmax[1] + softmax[2]), abs=0.01)


def test_a_row_to_which_everything_belongs_has_no_negative() -> None:
    logits, belongs = torch.zeros(2, 3), torch.tensor([[True, True, True], [True, False, True]])
    drawn = hard_negatives(logits, belongs, torch.tensor([0.999999999, 0.5]))
    assert drawn.tolist()[1] == 1
    assert 0 <= drawn.tolist()[0] < 3
    pairs = torch.tensor([[0.0, 2.0], [1.0, 0.0], [5.0, 0.0]], dtype=torch.float64)
    counted = matching(pairs, torch.tensor([1, 0, 1]), torch.tensor([True, True, False]))
    expected = (math.log(1 + math.exp(-2.0)) + math.log(1 + math.exp(-1.0))) / 2
    assert counted.item() == pytest.approx(expected, rel=1e-12)
