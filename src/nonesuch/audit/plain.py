"""Figures as audit.json holds them."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nonesuch.core.errors import NonesuchError


def or_unknown(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A part of the figures; where there is too little for it, `unknown` with the reason in words."""
    try:
        return measure()
    except NonesuchError as error:
        return {"unknown": str(error)}


def plain(value: Any) -> Any:
    """Figures as JSON holds them: dataclasses as objects, NaN and infinities as null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value
