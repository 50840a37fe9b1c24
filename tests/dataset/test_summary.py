import numpy as np
import pytest

from nonesuch.dataset.summary import summarise
from nonesuch.embedders.embedder import EmbedderCard
from nonesuch.formats.dataset import IdentityImages


class _MeanColour:
    """An embedder whose embedding is the image's mean colour."""

    name = "colour"
    card = EmbedderCard(
        name="colour",
        architecture="-",
        sha256="",
        licence="-",
        source="-",
        training_data="-",
        embedding_dim=3,
        thresholds={"1e-4": 0.9},
    )

    def embed(self, crops: np.ndarray) -> np.ndarray:
        return crops.mean((1, 2)).astype(np.float32)


def _identity(label: int, colour: tuple[int, int, int], count: int = 3) -> IdentityImages:
    images = np.broadcast_to(np.array(colour, np.uint8), (count, 4, 4, 3))
    return IdentityImages(label, np.array(colour, np.float32), images)


def test_planted_identities() -> None:
    sample = [_identity(0, (200, 0, 0)), _identity(1, (0, 200, 0)), _identity(2, (0, 0, 200))]
    found = summarise(sample, _MeanColour(), True, 1e-4)  # type: ignore[arg-type]
    assert (found.consistency, found.mated, found.non_mated) == pytest.approx((1.0, 1.0, 0.0))
    assert (found.eer, found.kept_apart) == (0.0, 1.0)


def test_planted_twins_are_seen() -> None:
    sample = [_identity(0, (200, 0, 0)), _identity(1, (200, 10, 0)), _identity(2, (0, 200, 0)), _identity(3, (0, 0, 9))]
    found = summarise(sample, _MeanColour(), False, 1e-4)  # type: ignore[arg-type]
    assert found.kept_apart == 0.5
    assert found.consistency is None
