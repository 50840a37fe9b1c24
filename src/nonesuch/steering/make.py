"""From what a user asks for to what steers images and admits people."""

from collections.abc import Sequence

from nonesuch.core.errors import NonesuchError
from nonesuch.generators.generator import Generator
from nonesuch.models import load_perceiver
from nonesuch.steering.least_age import LeastAge, least_age_wish
from nonesuch.steering.steerer import Steerer, SteerSettings
from nonesuch.steering.wishes import parse_wish


def make_steerer(
    generator: Generator,
    steer: Sequence[str] = (),
    steps: int | None = None,
    identity: float | None = None,
    min_age: float | None = None,
    device: str = "auto",
    dtype: str = "float32",
) -> tuple[Steerer | None, LeastAge | None]:
    """The steerer and the filter of identities that are asked for; None where none is.

    Args:
        generator: makes the images.
        steer: wishes as `parse_wish` reads them.
        steps, identity: see `SteerSettings`; None for the usual.
        min_age: people who look younger are left out, and images of the others steered; 25 or more.
        device, dtype: of the perceiver, as in `load_perceiver`.

    Raises:
        NonesuchError: a wish cannot be read, contradicts another or goes below the least age, steps or identity without
            a wish, or a generator of another embedder's vectors.
    """
    wishes = [parse_wish(text) for text in steer]
    if min_age is not None:
        wishes.append(least_age_wish(min_age, wishes))
    if not wishes:
        if steps is not None or identity is not None:
            raise NonesuchError("--steer-steps and --steer-identity go with --steer or --min-age only")
        return None, None
    perceiver = load_perceiver(device=device, dtype=dtype)
    usual = SteerSettings()
    settings = SteerSettings(
        steps=usual.steps if steps is None else steps, identity=usual.identity if identity is None else identity
    )
    least = None if min_age is None else LeastAge(min_age, generator, perceiver)
    return Steerer(generator, perceiver, wishes, settings), least
