"""Rendering a planned dataset: micro-batches in parallel, shards in order, any interruption resumable."""

import contextlib
import threading
import time
from collections import abc, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from nonesuch.core import images
from nonesuch.core.devices import MATMUL_PRECISION, available_cores, exact, is_out_of_memory
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CODECS, Pixels
from nonesuch.core.synthetic_mark import say_synthetic
from nonesuch.dataset.others import Others
from nonesuch.dataset.part import ALL, Part
from nonesuch.dataset.shards import Shards
from nonesuch.formats.plan import Plan, PlanRows
from nonesuch.formats.shard_writer import ShardWriter
from nonesuch.generators.generator import Generator, to_grey_levels
from nonesuch.identities.variation import perturb
from nonesuch.steering.columns import steered_columns
from nonesuch.steering.steerer import Steerer

_WHERE_SET = ("sampler", "synthetic_mark")
_LOOK_AGAIN_SECONDS = 1.0  # after shards that other processes render
_STEERED_AT_ONCE = 4  # micro-batches that share their slots, so that few of these stay empty
_Made = tuple[list[bytes], pa.Table | None]  # encoded images, and the record of their steering


@dataclass(frozen=True)
class RenderSettings:
    """Under equal settings, torch version and CPU features a plan gives equal bits.

    Attributes:
        device: device type, "cpu" or "cuda".
        dtype: precision of the network.
        micro_batch: images per forward pass; the last one is padded to this size.
        codec: "jpeg" or "png".
        quality: of JPEG, 1..100.
        style: spread of the style codes, for a generator that has them.
        sampler: of a generator that samples, see `Generator.sampler`.
        synthetic_mark: whether each file says that its image is synthetic, see `nonesuch.core.synthetic_mark`.
    """

    device: str
    dtype: str
    micro_batch: int
    codec: str
    quality: int
    style: float = 1.0
    sampler: str = ""
    synthetic_mark: bool = False

    def as_record(self) -> dict[str, Any]:
        """The settings as the manifest keeps them, JSON-ready; of the last two only what is set, as older ones do."""
        return {name: value for name, value in asdict(self).items() if name not in _WHERE_SET or value}


def render_environment(settings: RenderSettings) -> dict[str, Any]:
    """The settings and everything else that the bits depend on; kept in each shard's index."""
    return {
        **settings.as_record(),
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "float32_matmul_precision": MATMUL_PRECISION,
        "encoder": images.codec_version(settings.codec),
    }


def default_workers(device: torch.device) -> int:
    """One worker per core that this process may keep busy; two on a GPU, so that encoding does not keep it waiting."""
    return available_cores() if device.type == "cpu" else 2


def render_missing(
    shards: Shards,
    generator: Generator,
    settings: RenderSettings,
    workers: int,
    on_image: Callable[[int], None],
    steerer: Steerer | None = None,
    part: Part = ALL,
) -> int:
    """Render and write every incomplete shard, with the record of its steering where there is a steerer.

    Other processes may render the same plan beside this one: each shard is claimed, one that another process renders is
    waited for, and rendered here if that process ends without it.

    On a CPU, each worker is a thread that runs the network on one core. That is faster than one network on all cores,
    and makes the bits independent of the number of workers. At most three micro-batches per worker are in memory, four
    times as many when steering.

    Args:
        shards: of a folder in which this process is `present`, see `nonesuch.core.locks`.
        workers: threads.
        on_image: told how many of the part's images are done.
        part: the shards that are this call's business.

    Returns:
        Number of images rendered by this call.

    Raises:
        NonesuchError: damaged plan or index, or full disk; complete shards stay as they are.
    """
    mine = part.shards(shards.plan.shards)
    missing = shards.missing(mine)
    count = _Count(shards.images(mine) - shards.images(missing), on_image)
    rendered = 0
    while missing:
        made = _render_free(shards, missing, generator, settings, workers, steerer, count)
        rendered += shards.images(made)
        others = [shard for shard in missing if shard not in made]
        missing = shards.missing(others)
        count.add(shards.images(others) - shards.images(missing))
        if missing and not made:
            time.sleep(_LOOK_AGAIN_SECONDS)
    return rendered


