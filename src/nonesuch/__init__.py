"""Faces of no one: labelled face datasets of people who don't exist, and what they are worth."""

import importlib
from typing import TYPE_CHECKING

from nonesuch.core.errors import NonesuchError
from nonesuch.core.version import VERSION

if TYPE_CHECKING:
    from nonesuch.models import create_model, list_models, load_detector, load_embedder, load_generator, load_perceiver
    from nonesuch.recognition.adaptation import adapt_recogniser
    from nonesuch.recognition.training import train_recogniser
    from nonesuch.training.generator import train_generator
    from nonesuch.training.perceiver import train_perceiver
    from nonesuch.weight_files import average_weights, export_weights, import_weights

__version__ = VERSION
__all__ = [
    "NonesuchError",
    "adapt_recogniser",
    "average_weights",
    "create_model",
    "export_weights",
    "import_weights",
    "list_models",
    "load_detector",
    "load_embedder",
    "load_generator",
    "load_perceiver",
    "train_generator",
    "train_perceiver",
    "train_recogniser",
]
# Where each is defined. Importing torch takes a second, which `nonesuch --help` need not wait for.
_PLACES = {
    "adapt_recogniser": "recognition.adaptation",
    "average_weights": "weight_files",
    "create_model": "models",
    "export_weights": "weight_files",
    "import_weights": "weight_files",
    "list_models": "models",
    "load_detector": "models",
    "load_embedder": "models",
    "load_generator": "models",
    "load_perceiver": "models",
    "train_generator": "training.generator",
    "train_perceiver": "training.perceiver",
    "train_recogniser": "recognition.training",
}


def __getattr__(name: str) -> object:
    if name in _PLACES:
        return getattr(importlib.import_module(f"nonesuch.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'nonesuch' has no attribute {name!r}")
