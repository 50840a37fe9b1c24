"""Worker processes on a Ray cluster, whose nodes share the dataset's folder and have the same packages."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nonesuch.core.allocator import keep_memory
from nonesuch.core.devices import available_cores
from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.workers.crew import Crew, RenderTask

LOCAL = "local"  # a cluster of this host alone, for as long as the work takes
_TELL_EVERY_SECONDS = 1.0
_LEAST_STORE = 80 * 2**20  # bytes, of objects: there are none


def on_ray(address: str, count: int | None) -> Crew:
    """Worker processes that Ray places.

    Args:
        address: of a running cluster, "auto" for the one that this host belongs to, or "local".
        count: of workers; None for one on each GPU of the cluster, or on each host where no GPU is used.

    Raises:
        NonesuchError: Ray is not installed; from the crew: the cluster cannot be reached or has no GPU.
    """
    try:
        import ray
    except ImportError as error:
        raise NonesuchError("--ray needs Ray: pip install 'nonesuch[cluster]'") from error

    def run(task: RenderTask, divide: bool, on_wait: Callable[[], None]) -> list[str]:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        own = {"num_cpus": available_cores(), "include_dashboard": False, "object_store_memory": _LEAST_STORE}
        try:
            ray.init(address=address, **quiet, **(own if address == LOCAL else {}))
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise NonesuchError(f"--ray {address}: no cluster there ({str(error).splitlines()[0]})") from error
        try:
            return _run_there(ray, task, divide, count, on_wait)
        finally:
            ray.shutdown()

    return run


def _run_there(ray: Any, task: RenderTask, divide: bool, count: int | None, on_wait: Callable[[], None]) -> list[str]:
    there = ray.cluster_resources()
    on_gpus = task.device.startswith("cuda")
    hosts = sum(node["Alive"] for node in ray.nodes())
    workers = count or (int(there.get("GPU", 0)) if on_gpus else hosts)
    if not workers:
        raise NonesuchError("--ray: the cluster has no GPU; use --device cpu, which makes other bits")
    cores = 1 if on_gpus else max(int(there["CPU"]) // workers, 1)
    work = ray.remote(num_cpus=cores, num_gpus=int(on_gpus))(_work)
    task = replace(task, workers=task.workers or (None if on_gpus else cores))
    # Ray shows a worker its own GPU alone, so each is "cuda".
    tasks = task.shared_by(["cuda" if on_gpus else task.device] * workers, divide)
    waiting = [work.remote(each) for each in tasks]
    ended = []
    while waiting:
        done, waiting = ray.wait(waiting, timeout=_TELL_EVERY_SECONDS)
        on_wait()
        for each in done:
            try:
                ray.get(each)
            except ray.exceptions.RayTaskError as error:
                if not isinstance(error.cause, NonesuchError):
                    raise
                ended.append(str(error.cause))
            except ray.exceptions.RayError as error:
                ended.append(f"a worker of Ray ended ({str(error).splitlines()[0]})")
    return ended


def _work(task: RenderTask) -> None:
    keep_memory()
    task.run()
