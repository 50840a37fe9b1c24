"""Rendering a planned dataset: micro-batches in parallel, shards in order, any interruption resumable."""

import contextlib
import os
from collections import abc, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nonesuch.core import images
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CODECS
from nonesuch.core.plan import Plan, PlanRows
from nonesuch.core.shards import is_complete, shard_files
from nonesuch.dataset.shard_writer import ShardWriter
from nonesuch.generators.generator import Generator, to_grey_levels
from nonesuch.identities.variation import perturb


@dataclass(frozen=True, kw_only=True)
class RenderSettings:
    """Under equal settings, torch version and CPU features a plan gives equal bits.

    Attributes:
        device: device type, "cpu" or "cuda".
        dtype: precision of the network.
        micro_batch: images per forward pass; the last one is padded to this size.
        codec: "jpeg" or "png".
        quality: of JPEG, 1..100.
        style: spread of the style codes, for a generator that has them.
    """

    device: str
    dtype: str
    micro_batch: int
    codec: str
    quality: int
    style: float = 1.0

    def as_record(self) -> dict[str, Any]:
        """The settings as the manifest keeps them, JSON-ready."""
        return asdict(self)


def render_environment(settings: RenderSettings) -> dict[str, Any]:
    """Settings plus what else the bits depend on; kept in each shard's index."""
    return {
        **settings.as_record(),
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "encoder": images.codec_version(settings.codec),
    }


def default_micro_batch(device: torch.device) -> int:
    """16 keeps the activations of one worker in a CPU's cache; a GPU wants more work per call."""
    return 16 if device.type == "cpu" else 256


def default_workers(device: torch.device) -> int:
    """As many as there are cores for this process; two on a GPU, so that encoding does not keep it waiting."""
    if device.type != "cpu":
        return 2
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def render_missing(
    folder: Path,
    plan: Plan,
    made_from: str,
    generator: Generator,
    settings: RenderSettings,
    workers: int,
    on_image: Callable[[int], None],
) -> int:
    """Render and write every shard that is not complete.

    On a CPU each worker is a thread that runs the network on one core: that is faster than one network on all cores,
    and makes the bits independent of the number of workers. At most three micro-batches per worker are in memory.

    Args:
        made_from: hashes of the plan and the generator: shards made from others count as missing.
        on_image: told how many of the plan's images are done.

    Returns:
        Number of images rendered by this call.

    Raises:
        NonesuchError: damaged plan or index, or full disk; complete shards stay as they are.
    """
    missing = [shard for shard in range(plan.shards) if not is_complete(shard_files(folder, shard), made_from)]
    wanted = sum(plan.shard_images(shard) for shard in missing)
    environment = render_environment(settings)
    rendered = 0
    on_image(plan.images - wanted)
    writer: ShardWriter | None = None
    try:
        with (
            _exact(),
            contextlib.closing(_rendered(_jobs(plan, missing, settings), generator, settings, workers)) as results,
        ):
            for job, encoded in results:
                writer = writer or ShardWriter(folder, job.shard, CODECS[settings.codec], made_from, environment)
                rows = job.rows
                for row, data in enumerate(encoded):
                    writer.add(
                        int(rows.identity[row]), int(rows.image[row]), int(rows.seed[row]), float(rows.sigma[row]), data
                    )
                rendered += len(encoded)
                on_image(plan.images - wanted + rendered)
                if job.last:
                    writer.complete()
                    writer = None
    finally:
        if writer is not None:
            writer.abort()
    return rendered


def _exact() -> contextlib.AbstractContextManager[object]:
    # TF32 would cost the agreement between devices, and cuDNN's free choice of algorithm the agreement between runs.
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


@dataclass(frozen=True)
class _Job:
    shard: int
    rows: PlanRows  # one micro-batch
    last: bool  # of its shard


def _jobs(plan: Plan, shards: list[int], settings: RenderSettings) -> Iterator[_Job]:
    for shard in shards:
        rows = plan.read(shard)
        for start in range(0, len(rows), settings.micro_batch):
            stop = min(start + settings.micro_batch, len(rows))
            yield _Job(shard, rows.part(start, stop), last=stop == len(rows))


def _rendered(
    jobs: Iterator[_Job], generator: Generator, settings: RenderSettings, workers: int
) -> abc.Generator[tuple[_Job, list[bytes]], None, None]:
    """Jobs with their encoded images, in order, rendered by `workers` threads."""
    threads = torch.get_num_threads()
    per_worker = 1 if generator.device.type == "cpu" else threads
    pending: deque[tuple[_Job, Future[list[bytes]]]] = deque()
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(per_worker,))
    try:
        for job in jobs:
            pending.append((job, pool.submit(_render, job.rows, generator, settings)))
            if len(pending) > 2 * workers:
                first, future = pending.popleft()
                yield first, future.result()
        for first, future in pending:
            yield first, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(threads)


def _render(rows: PlanRows, generator: Generator, settings: RenderSettings) -> list[bytes]:
    try:
        return _rendered_rows(rows, generator, settings)
    except torch.OutOfMemoryError as error:
        raise NonesuchError(f"{generator.device}: out of memory; lower --micro-batch {settings.micro_batch}") from error


def _rendered_rows(rows: PlanRows, generator: Generator, settings: RenderSettings) -> list[bytes]:
    pixels = to_grey_levels(
        generator.render(image_vectors(rows, generator), rows.seed, settings.micro_batch, settings.style)
    )
    return [images.encode(image, settings.codec, settings.quality) for image in pixels]


def image_vectors(rows: PlanRows, generator: Generator) -> NDArray[np.float32]:
    """(N, D) raw vectors of planned images: the base vector, perturbed as the plan says."""
    scale = generator.card.vector_scale
    return np.stack(
        [
            perturb(rows.vectors[base], float(sigma), int(seed), scale)
            for base, sigma, seed in zip(rows.vector_row, rows.sigma, rows.seed, strict=True)
        ]
    )
