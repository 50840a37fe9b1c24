"""What a dataset's steering options ask for, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.vector_sources import LeastAge
from nonesuch.formats.columns import read_columns
from nonesuch.generators.generator import Generator
from nonesuch.models import load_perceiver
from nonesuch.steering.columns import GROUP
from nonesuch.steering.steerer import Steerer, SteerSettings
from nonesuch.steering.wishes import Wish, parse_wish, reach

_YOUNGEST_MIN_AGE = 25


@dataclass(frozen=True)
class SteeringOptions:
    """What a user may ask of images, read and checked; None leaves a point open.

    Attributes:
        wishes: what images show, `age>=min_age` among it.
        settings: how hard each image is tried.
        min_age: least apparent age of sampled people and of their images.
    """

    wishes: list[Wish]
    settings: SteerSettings
    min_age: float | None

    def loaded(self, generator: Generator, device: str, dtype: str) -> tuple[Steerer | None, LeastAge | None]:
        """The steerer and the filter of identities; None where nothing is asked for."""
        if not self.wishes:
            return None, None
        perceiver = load_perceiver(device=device, dtype=dtype)
        least = None if self.min_age is None else LeastAge(self.min_age, generator, perceiver)
        return Steerer(generator, perceiver, self.wishes, self.settings), least


def steering_options(
    steer: Sequence[str], steps: int | None, identity: float | None, min_age: float | None
) -> SteeringOptions:
    """Read the options.

    Raises:
        NonesuchError: a wish cannot be read or goes below the least age, or an option goes with nothing.
    """
    wishes = [parse_wish(text) for text in steer]
    if min_age is not None:
        wishes.append(_least_age(min_age, wishes))
    if not wishes and (steps is not None or identity is not None):
        raise NonesuchError("--steer-steps and --steer-identity go with --steer or --min-age only")
    usual = SteerSettings()
    settings = SteerSettings(
        steps=usual.steps if steps is None else steps, identity=usual.identity if identity is None else identity
    )
    return SteeringOptions(wishes, settings, min_age)


def _least_age(years: float, wishes: list[Wish]) -> Wish:
    if years < _YOUNGEST_MIN_AGE:
        raise NonesuchError(
            f"--min-age {years:g} would leave out nobody: the perceiver learned from adults and takes a child for a "
            f"young adult; give at least {_YOUNGEST_MIN_AGE}, or 30 to leave room for its error of six years"
        )
    for wish in wishes:
        if wish.name == "age" and reach(wish)[0] < years:
            raise NonesuchError(
                f"--steer {wish.text} goes below --min-age {years:g}; write it as a range above, such as "
                f"age={years:g}..60"
            )
    return parse_wish(f"age>={years:g}")


@dataclass(frozen=True)
class SteeringOutcome:
    """What became of the images of which something was wished.

    Attributes:
        columns: folder of the record.
        wishes: as they were written.
        images: how many of which something was wished.
        accepted: share of these that show it; NaN where there are none, as the next two are.
        steps: mean gradient steps behind an image.
        identity: mean cosine to the identity's vector.
        younger: images that still look younger than the least age; None where none was asked for.
        all_images: of the dataset.
    """

    columns: Path
    wishes: list[str]
    images: int
    accepted: float
    steps: float
    identity: float
    younger: int | None
    all_images: int


def steering_outcome(folder: Path, wishes: Sequence[Wish], min_age: float | None) -> SteeringOutcome:
    """Count over a dataset's columns; errors as in `read_columns`."""
    found = read_columns(folder, GROUP)
    limits = [name for name in found.column_names if name.endswith(("_low", "_high"))]
    wished = np.any([found[name].is_valid().to_numpy() for name in limits], axis=0)
    asked = found.filter(pa.array(wished))
    share, steps, cosine = (
        float(pc.mean(asked[name]).as_py()) if len(asked) else float("nan")
        for name in ("accepted", "steps", "identity")
    )
    younger = None if min_age is None else int((found["age"].to_numpy() < min_age).sum())
    texts = [wish.text for wish in wishes]
    return SteeringOutcome(folder / "columns" / GROUP, texts, len(asked), share, steps, cosine, younger, len(found))
