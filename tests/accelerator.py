"""An accelerator that is not there: tensors that claim to lie on another device, with their values in main memory.

Torch's own fake tensors hold no values, so code whose way depends on values stops at once, and on a build without CUDA
their backward pass ends the process. These compute, forwards and backwards. As on a GPU, an operation refuses tensors
of both places, except for a single number beside an elementwise operation and for indices.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

DEVICE = torch.device("meta")  # the only one that every build of torch can run a backward pass for
_ATEN = torch.ops.aten
_MOVING = {_ATEN._to_copy.default, _ATEN.copy_.default}
_INDEXING = {_ATEN.index.Tensor, _ATEN.index_put_.default, _ATEN.index_put.default, _ATEN._index_put_impl_.default}
_WAITING = {_ATEN._local_scalar_dense.default, _ATEN.nonzero.default, _ATEN.masked_select.default, _ATEN.equal.default}
_FILLING = {_ATEN.masked_fill.Tensor, _ATEN.masked_fill_.Tensor, _ATEN.fill_.Tensor, _ATEN.index_fill.int_Tensor}


# Operations that made the processor wait for the accelerator: its numbers were read, or decided on a shape.
waits: list[str] = []


class Elsewhere(Tensor):
    """A tensor on the accelerator; `held` has its values."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: Tensor) -> "Elsewhere":
        return torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=DEVICE, requires_grad=False,
        )  # fmt: skip

    def __init__(self, held: Tensor) -> None:
        self.held = held

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"Elsewhere({self.held!r})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.held.detach().__reduce_ex__(protocol)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _dispatched(func, args, kwargs or {})


class _Making(TorchFunctionMode):
    """Torch makes a tensor of Python numbers before anybody can step in: make it in main memory, then move it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is Tensor.new_tensor and isinstance(args[0], Elsewhere):
            return torch.tensor(args[1], dtype=kwargs.get("dtype", args[0].dtype)).to(DEVICE)
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)
        if func is Tensor.tolist and isinstance(args[0], Elsewhere):
            waits.append("tolist")
            return args[0].held.tolist()
        return func(*args, **kwargs)


class _Accelerator(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _dispatched(func, args, kwargs or {})


def _dispatched(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    given: list[Tensor] = []
    _mapped(lambda item: given.append(item) if isinstance(item, Tensor) else None, (args, kwargs))
    ours = [tensor for tensor in given if isinstance(tensor, Elsewhere)]
    device = kwargs.get("device")
    wanted = bool(ours) if device is None else torch.device(device).type == DEVICE.type
    if func is _ATEN.copy_.default:
        wanted = isinstance(args[0], Elsewhere)
    elif ours and func not in _MOVING:
        _check_places(func, args, given)
    if device is not None:
        kwargs = {**kwargs, "device": torch.device("cpu") if wanted else device}
    of_held = {id(tensor.held): tensor for tensor in ours}
    held = _mapped(lambda item: item.held if isinstance(item, Elsewhere) else item, (args, kwargs))
    by_mask = func in _INDEXING and any(index is not None and index.dtype == torch.bool for index in args[1])
    if ours and (func in _WAITING or by_mask or (func in _MOVING and not wanted)):
        waits.append(str(func))
    result = func(*held[0], **held[1])
    if not wanted:
        return result

    def wrapped(item: Any) -> Any:
        if not isinstance(item, Tensor):
            return item
        return of_held.get(id(item)) if id(item) in of_held else Elsewhere(item)

    return _mapped(wrapped, result)


def _mapped(change: Callable[[Any], Any], item: Any) -> Any:
    """As torch's tree_map, which takes ten times as long; operations are given nothing else than these."""
    if isinstance(item, tuple | list):
        return type(item)(_mapped(change, part) for part in item)
    if isinstance(item, dict):
        return {name: _mapped(change, part) for name, part in item.items()}
    return change(item)


def _check_places(func: Any, args: Any, given: list[Tensor]) -> None:
    strangers = [tensor for tensor in given if not isinstance(tensor, Elsewhere)]
    if func in _INDEXING:
        indices = [index for index in args[1] if index is not None]
        if not isinstance(args[0], Elsewhere) and any(isinstance(index, Elsewhere) for index in indices):
            raise RuntimeError(f"{func}: indices should be in main memory, as the indexed tensor is")
        strangers = [tensor for tensor in strangers if all(tensor is not index for index in indices)]
    if torch.Tag.pointwise in func.tags or func in _FILLING or func in _INDEXING:
        strangers = [tensor for tensor in strangers if tensor.ndim]
    if strangers:
        raise RuntimeError(f"{func}: expected all tensors to be on the same device, found some in main memory")


@contextmanager
def accelerator() -> Iterator[torch.device]:
    """Inside the block, DEVICE is an accelerator; it has no mixed precision."""
    real: Callable[..., Any] = torch.autocast

    def autocast(device_type: str, *args: Any, **kwargs: Any) -> Any:
        return nullcontext() if device_type == DEVICE.type else real(device_type, *args, **kwargs)

    def in_thread(self: threading.Thread) -> None:
        with _Making(), _Accelerator():
            run_thread(self)

    run_thread = threading.Thread.run
    enabled: Callable[[str], bool] = torch.is_autocast_enabled
    with pytest.MonkeyPatch.context() as patch, _Making(), _Accelerator():
        patch.setattr(threading.Thread, "run", in_thread)  # what torch's modes do ends with their thread
        patch.setattr(torch, "autocast", autocast)
        patch.setattr(torch, "inference_mode", torch.no_grad)  # it would pass on compound operations as one
        patch.setattr(torch, "is_autocast_enabled", lambda name: name != DEVICE.type and enabled(name))
        yield DEVICE
