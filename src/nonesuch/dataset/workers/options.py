"""What a user says about who renders a dataset."""

from dataclasses import dataclass
from pathlib import Path

import torch

from nonesuch.dataset.part import ALL, Part, read_part
from nonesuch.dataset.workers.crew import Crew, RenderTask
from nonesuch.dataset.workers.processes import in_processes
from nonesuch.dataset.workers.ray_cluster import on_ray
from nonesuch.models import shipped_names


@dataclass(frozen=True)
class WorkerOptions:
    """Who renders.

    Attributes:
        part: the shards that are to be rendered here.
        start: starts worker processes; None where this process renders.
    """

    part: Part
    start: Crew | None

    @classmethod
    def read(cls, processes: int | None = None, ray: str | None = None, shards: str | None = None) -> "WorkerOptions":
        """Read the options.

        Args:
            processes: worker processes, each on a GPU of its own as far as there are GPUs; None for this process alone,
                or with `ray` for one worker on each GPU of the cluster, or on each host.
            ray: address of a running Ray cluster, "auto" for the one this host belongs to, or "local" for one of this
                host alone.
            shards: the part that is to be rendered, see `nonesuch.dataset.part.read_part`; None for all shards.

        Raises:
            NonesuchError: a part that cannot be read, or Ray is not installed.
        """
        part = ALL if shards is None else read_part(shards)
        if ray is not None:
            return cls(part, on_ray(ray, processes))
        return cls(part, None if processes in (None, 1) else in_processes(processes))

    def crew(
        self, folder: Path, generator: str, device: torch.device, workers: int | None
    ) -> tuple[Crew, RenderTask] | None:
        """Worker processes with their task; None where this process renders. Arguments as of `RenderTask`."""
        if self.start is None:
            return None
        weights = generator if generator in shipped_names() else str(Path(generator).expanduser().absolute())
        return self.start, RenderTask(folder.absolute(), weights, str(device), workers, self.part)
