"""Generators that nobody trained, and their cards."""

from pathlib import Path
from typing import Any, TypeVar

from nonesuch import create_model, load_embedder
from nonesuch.core import weights
from nonesuch.generators.generator import GeneratorCard
from nonesuch.generators.idiff.generator import IDiffCard
from nonesuch.generators.idiff.presets import IDIFF
from tests.filling import fill

# Of an idiff_tiny: a quarter of its latent, whose network takes a fraction of the time.
SMALL_LATENT: dict[str, Any] = {
    "first_stage": {**IDIFF["idiff_tiny"]["first_stage"], "multipliers": (1, 1, 1, 1)},
    "latent_side": 14,
}
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


def write_tiny_idiff(path: Path, sizes: dict[str, Any] | None = None, **card: Any) -> Path:
    """Weights of an idiff_tiny, of other sizes where they are given."""
    network = create_model("idiff_tiny", **(sizes or {}))
    fill(network)
    told = random_generator(IDiffCard, path.stem, "idiff_tiny", sizes=sizes or {}, **card)
    weights.save(path, network.state_dict(), told)
    return path
