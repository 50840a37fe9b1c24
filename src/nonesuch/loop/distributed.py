"""Several training processes under torchrun: which one this is, and averages over all of them."""

import datetime
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from nonesuch.core.errors import NonesuchError

# The first process may embed a large set while the others wait.
_PATIENCE = datetime.timedelta(hours=12)


def start(device: torch.device) -> torch.device:
    """Join the group that torchrun describes, if it does; returns the device of this process.

    Raises:
        NonesuchError: the group cannot be joined.
    """
    if "RANK" not in os.environ or dist.is_initialized():
        return device
    try:
        if device.type == "cuda":
            device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(device)
        # What is agreed on between two steps goes beside the GPU, which would have to be waited for.
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    except (RuntimeError, ValueError, KeyError) as error:
        raise NonesuchError(f"cannot join the processes that torchrun started ({error})") from error
    return device


def stop() -> None:
    """Leave the group."""
    if dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def group(device: torch.device) -> Iterator[torch.device]:
    """Inside the block this process is in the group that torchrun describes, if it does; yields its device.

    A group that was joined before is used and kept. The group is also kept after an error: other processes may be
    waiting in it, and torchrun ends them when this process ends.

    Raises:
        NonesuchError: the group cannot be joined.
    """
    joined_before = dist.is_initialized()
    yield start(device)
    if not joined_before:
        stop()


def is_first() -> bool:
    """Whether this is the first or only process, even before it has joined the others and after it has left."""
    return rank() == 0 if dist.is_initialized() else os.environ.get("RANK", "0") == "0"


def rank() -> int:
    """Number of this process, 0 for the first or only one."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def first_does(work: Callable[[], None]) -> None:
    """The first process does the work, the others wait until it is done."""
    if rank() == 0:
        work()
    if dist.is_initialized():
        dist.barrier()


def is_first_of_host() -> bool:
    """Whether this is the first or only process of its host."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def first_of_host_does(work: Callable[[], None]) -> None:
    """The first process of each host does the work, the others wait until it is done everywhere."""
    if is_first_of_host():
        work()
    if dist.is_initialized():
        dist.barrier()


def average_(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by its mean over all processes, in one message per type."""
    if world_size() == 1:
        return
    by_kind: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        by_kind.setdefault(tensor.dtype, []).append(tensor)
    for group in by_kind.values():
        flat = torch.cat([tensor.reshape(-1) for tensor in group])
        dist.all_reduce(flat)
        flat /= world_size()
        for tensor, mean in zip(group, flat.split([tensor.numel() for tensor in group]), strict=True):
            tensor.copy_(mean.view_as(tensor))


class _Sum(torch.autograd.Function):
    """Sum over all processes; backward adds the gradients of all, so that of the summed losses results."""

    @staticmethod
    def forward(context: Any, part: Tensor) -> Tensor:
        total = part.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous().clone()
        dist.all_reduce(gradient)
        return gradient


_differentiable_sum: Callable[[Tensor], Tensor] = _Sum.apply


def sum_of_all(part: Tensor) -> Tensor:
    """The sum of a tensor over all processes; gradients are those of the sum of all processes' losses."""
    return part if world_size() == 1 else _differentiable_sum(part)


def highest_of_all(part: Tensor) -> Tensor:
    """The largest value of each element over all processes; without gradient."""
    if world_size() == 1:
        return part
    highest = part.clone()
    dist.all_reduce(highest, dist.ReduceOp.MAX)
    return highest


def parts_of_all(part: Tensor) -> Tensor:
    """The rows of all processes, as many from each, one after the other; differentiable as `sum_of_all` is."""
    if world_size() == 1:
        return part
    before, behind = rank() * len(part), (world_size() - 1 - rank()) * len(part)
    padded = torch.cat([part.new_zeros(before, *part.shape[1:]), part, part.new_zeros(behind, *part.shape[1:])])
    return sum_of_all(padded)


def rows_of_all(part: Tensor) -> Tensor:
    """The rows of all processes, one after the other, in the first one's main memory; the others get `part` back."""
    if world_size() == 1:
        return part
    counts = [torch.zeros(1, dtype=torch.int64, device=part.device) for _ in range(world_size())]
    dist.all_gather(counts, torch.tensor([len(part)], device=part.device))
    if rank():
        dist.send(part.contiguous(), 0)
        return part
    parts = [part.cpu()]
    for other in range(1, world_size()):
        received = part.new_empty(int(counts[other]), *part.shape[1:])
        dist.recv(received, other)
        parts.append(received.cpu())
    return torch.cat(parts)


def any_of_us(condition: bool) -> bool:
    """Whether the condition holds in any process; no GPU is waited for, unless a group joined before has GPUs alone."""
    if world_size() == 1:
        return condition
    answer = torch.tensor(float(condition), device="cpu" if "cpu:" in dist.get_backend_config() else "cuda")
    dist.all_reduce(answer, dist.ReduceOp.MAX)
    return bool(answer)
