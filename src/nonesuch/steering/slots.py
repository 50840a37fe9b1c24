"""The work of steering: images that wait, images that are being moved, and the best found for each."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.core.images import CROP_SIZE
from nonesuch.generators.generator import Generator
from nonesuch.steering.objective import Judgement, Objective
from nonesuch.steering.wishes import draw_wishes

_BETAS, _EPSILON = (0.9, 0.99), 1e-8
_WIDEST_STYLE = 1.6  # norm that a style code may grow to, as a multiple of a standard normal one's


class Jobs:
    """The images: where each starts, and the best that was found for it.

    Args:
        generator: makes the images, and draws what each starts from.
        objective: has the wishes that each image draws from.
        bases, starts, seeds, style_spread: as in `Steerer.steer`.

    Attributes:
        latent: what the images draw; `styles` holds the style codes as they are now.
        ranges, images, vectors, styles, values, identity, steps, accepted: on the CPU, as in `Steered`, but images are
            float32 and not rounded.
        waiting: rows that no slot has taken up.
        done: number of finished images.
    """

    def __init__(
        self,
        generator: Generator,
        objective: Objective,
        bases: NDArray[np.float32],
        starts: NDArray[np.float32],
        seeds: NDArray[np.uint64],
        style_spread: float,
    ) -> None:
        count, wishes = len(seeds), objective.wishes
        self.bases = torch.from_numpy(bases)
        self.vectors = torch.from_numpy(starts.copy())
        self.latent = generator.draw(seeds, style_spread)
        self.styles = self.latent.style.clone()
        self.ranges = torch.from_numpy(draw_wishes(wishes, seeds))
        self.images = torch.zeros(count, CROP_SIZE, CROP_SIZE, 3)
        self.values = torch.full((count, len(wishes)), torch.nan)
        self.identity = torch.full((count,), torch.nan)
        self.miss = torch.full((count,), torch.inf)
        self.steps = torch.zeros(count, dtype=torch.int32)
        self.accepted = torch.zeros(count, dtype=torch.bool)
        self.waiting = deque(range(count))
        self.done = 0

    def keep(
        self, job: int, at: int, found: Judgement, slot: int, pixels: Tensor, vectors: Tensor, styles: Tensor
    ) -> None:
        """Keep a try if it is nearer than any before; the first one always is."""
        miss = float(found.miss[slot])
        if at and not miss < float(self.miss[job]):
            return
        self.miss[job] = miss
        self.images[job] = pixels[slot].permute(1, 2, 0).cpu()
        self.vectors[job], self.styles[job] = vectors[slot].cpu(), styles[slot].cpu()
        self.values[job], self.identity[job] = found.values[slot].cpu(), found.identity[slot].cpu()
        self.steps[job], self.accepted[job] = at, bool(found.accepted[slot])


class Slots:
    """The images in work, a fixed number; an idle slot repeats what it last held.

    Args:
        generator: makes the images.
        objective: judges them.
        jobs: gives images, and takes the results.
        count: of slots.
        steps: most gradient steps for one image.
        rates: learning rates of the raw vectors and of the style codes.
    """

    def __init__(
        self,
        generator: Generator,
        objective: Objective,
        jobs: Jobs,
        count: int,
        steps: int,
        rates: tuple[float, float],
    ) -> None:
        self.generator, self.objective, self.jobs = generator, objective, jobs
        self.steps, self.rates = steps, rates
        device, width = generator.device, jobs.bases.shape[1]
        self.job = [-1] * count
        self.age = torch.zeros(count, dtype=torch.int32)
        self.base = torch.ones(count, width, device=device)
        self.vector = torch.ones(count, width, device=device)
        # A slot that never gets an image may hold anything.
        self.latent = generator.draw(np.zeros(count, dtype=np.uint64)).each(lambda part: part.to(device))
        self.range = torch.full((count, *jobs.ranges.shape[1:]), torch.nan, device=device)
        self.norm, self.longest = torch.ones(count, 1, device=device), torch.ones(count, 1, device=device)
        self.moments = [torch.zeros_like(part) for part in (self.vector, self.vector, self.style, self.style)]
        for slot in range(count):
            self._next(slot)

    @property
    def style(self) -> Tensor:
        """(slots, S) the style codes as they are now."""
        return self.latent.style

    @property
    def busy(self) -> bool:
        """Whether any slot has an image."""
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
            (self.style, jobs.latent.style),
            *((part, jobs.latent.fixed[name]) for name, part in self.latent.fixed.items()),
            (self.range, jobs.ranges),
        ):
            held[slot] = given[job].to(held.device)
        self.norm[slot] = self.vector[slot].norm()
        self.longest[slot] = self.style[slot].norm().clamp(min=_WIDEST_STYLE * self.style.shape[1] ** 0.5)
        for moment in self.moments:
            moment[slot] = 0.0

    def step(self) -> None:
        """Look at every slot's image once; take finished ones out, move the others a step."""
        vector, style = self.vector.clone().requires_grad_(), self.style.clone().requires_grad_()
        pixels = self.generator.forward(vector, replace(self.latent, style=style))
        found = self.objective.judge(pixels, self.base, self.range)
        finite = found.loss.isfinite() & pixels.isfinite().flatten(1).all(1)
        going = torch.zeros(len(self.job), dtype=torch.bool)
        for slot, job in enumerate(self.job):
            if job < 0:
                continue
            at = int(self.age[slot])
            self.jobs.keep(job, at, found, slot, pixels.detach(), self.vector, self.style)
            going[slot] = bool(finite[slot]) and not bool(found.accepted[slot]) and at < self.steps
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
        vector, style = self.vector, self.style
        for part, gradient in enumerate(gradients):
            held = (vector, style)[part]
            gradient = torch.where(chosen[:, None], gradient, 0.0).nan_to_num(0.0, 0.0, 0.0)
            first, second = self.moments[2 * part : 2 * part + 2]
            first.lerp_(gradient, 1.0 - _BETAS[0])
            second.lerp_(gradient.square(), 1.0 - _BETAS[1])
            step = (first / (1.0 - _BETAS[0] ** count)) / ((second / (1.0 - _BETAS[1] ** count)).sqrt() + _EPSILON)
            held -= self.rates[part] * torch.where(chosen[:, None], step, 0.0)
        vector *= self.norm / vector.norm(dim=1, keepdim=True)
        if style.shape[1]:
            style *= (self.longest / style.norm(dim=1, keepdim=True).clamp(min=1e-6)).clamp(max=1.0)
