"""Gradient-based attribute operation (AttrOP) on vectors and style codes, each image for itself.

Source: Vec2Face (arXiv 2409.02979), section 3.4. Unlike the published loop, an image is accepted by its own values and
then left alone, every image has a budget of steps, the image that was checked is the one that is kept, the vector keeps
its norm, and signs of angles count.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import Pixels
from nonesuch.generators.generator import Generator, check_vectors, to_grey_levels
from nonesuch.perception.perceiver import Perceiver
from nonesuch.steering.objective import Judgement, Objective, Penalty
from nonesuch.steering.wishes import Wish, check_wishes, draw_wishes

_BETAS, _EPSILON = (0.9, 0.99), 1e-8
_WIDEST_STYLE = 1.6  # norm that a style code may grow to, as a multiple of a standard normal one's


@dataclass(frozen=True, kw_only=True)
class SteerSettings:
    """How hard an image is tried.

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
        if self.steps < 0:
            raise NonesuchError(f"--steer-steps {self.steps}: give a number of at least 0")
        if not -1.0 <= self.identity <= 1.0:
            raise NonesuchError(f"--steer-identity {self.identity:g}: a cosine lies between -1 and 1")


@dataclass(frozen=True)
class Steered:
    """What became of N images.

    Attributes:
        images: (N, 112, 112, 3) uint8 RGB, those that were checked.
        vectors: (N, D) float32 raw, norms as at the start.
        styles: (N, style_dim) float32.
        ranges: (N, wishes, 2) float32 what was wished for, NaN for nothing.
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
        wishes: what images shall show.
        settings: how hard each is tried.
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
        self.generator, self.perceiver, self.wishes = generator, perceiver, list(wishes)
        self.settings = settings or SteerSettings()
        self.objective = Objective(perceiver, wishes, self.settings.identity, penalty)

    def record(self) -> dict[str, Any]:
        """What determines the result beside the generator and the plan, JSON-ready."""
        return {
            "wishes": [wish.text for wish in self.wishes],
            **asdict(self.settings),
            "penalty": None if self.objective.penalty is None else getattr(self.objective.penalty, "__qualname__", "?"),
            "perceiver": self.perceiver.card.name,
            "perceiver_sha256": self.perceiver.card.sha256,
        }

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

        An image that is accepted, or whose budget is spent, makes room for the next one, so the work is bounded by
        N * (steps + 1) looks. Of an image that is never accepted the nearest try is kept.

        Args:
            bases: (N, D) raw vectors of the identities, which accepted images are held to.
            starts: (N, D) raw vectors to start from, such as perturbed ones.
            seeds: (N,) image seeds: masks, style code and wishes are drawn from them.
            micro_batch: images per pass.
            style_spread: as in `Generator.render`.
            on_done: told how many images are finished.

        Raises:
            NonesuchError: vectors of another width or not finite, another number of rows, or no room for an image.
        """
        if not len(bases) == len(starts) == len(seeds) or micro_batch < 1:
            raise NonesuchError(
                f"steering takes as many bases ({len(bases)}) as starts ({len(starts)}) and seeds ({len(seeds)}), "
                f"and a micro-batch ({micro_batch}) of at least 1"
            )
        check_vectors(bases, self.generator.card.feature_dim, self.generator.name)
        check_vectors(starts, self.generator.card.feature_dim, self.generator.name)
        jobs = _Jobs(self, bases, starts, seeds, style_spread)
        slots = _Slots(self, jobs, micro_batch)
        while slots.busy:
            slots.step()
            on_done(jobs.done)
        return jobs.result()


class _Jobs:
    """The images, where each starts, and the best that was found of each."""

    def __init__(
        self,
        steerer: Steerer,
        bases: NDArray[np.float32],
        starts: NDArray[np.float32],
        seeds: NDArray[np.uint64],
        style_spread: float,
    ) -> None:
        generator, count = steerer.generator, len(seeds)
        masks = [generator.mask.draw(int(seed)) for seed in seeds]
        self.bases = torch.from_numpy(bases)
        self.vectors = torch.from_numpy(starts.copy())
        self.styles = torch.zeros(count, generator.network.style_dim)
        for row, seed in enumerate(seeds):
            self.styles[row] = torch.from_numpy(generator.style_code(int(seed), style_spread))
        self.ratios = torch.tensor([ratio for ratio, _ in masks], dtype=torch.float32)
        self.noise = torch.from_numpy(np.stack([noise for _, noise in masks])) if masks else torch.empty(0, 49)
        self.ranges = torch.from_numpy(draw_wishes(steerer.wishes, seeds))
        self.images = torch.zeros(count, 112, 112, 3)
        self.values = torch.full((count, len(steerer.wishes)), torch.nan)
        self.identity = torch.full((count,), torch.nan)
        self.miss = torch.full((count,), torch.inf)
        self.steps = torch.zeros(count, dtype=torch.int32)
        self.accepted = torch.zeros(count, dtype=torch.bool)
        self.waiting = deque(range(count))
        self.done = 0

    def keep(
        self, job: int, at: int, found: Judgement, slot: int, pixels: Tensor, vectors: Tensor, styles: Tensor
    ) -> None:
        """Note a try if it is nearer than any before; the first one always is."""
        miss = float(found.miss[slot])
        if at and not miss < float(self.miss[job]):
            return
        self.miss[job] = miss
        self.images[job] = pixels[slot].permute(1, 2, 0).cpu()
        self.vectors[job], self.styles[job] = vectors[slot].cpu(), styles[slot].cpu()
        self.values[job], self.identity[job] = found.values[slot].cpu(), found.identity[slot].cpu()
        self.steps[job], self.accepted[job] = at, bool(found.accepted[slot])

    def result(self) -> Steered:
        return Steered(
            to_grey_levels(self.images.numpy()),
            self.vectors.numpy(),
            self.styles.numpy(),
            self.ranges.numpy(),
            self.values.numpy(),
            self.identity.numpy(),
            self.steps.numpy(),
            self.accepted.numpy(),
        )


