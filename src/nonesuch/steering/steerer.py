"""Gradient-based attribute operation (AttrOP) on vectors and style codes, image by image.

Source: Vec2Face (arXiv 2409.02979), section 3.4. Unlike the published loop, an image is accepted by its own values and
then left alone, every image has a budget of steps, the image that was checked is the one that is kept, the vector keeps
its norm, and signs of angles count.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.arguments import AT_LEAST_1, COSINE, Number, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import Pixels
from nonesuch.generators.generator import Generator, checked_rows, to_grey_levels
from nonesuch.perception.perceiver import Perceiver
from nonesuch.steering.objective import Objective, Penalty
from nonesuch.steering.slots import Jobs, Slots
from nonesuch.steering.wishes import Wish, check_wishes

_MOST_PASSES = 20  # through a network: each is held in memory until the gradient has gone back through it


def _check_sampler(generator: Generator) -> None:
    """Raises NonesuchError where images pass through the network too often, or depend on other identities."""
    if generator.needs_others:
        raise NonesuchError(
            f"{generator.name} with {generator.sampler}: an image that is driven away from another identity cannot be "
            "steered; leave negative out of --sampler"
        )
    if generator.passes > _MOST_PASSES:
        raise NonesuchError(
            f"{generator.name} with {generator.sampler}: steering goes back through {generator.passes} passes of the "
            f"network, at most {_MOST_PASSES} are bearable; give fewer steps, such as --sampler dpm,steps=10,guidance=1"
        )


@dataclass(frozen=True, kw_only=True)
class SteerSettings:
    """How much is tried for an image.

    Attributes:
        steps: most gradient steps for one image.
        identity: least cosine between an accepted image's embedding and its identity's vector.
        lr: of the vector, in the generator's scale (about 1 per dimension).
        style_lr: of the style code.
    """

    steps: int = 40
    identity: float = 0.7
    lr: float = 0.05
    style_lr: float = 0.3

    def __post_init__(self) -> None:
        if Number(0, whole=True).problem(self.steps):
            raise NonesuchError(f"--steer-steps {self.steps}: give a whole number of at least 0")
        if COSINE.problem(self.identity):
            raise NonesuchError(f"--steer-identity {self.identity}: a cosine lies between -1 and 1")
        for name, rate in (("lr", self.lr), ("style_lr", self.style_lr)):
            if Number(0).problem(rate):
                raise NonesuchError(f"{name} {rate}: give a number of at least 0")


@dataclass(frozen=True)
class Steered:
    """The results for N images.

    Attributes:
        images: (N, 112, 112, 3) uint8 RGB, those that were checked.
        vectors: (N, D) float32 raw, norms as at the start.
        styles: (N, S) float32 style codes; S is 0 where the generator has none.
        ranges: (N, wishes, 2) float32 the accepted ranges, NaN where nothing was wished for.
        values: (N, wishes) float32 what was found.
        identity: (N,) float32 cosine to the identity's vector.
        steps: (N,) int32 gradient steps behind the image.
        accepted: (N,) bool.
    """

    images: Pixels
    vectors: NDArray[np.float32]
    styles: NDArray[np.float32]
    ranges: NDArray[np.float32]
    values: NDArray[np.float32]
    identity: NDArray[np.float32]
    steps: NDArray[np.int32]
    accepted: NDArray[np.bool_]


class Steerer:
    """Steers images of a generator as a perceiver sees them.

    Args:
        generator: makes the images.
        perceiver: judges them; its embedder must be the one whose vectors the generator decodes.
        wishes: what images should show.
        settings: how much is tried for each.
        penalty: a further objective of the user's own, see `nonesuch.steering.objective.Penalty`.

    Raises:
        NonesuchError: two wishes contradict each other, or the embedders differ.
    """

    def __init__(
        self,
        generator: Generator,
        perceiver: Perceiver,
        wishes: Sequence[Wish],
        settings: SteerSettings | None = None,
        penalty: Penalty | None = None,
    ) -> None:
        check_wishes(wishes)
        if generator.card.embedder_sha256 != perceiver.card.embedder_sha256:
            raise NonesuchError(
                f"{generator.name} decodes vectors of {generator.card.embedder}, {perceiver.card.name} looks through "
                f"{perceiver.card.embedder}: only generators of the latter's vectors can be steered"
            )
        _check_sampler(generator)
        self.generator, self.perceiver, self.wishes = generator, perceiver, list(wishes)
        self.settings = settings or SteerSettings()
        self.objective = Objective(perceiver, wishes, self.settings.identity, penalty)

    def record(self) -> dict[str, Any]:
        """What determines the result besides the generator and the plan, JSON-ready."""
        return {
            "wishes": [wish.text for wish in self.wishes],
            **asdict(self.settings),
            "penalty": None if self.objective.penalty is None else getattr(self.objective.penalty, "__qualname__", "?"),
            "perceiver": self.perceiver.card.name,
            "perceiver_sha256": self.perceiver.card.sha256,
        }

    @checked(micro_batch=AT_LEAST_1, style_spread=Number(0))
    def steer(
        self,
        bases: NDArray[np.float32],
        starts: NDArray[np.float32],
        seeds: NDArray[np.uint64],
        micro_batch: int = 16,
        style_spread: float = 1.0,
        on_done: Callable[[int], None] = lambda done: None,
    ) -> Steered:
        """Steer images; each is a function of its row alone, whatever its neighbours.

        An image that is accepted, or whose budget is spent, makes room for the next one, so the work is bounded by N *
        (steps + 1) looks. For an image that is never accepted, the nearest try is kept.

        Args:
            bases: (N, D) raw vectors of the identities, which accepted images are held to.
            starts: (N, D) raw vectors to start from, such as perturbed ones.
            seeds: (N,) image seeds, from which the generator's draws and the wishes follow.
            micro_batch: images per pass.
            style_spread: as in `Generator.render`.
            on_done: told how many images are finished.

        Raises:
            NonesuchError: vectors of another width or not finite, another number of rows, seeds that are no whole
                numbers of at least 0, or `micro_batch` or `style_spread` is out of range.
        """
        seeds, bases, starts = checked_rows(self.generator.card, seeds, bases, starts)
        rates = self.settings.lr / self.generator.card.vector_scale, self.settings.style_lr
        jobs = Jobs(self.generator, self.objective, bases, starts, seeds, style_spread)
        slots = Slots(self.generator, self.objective, jobs, micro_batch, self.settings.steps, rates)
        while slots.busy:
            slots.step()
            on_done(jobs.done)
        return Steered(
            to_grey_levels(jobs.images.numpy()),
            jobs.vectors.numpy(),
            jobs.styles.numpy(),
            jobs.ranges.numpy(),
            jobs.values.numpy(),
            jobs.identity.numpy(),
            jobs.steps.numpy(),
            jobs.accepted.numpy(),
        )
