"""Faces of no one: labelled face datasets of people who don't exist, and what they are worth."""

import importlib
from typing import TYPE_CHECKING

from nonesuch.core.errors import NonesuchError
from nonesuch.core.version import VERSION

if TYPE_CHECKING:
    from nonesuch.audit.audit_datasets import audit_datasets
    from nonesuch.cleaning.clean_labels import clean_labels
    from nonesuch.dataset.generate_dataset import generate_dataset
    from nonesuch.dataset.perceive_faces import perceive_faces
    from nonesuch.dataset.verify_dataset import verify_dataset
    from nonesuch.evaluation.evaluate_embedders import evaluate_embedders
    from nonesuch.identities.embed_photographs import embed_photographs
    from nonesuch.identities.fit_statistics import fit_statistics
    from nonesuch.identities.sample_identities import sample_identities
    from nonesuch.models import create_model, list_models, load_detector, load_embedder, load_generator, load_perceiver

__version__ = VERSION

__all__ = [
    "NonesuchError",
    "audit_datasets",
    "clean_labels",
    "create_model",
    "embed_photographs",
    "evaluate_embedders",
    "fit_statistics",
    "generate_dataset",
    "list_models",
    "load_detector",
    "load_embedder",
    "load_generator",
    "load_perceiver",
    "perceive_faces",
    "sample_identities",
    "verify_dataset",
]
# What a command does is a function in a file of its name, in the folder of its stage; the rest is in models.py.
_STAGE_OF = {
    "audit_datasets": "audit",
    "clean_labels": "cleaning",
    "embed_photographs": "identities",
    "evaluate_embedders": "evaluation",
    "fit_statistics": "identities",
    "generate_dataset": "dataset",
    "perceive_faces": "dataset",
    "sample_identities": "identities",
    "verify_dataset": "dataset",
}


def __getattr__(name: str) -> object:
    # Importing torch takes a second, which `nonesuch --help` need not wait for.
    if name not in __all__:
        raise AttributeError(f"module 'nonesuch' has no attribute {name!r}")
    home = f"{_STAGE_OF[name]}.{name}" if name in _STAGE_OF else "models"
    return getattr(importlib.import_module(f"nonesuch.{home}"), name)
