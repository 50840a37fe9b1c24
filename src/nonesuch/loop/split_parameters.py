"""Parameters whose rows are split among processes, such as a recogniser's class centres.

Their optimiser state is held in the same parts. Saved states hold all rows, so that a run may resume with another
number of processes.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nonesuch.loop import distributed

_ROWS = "rows_of_all"
_DRAWN = 65_536  # rows drawn at once: a process that holds few rows need not hold all


def own_rows(total: int) -> slice:
    """Which of `total` rows this process holds: the parts differ by at most one."""
    ranks = distributed.world_size()
    return slice(distributed.rank() * total // ranks, (distributed.rank() + 1) * total // ranks)


def sharded(part: Tensor, total: int) -> nn.Parameter:
    """This process's rows (see `own_rows`) of a parameter of `total` rows."""
    parameter = nn.Parameter(part)
    setattr(parameter, _ROWS, total)
    return parameter


def is_sharded(parameter: Tensor) -> bool:
    """Whether other processes hold other rows of it."""
    return distributed.world_size() > 1 and hasattr(parameter, _ROWS)


def whole(part: Tensor, parameter: Tensor) -> Tensor:
    """All rows of something that is split among processes: a parameter itself, its average, its momentum.

    They are put together in the first process's main memory; the others get their own part back.
    """
    if not is_sharded(parameter) or part.shape != parameter.shape:
        return part
    return distributed.rows_of_all(part.detach())


def part(rows: Tensor, parameter: Tensor) -> Tensor:
    """A copy of this process's rows of what `whole` put together."""
    if not is_sharded(parameter) or rows.ndim == 0:
        return rows
    return rows[own_rows(int(getattr(parameter, _ROWS)))].clone()


def drawn_rows(total: int, width: int) -> Tensor:
    """This process's rows of standard normal draws (total, width), the same for any number of processes."""
    mine, kept = own_rows(total), []
    for start in range(0, total, _DRAWN):
        drawn = torch.randn(min(_DRAWN, total - start), width)
        kept.append(drawn[max(mine.start - start, 0) : max(mine.stop - start, 0)].clone())
    return torch.cat(kept)


def network_state(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of the network (or averages by the same names) with all rows. Every process must call it."""
    parameters = dict(network.named_parameters())
    return {name: whole(tensor, parameters.get(name, tensor)) for name, tensor in state.items()}


def network_part(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """This process's part of what `network_state` gave."""
    parameters = dict(network.named_parameters())
    return {name: part(tensor, parameters.get(name, tensor)) for name, tensor in state.items()}


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The optimiser's state dict with all rows. Every process must call it."""
    return _of_each(optimizer, optimizer.state_dict(), whole)


def optimizer_part(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """This process's part of what `optimizer_state` gave, copied.

    The optimiser would keep hold of the file that the state may be mapped from, which Windows then lets nobody replace.
    """
    return _of_each(optimizer, state, lambda rows, parameter: part(rows, parameter).clone())


def _of_each(optimizer: torch.optim.Optimizer, state: dict[str, Any], change: Any) -> dict[str, Any]:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    changed = {
        number: {
            key: change(value, parameters[number]) if isinstance(value, Tensor) else value
            for key, value in values.items()
        }
        for number, values in state["state"].items()
    }
    return {**state, "state": changed}
