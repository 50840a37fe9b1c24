"""Finding what writes a report, whose libraries are an extra."""

import importlib
from collections.abc import Callable


def writer(module: str, name: str = "write_report") -> Callable[..., None] | None:
    """A function that writes a page, of a module that needs jinja2 (and perhaps matplotlib); None without the extra."""
    try:
        found: Callable[..., None] = getattr(importlib.import_module(module), name)
    except ImportError:
        return None
    return found


MISSING = 'needs matplotlib and jinja2: pip install "nonesuch[report]"'
