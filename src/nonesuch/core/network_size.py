"""How large a network may be that somebody's card asks for: known before any of it is allocated."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode

from nonesuch.core.errors import NonesuchError

_LARGEST_NUMBER = 1 << 16  # of a size: widths and depths
_LONGEST_LIST = 64
_MOST_PARTS = 10_000  # layers and tensors; the largest network of the package has about 3,000
_MOST_NUMBERS = 4_000_000_000  # weights; the largest network of the package has about 820 million


def outlined(build: Callable[[], nn.Module], sizes: Mapping[str, Any]) -> nn.Module:
    """A network without memory for its weights (on torch's meta device): names and shapes alone.

    Args:
        build: makes the network of these sizes; stopped where it grows beyond the limits.
        sizes: of a card.

    Raises:
        NonesuchError: a size, or the network, is larger than any sane one.
    """
    _check_sizes(sizes)
    parts = numbers = 0

    def count(_: nn.Module, __: str, part: nn.Module | torch.Tensor | None) -> None:
        nonlocal parts, numbers
        parts += 1
        numbers += part.numel() if isinstance(part, torch.Tensor) else 0
        if parts > _MOST_PARTS or numbers > _MOST_NUMBERS:
            raise NonesuchError(
                f"they make a network of more than {_MOST_PARTS:,} parts or {_MOST_NUMBERS:,} weights; correct them"
            )

    handles = [
        hooks.register_module_module_registration_hook(count),
        hooks.register_module_parameter_registration_hook(count),
        hooks.register_module_buffer_registration_hook(count),
    ]
    try:
        # Some initial weights are drawn even where there is no memory for them; the real ones must not depend on that.
        with torch.random.fork_rng(devices=[]), torch.device("meta"), _Unfilled():
            return build()
    finally:
        for handle in handles:
            handle.remove()


class _Unfilled(TorchFunctionMode):
    """Leaves out torch.nn.init: without memory it fills nothing, and it loads torch's compiler, which takes 1.4 s."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", "") == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def _check_sizes(value: Any) -> None:
    """Raises NonesuchError for what no network needs; a loop over it would take long before any layer is made."""
    if isinstance(value, int | float) and not abs(value) <= _LARGEST_NUMBER:
        raise NonesuchError(f"{value:g} is beyond {_LARGEST_NUMBER:,}; correct it")
    if isinstance(value, Mapping | list | tuple):
        if len(value) > _LONGEST_LIST:
            raise NonesuchError(f"{len(value):,} values in one place, at most {_LONGEST_LIST} make sense; correct them")
        for part in value.values() if isinstance(value, Mapping) else value:
            _check_sizes(part)
