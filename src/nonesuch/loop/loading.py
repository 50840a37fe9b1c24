"""A run's batches, loaded while those before them are computed: by a thread, or by worker processes.

Loading is a pure function of samples and seeds, so nothing that was loaded ahead is part of a run's state.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import torch
import torch.multiprocessing
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.core import seeding
from nonesuch.core.allocator import keep_memory
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import Notice
from nonesuch.core.seeding import Stream
from nonesuch.loop import distributed
from nonesuch.loop.settings import TrainSettings

Load = Callable[[NDArray[np.int64], list[int]], dict[str, Tensor]]

_AHEAD = 2  # batches, and as many parts more as there are processes
_TOO_LITTLE = ("shared memory", "shm")  # in what torch says


class Order:
    """Which samples each batch of a run holds.

    Args:
        count: of the samples; every epoch shows each of them once, in an order of its own.
        settings: of the run, which give seed and batch.
    """

    def __init__(self, count: int, settings: TrainSettings) -> None:
        self.count, self.seed, self.batch = count, settings.seed, settings.batch
        self._epoch, self._permuted = -1, np.empty(0, dtype=np.int64)

    def at(self, seen: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(batch,) samples and the epoch of each, of the batch that begins when so many images are seen."""
        positions = seen + np.arange(self.batch)
        epochs = positions // self.count
        indices = np.empty(len(positions), dtype=np.int64)
        for epoch in np.unique(epochs):
            indices[epochs == epoch] = self._of_epoch(int(epoch))[positions[epochs == epoch] % self.count]
        return indices, epochs

    def _of_epoch(self, epoch: int) -> NDArray[np.int64]:
        if epoch != self._epoch:
            seed = seeding.derive_seed(self.seed, epoch)
            self._epoch, self._permuted = epoch, seeding.permutation(seed, Stream.TRAINING_ORDER, self.count)
        return self._permuted


class Loading:
    """This process's parts of a run's batches.

    Args:
        load: the samples' own; sent to each worker process, so all that belongs to it can be pickled.
        order: of the run.
        parts: that a batch is split into, over all processes.
        workers: how many processes load; 0 for a thread of this process; None to load nothing ahead, where loading
            keeps the device or all cores busy itself.
    """

    def __init__(self, load: Load, order: Order, parts: int, workers: int | None) -> None:
        self._load, self._order, self._parts, self._workers = load, order, parts, workers
        self._pool: Executor | None = None
        self._asked: deque[tuple[int, list[Future[dict[str, Tensor]]]]] = deque()
        self._has_loaded = False

    def parts(self, seen: int, last: int) -> list[dict[str, Tensor]]:
        """The parts of the batch that begins when `seen` images are seen; more are asked for ahead, up to `last`.

        Raises:
            NonesuchError: as in `load`, or a worker process was killed or cannot start.
        """
        if self._workers is None:
            return [_loaded(self._load, self._order.seed, *part) for part in self._cut(seen)]
        if self._asked and self._asked[0][0] != seen:
            self._asked.clear()
        try:
            if not self._asked:
                self._ask(seen)
            _, futures = self._asked.popleft()
            following = seen + self._order.batch * (1 + len(self._asked))
            while following < last and len(self._asked) < self._depth(len(futures)):
                self._ask(following)
                following += self._order.batch
            found = [future.result() for future in futures]
        except BrokenExecutor as error:
            raise self._broken() from error
        except RuntimeError as error:
            if not self._workers or not any(word in str(error) for word in _TOO_LITTLE):
                raise
            raise NonesuchError(
                f"--workers {self._workers}: /dev/shm holds too little for their batches; enlarge it (docker run "
                "--shm-size 8g), or give --workers 0"
            ) from error
        self._has_loaded = True
        return found

    def close(self) -> None:
        """End the workers; what they have loaded ahead is dropped."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool = None
        self._asked.clear()

    def _depth(self, parts: int) -> int:
        return _AHEAD + -(-(self._workers or 0) // parts)

    def _ask(self, seen: int) -> None:
        if self._pool is None:
            self._pool = self._begun()
        submit = self._pool.submit
        with _no_interrupts() if self._workers else contextlib.nullcontext():
            if self._workers:
                futures = [submit(_loaded_here, *part) for part in self._cut(seen)]
            else:
                futures = [submit(_loaded, self._load, self._order.seed, *part) for part in self._cut(seen)]
        self._asked.append((seen, futures))

    def _cut(self, seen: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        indices, epochs = self._order.at(seen)
        size = self._order.batch // self._parts
        for start in range(distributed.rank() * size, self._order.batch, distributed.world_size() * size):
            yield indices[start : start + size], epochs[start : start + size]

    def _begun(self) -> Executor:
        if not self._workers:
            return ThreadPoolExecutor(1, "loading", torch.set_num_threads, (1,))
        # A forked process would share locks and GPUs with its parent.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._workers, context, _begin, (self._load, self._order.seed))

    def _broken(self) -> NonesuchError:
        option = f"--workers {self._workers}"
        if self._has_loaded:
            return NonesuchError(
                f"{option}: a process that loads images was killed; if memory or /dev/shm was short, give fewer workers"
            )
        return NonesuchError(
            f"{option}: the processes that load images ended before the first batch; a Python program must call this "
            'below if __name__ == "__main__": (if it does, memory was short: give fewer workers)'
        )


def _loaded(load: Load, seed: int, indices: NDArray[np.int64], epochs: NDArray[np.int64]) -> dict[str, Tensor]:
    seeds = [seeding.derive_seed(seed, *pair) for pair in zip(epochs.tolist(), indices.tolist(), strict=True)]
    return load(indices, seeds)


_HERE: list[tuple[Load, int]] = []  # of a worker process


def _begin(load: Load, seed: int) -> None:
    """What a worker process does first."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent finishes its step, for which it needs this process
    warnings.simplefilter("ignore", Notice)  # the parent has told it
    torch.set_num_threads(1)
    keep_memory()
    _HERE.append((load, seed))


def _loaded_here(indices: NDArray[np.int64], epochs: NDArray[np.int64]) -> dict[str, Tensor]:
    load, seed = _HERE[0]
    return _loaded(load, seed, indices, epochs)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextlib.contextmanager
def _no_interrupts() -> Iterator[None]:
    """Processes that start inside the block are deaf to Ctrl-C, from their first moment on."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