def _render_free(
    shards: Shards,
    missing: Sequence[int],
    generator: Generator,
    settings: RenderSettings,
    workers: int,
    steerer: Steerer | None,
    count: "_Count",
) -> set[int]:
    """Render those of the missing shards that no other process has claimed; returns their numbers."""
    environment = render_environment(settings)
    made: set[int] = set()
    writer: ShardWriter | None = None
    records: list[pa.Table] = []
    others = Others(shards.plan) if generator.needs_others else None
    stopping = threading.Event()
    render = partial(
        _render,
        generator=generator,
        settings=settings,
        others=others,
        steerer=steerer,
        stopping=stopping,
        count=count,
    )
    size = settings.micro_batch * (1 if steerer is None else _STEERED_AT_ONCE)
    try:
        jobs = _jobs(shards.plan, shards.claimed(missing), size)
        with exact(), contextlib.closing(_in_threads(jobs, render, generator.device, workers, stopping)) as results:
            for job, (encoded, record) in results:
                writer = writer or shards.writer(job.shard, CODECS[settings.codec], environment)
                rows = job.rows
                for row, data in enumerate(encoded):
                    writer.add(
                        int(rows.identity[row]), int(rows.image[row]), int(rows.seed[row]), float(rows.sigma[row]), data
                    )
                if record is None:
                    count.add(len(encoded))
                else:
                    records.append(record)
                if job.last:
                    writer.complete()
                    writer = None
                    shards.add_columns(job.shard, records)
                    records.clear()
                    made.add(job.shard)
                    shards.give_back(job.shard)
    finally:
        if writer is not None:
            writer.abort()
        shards.give_back_all()
    return made


class _Count:
    """Images done, counted from any thread: steering one job takes minutes, so its images are reported one by one."""

    def __init__(self, done: int, on_image: Callable[[int], None]) -> None:
        self.done, self.on_image, self.lock = done, on_image, threading.Lock()
        self.add(0)

    def add(self, images: int) -> None:
        with self.lock:
            self.done += images
            self.on_image(self.done)


@dataclass(frozen=True)
class _Job:
    shard: int
    rows: PlanRows
    last: bool  # of its shard


def _jobs(plan: Plan, shards: Iterable[int], size: int) -> Iterator[_Job]:
    for shard in shards:
        rows = plan.read(shard)
        if not len(rows):
            raise NonesuchError(f"{plan.folder}: the plan names no image at shard {shard}")
        for start in range(0, len(rows), size):
            stop = min(start + size, len(rows))
            yield _Job(shard, rows.part(slice(start, stop)), last=stop == len(rows))


def _in_threads(
    jobs: Iterator[_Job],
    render: Callable[[PlanRows], _Made],
    device: torch.device,
    workers: int,
    stopping: threading.Event,
) -> abc.Generator[tuple[_Job, _Made], None, None]:
    """Jobs with their results, in order, rendered by `workers` threads; `stopping` is set when no one waits."""
    threads = torch.get_num_threads()
    per_worker = 1 if device.type == "cpu" else threads
    pending: deque[tuple[_Job, Future[_Made]]] = deque()
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(per_worker,))
    try:
        for job in jobs:
            pending.append((job, pool.submit(render, job.rows)))
            if len(pending) > 2 * workers:
                first, future = pending.popleft()
                yield first, future.result()
        for first, future in pending:
            yield first, future.result()
    finally:
        stopping.set()
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(threads)


def _render(
    rows: PlanRows,
    generator: Generator,
    settings: RenderSettings,
    others: Others | None,
    steerer: Steerer | None,
    stopping: threading.Event,
    count: _Count,
) -> _Made:
    told = 0

    def heed(done: int) -> None:
        nonlocal told
        if stopping.is_set():
            raise CancelledError
        if done > told:
            count.add(done - told)
            told = done

    if steerer is None:
        return render_rows(rows, generator, settings, others), None
    with _enough_memory(generator, settings):
        bases, vectors = rows.vectors[rows.vector_row], image_vectors(rows, generator)
        found = steerer.steer(bases, vectors, rows.seed, settings.micro_batch, settings.style, heed)
    encoded = [_encode(image, settings) for image in found.images]
    return encoded, steered_columns(steerer.wishes, found)


def render_rows(
    rows: PlanRows, generator: Generator, settings: RenderSettings, others: Others | None = None
) -> list[bytes]:
    """The encoded images of planned rows; raises NonesuchError where there is not enough memory."""
    away = None if others is None else others.of(rows)
    with _enough_memory(generator, settings):
        vectors = image_vectors(rows, generator)
        pixels = to_grey_levels(generator.render(vectors, rows.seed, settings.micro_batch, settings.style, away))
    return [_encode(image, settings) for image in pixels]


def _encode(pixels: Pixels, settings: RenderSettings) -> bytes:
    data = images.encode(pixels, settings.codec, settings.quality)
    return say_synthetic(data) if settings.synthetic_mark else data


@contextlib.contextmanager
def _enough_memory(generator: Generator, settings: RenderSettings) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        lower = "--workers or --micro-batch" if generator.device.type == "cpu" else "--micro-batch"
        raise NonesuchError(
            f"{generator.device}: out of memory; lower {lower} {settings.micro_batch} "
            "(a folder that holds shards keeps its --micro-batch; name another one)"
        ) from error


def image_vectors(rows: PlanRows, generator: Generator) -> NDArray[np.float32]:
    """(N, D) raw vectors of planned images: the base vector, perturbed as the plan says."""
    scale = generator.card.vector_scale
    return np.stack(
        [
            perturb(rows.vectors[base], float(sigma), int(seed), scale)
            for base, sigma, seed in zip(rows.vector_row, rows.sigma, rows.seed, strict=True)
        ]
    )
