"""Where and in which precision networks run."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

import torch
from torch import nn

from nonesuch.core.errors import NonesuchError

NetworkType = TypeVar("NetworkType", bound=nn.Module)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def pick_device(name: str = "auto") -> torch.device:
    """ "auto" is a GPU where there is one, otherwise the CPU.

    Raises:
        NonesuchError: the device is unknown or absent here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
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


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of a GPU or the main one did not suffice."""
    # torch raises a plain RuntimeError for main memory.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Mixed precision in `dtype`; does nothing for float32."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def exact() -> AbstractContextManager[object]:
    """Equal input gives equal bits on a GPU too: no TF32, and no free choice of cuDNN's algorithm."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


@contextmanager
def one_core(device: torch.device) -> Iterator[None]:
    """On a CPU one thread, so that the number of cores cannot change a bit; does nothing on a GPU."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if device.type == "cpu" else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
