"""Leaving out people who look too young: who is admitted, and the wish for their images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.devices import exact, one_core
from nonesuch.core.errors import NonesuchError
from nonesuch.generators.generator import Generator
from nonesuch.identities.plain_images import plain_images
from nonesuch.perception.perceiver import Perceiver
from nonesuch.steering.wishes import Wish, parse_wish, reach

_LOWEST = 25


class LeastAge:
    """Admits identities whose plain image (no perturbation, mean style) looks at least as old as `years`.

    Args:
        years: least age.
    """

    def __init__(self, years: float, generator: Generator, perceiver: Perceiver) -> None:
        self.years, self.generator, self.perceiver = years, generator, perceiver

    def record(self) -> dict[str, Any]:
        """What determines who is admitted, JSON-ready."""
        return {"min_age": self.years, "min_age_perceiver_sha256": self.perceiver.card.sha256}

    def __call__(self, vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
        images = plain_images(self.generator, vectors)
        with exact(), one_core(self.generator.device):
            return np.asarray(self.perceiver.perceive(images)["age"] >= self.years)


def least_age_wish(years: float, wishes: Sequence[Wish]) -> Wish:
    """The wish that images look at least that old, beside other wishes.

    Raises:
        NonesuchError: an age that everyone reaches in the perceiver's eyes, or a wish that goes below the age.
    """
    if years < _LOWEST:
        raise NonesuchError(
            f"--min-age {years:g} would leave out nobody: the perceiver learned from adults and takes a child for a "
            f"young adult; give at least {_LOWEST}, or 30 to leave room for its error of six years"
        )
    for wish in wishes:
        if wish.name == "age" and reach(wish)[0] < years:
            raise NonesuchError(
                f"--steer {wish.text} goes below --min-age {years:g}; write it as a range above, such as "
                f"age={years:g}..60"
            )
    return parse_wish(f"age>={years:g}")
