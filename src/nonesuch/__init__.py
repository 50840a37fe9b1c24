"""Faces of no one: labelled face datasets of people who don't exist, and what they are worth."""

import importlib
from typing import TYPE_CHECKING

from nonesuch.core.errors import NonesuchError
from nonesuch.core.version import VERSION

if TYPE_CHECKING:
    from nonesuch.models import create_model, list_models, load_detector, load_embedder, load_generator, load_perceiver

__version__ = VERSION
__all__ = [
    "NonesuchError",
    "create_model",
    "list_models",
    "load_detector",
    "load_embedder",
    "load_generator",
    "load_perceiver",
]


def __getattr__(name: str) -> object:
    # Importing torch takes a second, which `nonesuch --help` need not wait for.
    if name in __all__:
        return getattr(importlib.import_module("nonesuch.models"), name)
    raise AttributeError(f"module 'nonesuch' has no attribute {name!r}")
