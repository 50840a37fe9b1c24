"""Where and in which precision networks run."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

import torch
from torch import nn

from nonesuch.core.errors import NonesuchError

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

    Raises:
        NonesuchError: unknown, or not offered on this device (float16 needs a GPU).
    """
    if name not in DTYPES:
        raise NonesuchError(f"--dtype {name}: unknown; use one of {', '.join(DTYPES)}")
    if name == "float16" and device.type == "cpu":
        raise NonesuchError("--dtype float16: needs a GPU; use bfloat16 or float32")
    return DTYPES[name]


def channels_last(network: NetworkType) -> NetworkType:
    """The network with its convolutions' weights laid out channels last: faster on CPUs and on tensor cores."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


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
