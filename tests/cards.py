"""Cards of generators that nobody trained."""

from typing import Any, TypeVar

from nonesuch import load_embedder
from nonesuch.generators.generator import GeneratorCard

CardType = TypeVar("CardType", bound=GeneratorCard)


def random_generator(kind: type[CardType], name: str, architecture: str, **more: Any) -> CardType:
    """The card of random weights that claim to decode mobilefacenet's vectors."""
    embedder = load_embedder("mobilefacenet").card
    return kind(
        name=name,
        architecture=architecture,
        sha256="",
        licence="none, random weights",
        source="tests",
        training_data="none",
        feature_dim=192,
        embedder=embedder.name,
        embedder_sha256=embedder.sha256,
        **more,
    )
