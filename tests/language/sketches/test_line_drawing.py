"""Simulated drawings: ink where a photograph is dark and thin, drawn in the order that is promised."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nonesuch.core.images import Pixels
from nonesuch.language.sketches.line_drawing import drawing_order, drawn_until
from tests.people import faces_of_no_one

# Strokes at places of the aligned face, as rows and columns, in the order in which they are to be drawn.
STROKES = {
    "hair": (slice(8, 10), slice(40, 72)),
    "outline": (slice(108, 110), slice(45, 67)),
    "nose": (slice(76, 78), slice(50, 62)),
    "mouth": (slice(92, 94), slice(42, 70)),
    "eyes": (slice(51, 53), slice(32, 44)),
}


@pytest.fixture(scope="module")
def stroked() -> Pixels:
    crop = np.full((1, 112, 112, 3), 220, dtype=np.uint8)
    for place in STROKES.values():
        crop[0][place] = 40
    return crop


def test_the_parts_of_a_face_are_drawn_in_their_order(stroked: Pixels) -> None:
    order = drawing_order(stroked)[0]
    spans = [order[place][torch.isfinite(order[place])] for place in STROKES.values()]
    for name, span, place in zip(STROKES, spans, STROKES.values(), strict=True):
        assert len(span) > 0.7 * order[place].numel(), name
    for earlier, later in itertools.pairwise(spans):
        assert earlier.max() < later.min()


def test_ink_is_where_lines_are(stroked: Pixels) -> None:
    ink = torch.isfinite(drawing_order(stroked)[0])
    strokes = torch.zeros_like(ink)
    for place in STROKES.values():
        strokes[place] = True
    within_a_pixel = F.max_pool2d(strokes[None, None].float(), 3, 1, 1)[0, 0] > 0
    assert not (ink & ~within_a_pixel).any()
    blank = np.full((2, 112, 112, 3), 128, dtype=np.uint8)
    assert torch.isinf(drawing_order(blank)).all()
    assert (drawn_until(drawing_order(blank), 20, 20) == 255).all()


def test_a_drawing_grows_evenly_until_all_is_drawn() -> None:
    order = drawing_order(faces_of_no_one(3, seed=2))
    total = torch.isfinite(order).sum((1, 2)).numpy()
    before = np.zeros((3, 112, 112), dtype=bool)
    for step in range(1, 21):
        drawings = drawn_until(order, step, 20)
        assert drawings.shape == (3, 112, 112, 3)
        assert drawings.dtype == np.uint8
        ink = (drawings == 0).all(-1)
        assert (before <= ink).all()
        assert np.abs(ink.sum((1, 2)) - total * step / 20).max() <= 1
        before = ink
    assert (before.sum((1, 2)) == total).all()
    assert (order[torch.isfinite(order)] > 0).all()


def test_a_drawing_depends_on_its_own_photograph_alone() -> None:
    crops = faces_of_no_one(3, seed=2)
    together = drawing_order(crops)
    assert torch.equal(drawing_order(crops[1:2])[0], together[1])
    # Brighter light draws nearly the same lines.
    brighter = np.clip(crops.astype(np.int16) + 12, 0, 255).astype(np.uint8)
    same = torch.isfinite(drawing_order(brighter)) == torch.isfinite(together)
    assert same.float().mean() > 0.99
    assert drawing_order(crops[:0]).shape == (0, 112, 112)
