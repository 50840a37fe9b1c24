"""Faces of no one: labelled face datasets of people who don't exist, and what they are worth."""

import importlib
from typing import TYPE_CHECKING

from nonesuch.core.errors import NonesuchError
from nonesuch.core.version import VERSION

if TYPE_CHECKING:
    from nonesuch.audit.audit_datasets import audit_datasets
    from nonesuch.captions.analysis.report_captions import report_captions
    from nonesuch.captions.asking.ask_face import ask_face
    from nonesuch.captions.calibrate_captions import calibrate_captions
    from nonesuch.captions.caption_faces import caption_faces
    from nonesuch.captions.exchange.export_captions import export_captions
    from nonesuch.captions.exchange.import_captions import import_captions
    from nonesuch.cleaning.clean_labels import clean_labels
    from nonesuch.dataset.collected.import_images import import_images
    from nonesuch.dataset.collected.merge_datasets import merge_datasets
    from nonesuch.dataset.collected.split_dataset import split_dataset
    from nonesuch.dataset.collected.subset_dataset import subset_dataset
    from nonesuch.dataset.export_dataset import export_dataset
    from nonesuch.dataset.generate_dataset import generate_dataset
    from nonesuch.dataset.perceive_faces import perceive_faces
    from nonesuch.dataset.rebuild_dataset import rebuild_dataset
    from nonesuch.dataset.release.release_dataset import release_dataset
    from nonesuch.dataset.verify_dataset import verify_dataset
    from nonesuch.dataset.write_recipe import write_recipe
    from nonesuch.evaluation.evaluate_embedders import evaluate_embedders
    from nonesuch.identities.embed_photographs import embed_photographs
    from nonesuch.identities.fit_statistics import fit_statistics
    from nonesuch.identities.pack_identities import pack_identities
    from nonesuch.identities.sample_identities import sample_identities
    from nonesuch.language.naming.name_faces import name_faces
    from nonesuch.language.probe_attributes import probe_attributes
    from nonesuch.language.search_faces import search_faces
    from nonesuch.language.sketches.evaluate_sketches import evaluate_sketches
    from nonesuch.language.train_flip import train_flip
    from nonesuch.models import (
        create_model,
        list_models,
        load_detector,
        load_embedder,
        load_flip,
        load_generator,
        load_perceiver,
    )
    from nonesuch.recognition.adapt_recogniser import adapt_recogniser
    from nonesuch.recognition.train_recogniser import train_recogniser
    from nonesuch.training.train_generator import train_generator
    from nonesuch.training.train_perceiver import train_perceiver
    from nonesuch.training.widen_generator import widen_generator
    from nonesuch.weight_files import average_weights, export_weights, import_weights

__version__ = VERSION

__all__ = [
    "NonesuchError",
    "adapt_recogniser",
    "ask_face",
    "audit_datasets",
    "average_weights",
    "calibrate_captions",
    "caption_faces",
    "clean_labels",
    "create_model",
    "embed_photographs",
    "evaluate_embedders",
    "evaluate_sketches",
    "export_captions",
    "export_dataset",
    "export_weights",
    "fit_statistics",
    "generate_dataset",
    "import_captions",
    "import_images",
    "import_weights",
    "list_models",
    "load_detector",
    "load_embedder",
    "load_flip",
    "load_generator",
    "load_perceiver",
    "merge_datasets",
    "name_faces",
    "pack_identities",
    "perceive_faces",
    "probe_attributes",
    "rebuild_dataset",
    "release_dataset",
    "report_captions",
    "sample_identities",
    "search_faces",
    "split_dataset",
    "subset_dataset",
    "train_flip",
    "train_generator",
    "train_perceiver",
    "train_recogniser",
    "verify_dataset",
    "widen_generator",
    "write_recipe",
]
# Where each is defined. Importing torch takes a second, which `nonesuch --help` need not wait for.
_PLACES = {
    "adapt_recogniser": "recognition.adapt_recogniser",
    "ask_face": "captions.asking.ask_face",
    "audit_datasets": "audit.audit_datasets",
    "average_weights": "weight_files",
    "calibrate_captions": "captions.calibrate_captions",
    "caption_faces": "captions.caption_faces",
    "clean_labels": "cleaning.clean_labels",
    "create_model": "models",
    "embed_photographs": "identities.embed_photographs",
    "evaluate_embedders": "evaluation.evaluate_embedders",
    "evaluate_sketches": "language.sketches.evaluate_sketches",
    "export_captions": "captions.exchange.export_captions",
    "export_dataset": "dataset.export_dataset",
    "export_weights": "weight_files",
    "fit_statistics": "identities.fit_statistics",
    "generate_dataset": "dataset.generate_dataset",
    "import_captions": "captions.exchange.import_captions",
    "import_images": "dataset.collected.import_images",
    "import_weights": "weight_files",
    "list_models": "models",
    "load_detector": "models",
    "load_embedder": "models",
    "load_flip": "models",
    "load_generator": "models",
    "load_perceiver": "models",
    "merge_datasets": "dataset.collected.merge_datasets",
    "name_faces": "language.naming.name_faces",
    "pack_identities": "identities.pack_identities",
    "perceive_faces": "dataset.perceive_faces",
    "probe_attributes": "language.probe_attributes",
    "rebuild_dataset": "dataset.rebuild_dataset",
    "release_dataset": "dataset.release.release_dataset",
    "report_captions": "captions.analysis.report_captions",
    "sample_identities": "identities.sample_identities",
    "search_faces": "language.search_faces",
    "split_dataset": "dataset.collected.split_dataset",
    "subset_dataset": "dataset.collected.subset_dataset",
    "train_flip": "language.train_flip",
    "train_generator": "training.train_generator",
    "train_perceiver": "training.train_perceiver",
    "train_recogniser": "recognition.train_recogniser",
    "verify_dataset": "dataset.verify_dataset",
    "widen_generator": "training.widen_generator",
    "write_recipe": "dataset.write_recipe",
}


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module 'nonesuch' has no attribute {name!r}")
    return getattr(importlib.import_module(f"nonesuch.{_PLACES[name]}"), name)
