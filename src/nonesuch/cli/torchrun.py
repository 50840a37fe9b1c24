"""Which commands several processes share under torchrun; the others would each do all of the work."""

import os

from nonesuch.core.errors import NonesuchError

_SHARED = ("recognize train", "recognize adapt", "flip train", "train-generator", "train-perceiver")


def refuse_torchrun(command: str) -> None:
    """Raises NonesuchError where torchrun started a command whose work its processes do not share.

    Args:
        command: its name, or that of a group, which is left to decide for its commands.
    """
    several = "RANK" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"
    if several and not any(shared == command or shared.startswith(f"{command} ") for shared in _SHARED):
        raise NonesuchError(
            f"{command}: torchrun would do the same work in every process; start it without torchrun, "
            f"which is for {', '.join(_SHARED)}"
        )
