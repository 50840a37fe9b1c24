"""Links of faces and names, counted by hand."""

import pytest

from nonesuch.measures.naming import NOBODY, link_figures


def test_a_name_without_a_face_is_a_link_too() -> None:
    # Found: face 0 - name 0, face 1 - nobody, name 1 - no face. True: face 0 - name 0, face 1 - name 1.
    # A second record: one face of nobody, a name without a face, both found.
    figures = link_figures([[0, NOBODY], [NOBODY]], [[0, 1], [NOBODY]], [2, 1], resamples=0)
    assert figures.precision.value == pytest.approx(3 / 5)
    assert figures.recall.value == pytest.approx(3 / 4)
    assert figures.f1.value == pytest.approx(2 * (3 / 5) * (3 / 4) / (3 / 5 + 3 / 4))
    assert figures.faces_right.value == pytest.approx(2 / 3)
    assert (figures.records, figures.faces) == (2, 3)


def test_a_name_may_be_given_twice() -> None:
    figures = link_figures([[0, 0]], [[0, NOBODY]], [2], resamples=0)
    assert figures.precision.value == pytest.approx(2 / 3)
    assert figures.recall.value == pytest.approx(2 / 3)


def test_intervals_are_over_records() -> None:
    figures = link_figures([[0], [0], [NOBODY]] * 20, [[0], [0], [0]] * 20, [1] * 60)
    assert figures.faces_right.value == pytest.approx(2 / 3)
    assert figures.faces_right.low < 2 / 3 < figures.faces_right.high
    whole = link_figures([[0]] * 30, [[0]] * 30, [1] * 30).f1
    assert (whole.value, whole.high) == (1.0, 1.0)
    assert whole.low == pytest.approx(0.9)  # the rule of three


def test_nothing_to_judge_is_an_error() -> None:
    with pytest.raises(ValueError, match="no link"):
        link_figures([[]], [[]], [0])
    with pytest.raises(ValueError, match="argument"):
        link_figures([[0]], [[0, 1]], [2])