class _Slots:
    """The images that are being worked on, a fixed number; an idle slot repeats what it last held."""

    def __init__(self, steerer: Steerer, jobs: _Jobs, count: int) -> None:
        self.steerer, self.jobs = steerer, jobs
        device, width = steerer.generator.device, jobs.bases.shape[1]
        self.job = [-1] * count
        self.age = torch.zeros(count, dtype=torch.int32)
        self.base = torch.ones(count, width, device=device)
        self.vector = torch.ones(count, width, device=device)
        self.style = torch.zeros(count, jobs.styles.shape[1], device=device)
        self.ratio = torch.full((count,), 1.0, device=device)
        self.noise = torch.zeros(count, 49, device=device)
        self.range = torch.full((count, *jobs.ranges.shape[1:]), torch.nan, device=device)
        self.norm, self.longest = torch.ones(count, 1, device=device), torch.ones(count, 1, device=device)
        self.moments = [torch.zeros_like(part) for part in (self.vector, self.vector, self.style, self.style)]
        for slot in range(count):
            self._next(slot)

    @property
    def busy(self) -> bool:
        return any(job >= 0 for job in self.job)

    def _next(self, slot: int) -> None:
        """Take up the next waiting image, if there is one."""
        jobs = self.jobs
        if not jobs.waiting:
            self.job[slot] = -1
            return
        job = jobs.waiting.popleft()
        self.job[slot], self.age[slot] = job, 0
        for held, given in (
            (self.base, jobs.bases),
            (self.vector, jobs.vectors),
            (self.style, jobs.styles),
            (self.ratio, jobs.ratios),
            (self.noise, jobs.noise),
            (self.range, jobs.ranges),
        ):
            held[slot] = given[job].to(held.device)
        self.norm[slot] = self.vector[slot].norm()
        self.longest[slot] = self.style[slot].norm().clamp(min=_WIDEST_STYLE * self.style.shape[1] ** 0.5)
        for moment in self.moments:
            moment[slot] = 0.0

    def step(self) -> None:
        """Look at every slot's image once; take finished ones out, move the others a step."""
        steerer = self.steerer
        generator = steerer.generator
        vector, style = self.vector.clone().requires_grad_(), self.style.clone().requires_grad_()
        pixels = generator.forward(vector, self.ratio, self.noise, style)
        found = steerer.objective.judge(pixels, self.base, self.range)
        finite = found.loss.isfinite() & pixels.isfinite().flatten(1).all(1)
        going = torch.zeros(len(self.job), dtype=torch.bool)
        for slot, job in enumerate(self.job):
            if job < 0:
                continue
            at = int(self.age[slot])
            self.jobs.keep(job, at, found, slot, pixels.detach(), self.vector, self.style)
            going[slot] = bool(finite[slot]) and not bool(found.accepted[slot]) and at < steerer.settings.steps
        if going.any():
            chosen = going.to(pixels.device)
            parts = (vector, style) if style.shape[1] else (vector,)
            gradients = torch.autograd.grad(found.loss[chosen].sum(), parts)
            self._move(chosen, gradients)
        for slot, job in enumerate(self.job):
            if job >= 0 and not going[slot]:
                self.jobs.done += 1
                self._next(slot)

    def _move(self, chosen: Tensor, gradients: Sequence[Tensor]) -> None:
        """Adam, with each image's own count of steps; then the vector's norm again, and a bound on the style's."""
        self.age += chosen.cpu().int()
        count = self.age.to(chosen.device)[:, None].clamp(min=1).float()
        settings = self.steerer.settings
        lrs = settings.lr / self.steerer.generator.card.vector_scale, settings.style_lr
        for part, gradient in enumerate(gradients):
            held = (self.vector, self.style)[part]
            gradient = torch.where(chosen[:, None], gradient, 0.0).nan_to_num(0.0, 0.0, 0.0)
            first, second = self.moments[2 * part : 2 * part + 2]
            first.lerp_(gradient, 1.0 - _BETAS[0])
            second.lerp_(gradient.square(), 1.0 - _BETAS[1])
            step = (first / (1.0 - _BETAS[0] ** count)) / ((second / (1.0 - _BETAS[1] ** count)).sqrt() + _EPSILON)
            held -= lrs[part] * torch.where(chosen[:, None], step, 0.0)
        self.vector *= self.norm / self.vector.norm(dim=1, keepdim=True)
        if self.style.shape[1]:
            self.style *= (self.longest / self.style.norm(dim=1, keepdim=True).clamp(min=1e-6)).clamp(max=1.0)
