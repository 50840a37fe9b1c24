"""What `nonesuch generate` makes of its steering options, and what it says of the result."""

from pathlib import Path

import click
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


def make_steerer(
    model: Generator,
    steer: tuple[str, ...],
    steps: int | None,
    identity: float | None,
    min_age: float | None,
    device: str,
    dtype: str,
) -> tuple[Steerer | None, LeastAge | None]:
    """The steerer and the filter of identities that the options ask for; None where they ask for none.

    Raises:
        NonesuchError: a wish cannot be read or goes below the least age, or an option goes with nothing.
    """
    wishes = [parse_wish(text) for text in steer]
    if min_age is not None:
        wishes.append(_least_age(min_age, wishes))
    if not wishes:
        if steps is not None or identity is not None:
            raise NonesuchError("--steer-steps and --steer-identity go with --steer or --min-age only")
        return None, None
    perceiver = load_perceiver(device=device, dtype=dtype)
    usual = SteerSettings()
    settings = SteerSettings(
        steps=usual.steps if steps is None else steps, identity=usual.identity if identity is None else identity
    )
    least = None if min_age is None else LeastAge(min_age, model, perceiver)
    return Steerer(model, perceiver, wishes, settings), least


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


def show_steering(out: Path, wishes: list[Wish], min_age: float | None) -> None:
    """Say how many of the images of which something is wished show it, and after how many steps."""
    found = read_columns(out, GROUP)
    limits = [name for name in found.column_names if name.endswith(("_low", "_high"))]
    wished = np.any([found[name].is_valid().to_numpy() for name in limits], axis=0)
    asked = found.filter(pa.array(wished))
    if not len(asked):
        click.echo(f"{out / 'columns' / GROUP}: of no image anything was wished")
        return
    share, steps, cosine = (pc.mean(asked[name]).as_py() for name in ("accepted", "steps", "identity"))
    rest = "" if share == 1.0 else "; the others are kept as near as they came, and marked"
    click.echo(
        f"{out / 'columns' / GROUP}: of {len(asked)} images {share:.1%} show {' and '.join(w.text for w in wishes)}, "
        f"after {steps:.1f} steps, at cosine {cosine:.2f} to their identity{rest}"
    )
    if min_age is not None:
        ages = found["age"].to_numpy()
        click.echo(f"{(ages < min_age).sum()} of {len(ages)} images still look younger than {min_age:g}")
