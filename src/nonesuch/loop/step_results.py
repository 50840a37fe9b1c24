"""What steps have led to, left on the device until somebody looks: reading a number of a GPU waits for all its work."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nonesuch.core import files
from nonesuch.loop import distributed
from nonesuch.loop.progress import OnProgress


@dataclass(frozen=True)
class StepResult:
    """Of one step.

    Attributes:
        step, seen: steps and images, this one included.
        lr: its learning rate.
        losses: the weighted terms, scalars on the device, means over all processes.
        norms: of gradients that must be finite, scalars on the device.
    """

    step: int
    seen: int
    lr: float
    losses: dict[str, Tensor]
    norms: list[Tensor]


@dataclass(frozen=True)
class Seen:
    """A step's results as numbers; `problem` says what is not finite, or is empty."""

    step: int
    seen: int
    lr: float
    losses: dict[str, float]
    problem: str


@dataclass
class Progress:
    """What the loop tells its caller after a step; on an accelerator after every few."""

    seen: int
    total: int
    losses: dict[str, float]
    images_per_second: float

    @property
    def note(self) -> str:
        """Speed and losses, for a progress bar."""
        losses = " ".join(f"{name} {value:.3f}" for name, value in self.losses.items())
        return f"{self.images_per_second:.0f} images/s  {losses}"

    def tell(self, on_progress: OnProgress) -> None:
        """Report it as all long work is reported."""
        on_progress("training", self.seen, self.total, self.note)


def look(results: Sequence[StepResult]) -> list[Seen]:
    """The numbers of all these steps, in one transfer."""
    scalars = [value.float() for result in results for value in (*result.losses.values(), *result.norms)]
    numbers = iter(torch.stack(scalars).tolist() if scalars else [])
    seen = []
    for result in results:
        losses = {name: next(numbers) for name in result.losses}
        norms = [next(numbers) for _ in result.norms]
        seen.append(Seen(result.step, result.seen, result.lr, losses, _problem(losses, norms)))
    return seen


def mean_over_processes(losses: dict[str, Tensor]) -> dict[str, Tensor]:
    """The mean of each loss over all processes."""
    if not losses:
        return losses
    means = torch.stack(list(losses.values()))
    distributed.average_([means])
    return dict(zip(losses, means.unbind(), strict=True))


def write_log(path: Path, steps: Sequence[Seen], images_per_second: float) -> None:
    """Add a line for each step to a run's log; raises NonesuchError where that is impossible."""
    try:
        with path.open("a", encoding="utf-8") as log:
            for step in steps:
                line = {
                    "step": step.step,
                    "images": step.seen,
                    "lr": step.lr,
                    "images_per_second": round(images_per_second, 2),
                    **{f"loss_{name}": round(value, 6) for name, value in step.losses.items()},
                }
                log.write(json.dumps(line) + "\n")
    except OSError as error:
        raise files.write_error(path, error) from error


def _problem(losses: dict[str, float], norms: list[float]) -> str:
    if not all(map(math.isfinite, losses.values())):
        shown = ", ".join(f"{name} {value:.3g}" for name, value in losses.items())
        return f"the loss is not finite ({shown})"
    return "" if all(map(math.isfinite, norms)) else "the gradient is not finite"
