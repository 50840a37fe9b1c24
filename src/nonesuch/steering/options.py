"""What is asked of images: read and checked before any model is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass

from nonesuch.core.errors import NonesuchError
from nonesuch.generators.generator import Generator
from nonesuch.models import load_perceiver
from nonesuch.steering.least_age import LeastAge, least_age_wish
from nonesuch.steering.steerer import Steerer, SteerSettings
from nonesuch.steering.wishes import Wish, check_wishes, parse_wish


@dataclass(frozen=True)
class SteeringOptions:
    """What a user asks of images.

    Attributes:
        wishes: what they show, `age>=min_age` among it.
        settings: how much is tried for each image.
        min_age: people who look younger are left out; None for everyone.
    """

    wishes: list[Wish]
    settings: SteerSettings
    min_age: float | None

    @classmethod
    def read(
        cls,
        steer: Sequence[str] = (),
        steps: int | None = None,
        identity: float | None = None,
        min_age: float | None = None,
    ) -> "SteeringOptions":
        """Read the options.

        Args:
            steer: wishes as `parse_wish` reads them.
            steps, identity: see `SteerSettings`; None for the usual.
            min_age: 25 or more.

        Raises:
            NonesuchError: a wish cannot be read, contradicts another or goes below the least age, or steps or identity
                without a wish.
        """
        wishes = [parse_wish(text) for text in steer]
        if min_age is not None:
            wishes.append(least_age_wish(min_age, wishes))
        if not wishes and (steps is not None or identity is not None):
            raise NonesuchError("--steer-steps and --steer-identity go with --steer or --min-age only")
        check_wishes(wishes)
        usual = SteerSettings()
        settings = SteerSettings(
            steps=usual.steps if steps is None else steps, identity=usual.identity if identity is None else identity
        )
        return cls(wishes, settings, min_age)

    def load(
        self, generator: Generator, device: str = "auto", dtype: str = "float32"
    ) -> tuple[Steerer | None, LeastAge | None]:
        """The steerer and the filter of identities; None where nothing is asked for.

        Args:
            generator: makes the images.
            device, dtype: of the perceiver, as in `load_perceiver`.

        Raises:
            NonesuchError: a generator of another embedder's vectors.
        """
        if not self.wishes:
            return None, None
        perceiver = load_perceiver(device=device, dtype=dtype)
        least = None if self.min_age is None else LeastAge(self.min_age, generator, perceiver)
        return Steerer(generator, perceiver, self.wishes, self.settings), least
