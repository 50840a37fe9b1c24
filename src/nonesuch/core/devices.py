"""Where and in which precision networks run."""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice

NetworkType = TypeVar("NetworkType", bound=nn.Module)
Setting = TypeVar("Setting")

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
MATMUL_PRECISION = "highest"  # of float32 under `exact`, as `torch.set_float32_matmul_precision` names it


def pick_device(name: str = "auto") -> torch.device:
    """ "auto" is a GPU where there is one, otherwise the CPU.

    Raises:
        NonesuchError: the device is unknown or absent here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if str(name).startswith("mps"):
        raise NonesuchError(f"--device {name}: Apple's GPUs lack the float64 that alignment needs; use cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise NonesuchError(f"--device {name}: not available here; use auto or cpu") from error
    return device


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """The precision of a name.

    Tells where bfloat16 is slow.

    Raises:
        NonesuchError: unknown, or not offered on this device (float16 needs a GPU).
    """
    if name not in DTYPES:
        raise NonesuchError(f"--dtype {name}: unknown; use one of {', '.join(DTYPES)}")
    if name == "float16" and device.type == "cpu":
        raise NonesuchError("--dtype float16: needs a GPU; use bfloat16 or float32")
    if name == "bfloat16" and device.type == "cpu":
        _tell_slow_bfloat16()
    return DTYPES[name]


@cache
def _tell_slow_bfloat16() -> None:
    """A notice, once, where a processor has no instructions for bfloat16 and computes it by way of float32."""
    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # older releases of torch do not tell
    if known.get("architecture") == "x86_64" and not (known.get("avx512_bf16") or known.get("amx_bf16")):
        notice("--dtype bfloat16: this processor has no instructions for it; float32 is several times as fast")


def available_cores() -> int:
    """Cores that this process may keep busy: those of its affinity, or fewer where a control group has a quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(math.floor(min(cores, _quota())), 1)


def _quota(groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float:
    """Cores' worth of time that Linux's control groups (versions 1 and 2) leave this process; infinity for no limit."""
    least = math.inf
    try:
        lines = [line.split(":", 2) for line in groups.read_text().splitlines()]
    except OSError:
        return least
    for _, kinds, path in (line for line in lines if len(line) == 3):
        if kinds and "cpu" not in kinds.split(","):
            continue
        top = root / ("cpu" if kinds else "")
        inner = top / path.lstrip("/")
        for group in (inner, *(parent for parent in inner.parents if parent.is_relative_to(top))):
            least = min(
                least, _quota_of(group, ["cpu.max"] if not kinds else ["cpu.cfs_quota_us", "cpu.cfs_period_us"])
            )
    return least


def _quota_of(group: Path, names: list[str]) -> float:
    try:
        quota, period = " ".join((group / name).read_text() for name in names).split()
        return float(quota) / float(period) if float(quota) > 0 else math.inf
    except (OSError, ValueError):  # no such file, or "max"
        return math.inf


def sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on the device; a copy from pinned memory does not wait for the device's earlier work."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def channels_last(network: NetworkType) -> NetworkType:
    """The network with its convolutions' weights laid out channels last: faster on CPUs and on tensor cores."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of a GPU or the main one did not suffice."""
    # torch raises a plain RuntimeError for main memory.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Mixed precision in `dtype`; does nothing for float32."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


@contextmanager
def exact() -> Iterator[None]:
    """Equal input gives equal bits, whatever torch's global settings are; these are as before afterwards.

    Float32 means float32 (no TF32, no bfloat16 inside, see `MATMUL_PRECISION`), and cuDNN chooses no algorithm freely.
    """
    cudnn = torch.backends.cudnn
    before = [(place, name, getattr(place, name)) for place, name in _fp32_precisions()]
    choices = {name: getattr(cudnn, name) for name in ("enabled", "benchmark", "deterministic")}
    tf32, matmul = _or_none(lambda: cudnn.allow_tf32), _or_none(torch.get_float32_matmul_precision)
    try:
        cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32 = True, False, True, False
        torch.set_float32_matmul_precision(MATMUL_PRECISION)
        for place, name, _ in before:
            setattr(place, name, "ieee")
        yield
    finally:
        for name, value in choices.items():
            setattr(cudnn, name, value)
        if tf32 is not None:
            cudnn.allow_tf32 = tf32
        if matmul is not None:
            torch.set_float32_matmul_precision(matmul)
        for place, name, value in before:
            setattr(place, name, value)


def _fp32_precisions() -> list[tuple[object, str]]:
    """Where torch 2.9 and later keep the precision of each kind of operation, besides the older settings."""
    backends = (torch.backends.cuda, torch.backends.cudnn, torch.backends.mkldnn)
    found = [getattr(backend, name, None) for backend in backends for name in ("matmul", "conv", "rnn")]
    return [(place, "fp32_precision") for place in found if hasattr(place, "fp32_precision")]


def _or_none(read: Callable[[], Setting]) -> Setting | None:
    """A setting, or None where torch refuses to say because newer settings contradict it."""
    try:
        return read()
    except RuntimeError:
        return None


@contextmanager
def one_core(device: torch.device) -> Iterator[None]:
    """On a CPU one thread, so that the number of cores cannot change a bit; does nothing on a GPU."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if device.type == "cpu" else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
