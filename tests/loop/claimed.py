"""A trainer in a folder of its own, as the training commands make one."""

from pathlib import Path
from typing import Any

import torch

from nonesuch.loop import distributed
from nonesuch.loop.run_folder import claim_folder
from nonesuch.loop.settings import TrainSettings
from nonesuch.loop.trainer import Samples, Task, Trainer


def claimed_trainer(
    task: Task,
    samples: Samples,
    settings: TrainSettings,
    folder: Path,
    what: dict[str, Any] | None = None,
    workers: int | None = 0,
) -> Trainer:
    """On the CPU; `folder` is claimed for it first."""
    distributed.first_does(lambda: claim_folder(folder, settings, what or {}))
    return Trainer(task, samples, settings, folder, torch.device("cpu"), what or {}, workers)
