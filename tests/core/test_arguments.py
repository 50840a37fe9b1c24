"""Limits of arguments: both ends belong to the range, unless one is open."""

import math

import numpy as np
import pytest

from nonesuch.core.arguments import Choice, Number, checked
from nonesuch.core.errors import NonesuchError


@pytest.mark.parametrize(
    ("number", "good", "bad"),
    [
        (Number(0, 1), [0, 0.5, 1, np.float32(1)], [-1e-9, 1 + 1e-9, math.nan, math.inf]),
        (Number(0, 1, low_open=True), [1e-9, 1], [0, -1, 2]),
        (Number(1, whole=True), [1, np.int64(7), 10**30], [0, 1.0, True, "1", None]),
        (Number(-1, None), [-1, 0, math.inf], [-1.5, math.nan]),
        (Choice(("a", "b")), ["a", "b"], ["c", "", None, 1]),
    ],
)
def test_limits(number: Number | Choice, good: list[object], bad: list[object]) -> None:
    assert [value for value in good if number.problem(value)] == []
    assert [value for value in bad if not number.problem(value)] == []


def test_arguments_are_checked_before_the_function_runs() -> None:
    ran = []

    @checked(most_images=Number(1, 3, whole=True), share=Number(0, 1))
    def function(most_images: int | None = None, share: float = 0.5) -> None:
        ran.append((most_images, share))

    function()
    function(None, 1.0)
    function(most_images=3)
    assert ran == [(None, 0.5), (None, 1.0), (3, 0.5)]
    with pytest.raises(NonesuchError, match=r"--most-images 4: not in the range 1<=x<=3$"):
        function(4)
    with pytest.raises(NonesuchError, match=r"--share None: not a number$"):  # None is the default of the other alone
        function(share=None)  # type: ignore[arg-type]
    assert len(ran) == 3
