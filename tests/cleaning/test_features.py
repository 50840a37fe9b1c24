"""Features: each image is read once; one that cannot be read, shows no face or gives no numbers stops nothing."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nonesuch.cleaning.features import features
from nonesuch.core.errors import NonesuchError
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.readers import find
from nonesuch.measures.duplicates import crop_hashes
from nonesuch.measures.similarity import normalised
from nonesuch.models import load_detector, load_embedder
from tests.people import faces_of_no_one


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for row, crop in enumerate(faces_of_no_one(4, 1)):
        Image.fromarray(crop).save(tmp_path / f"{row}.png")
    (tmp_path / "4.png").write_bytes(b"")
    Image.fromarray(np.full((150, 150, 3), 70, np.uint8)).save(tmp_path / "5.png")
    return tmp_path


def test_good_images_and_problems(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder, seen = load_embedder("mobilefacenet", "cpu"), []
    plain = Embedder.embed

    def embed(self: Embedder, crops: np.ndarray, batch: int = 64) -> np.ndarray:
        found = plain(self, crops, batch)
        found[1, 3], found[2] = np.nan, 0.0
        return found

    monkeypatch.setattr(Embedder, "embed", embed)
    photographs = find(folder)
    found = features(photographs, embedder, load_detector("cpu"), on_image=seen.append)
    assert found.rows.tolist() == [0, 3]
    assert {row: kind for row, (kind, _) in found.problems.items()} == {
        1: "no features",
        2: "no features",
        4: "unreadable",
        5: "no face",
    }
    crops = np.stack([photographs[row].read() for row in (0, 3)])
    assert np.allclose(found.vectors, normalised(plain(embedder, crops)), atol=1e-4)
    assert np.array_equal(found.hashes, np.stack([crop_hashes(crop) for crop in crops]))
    assert seen == [1, 2, 3, 4, 5, 6]
    with pytest.raises(NonesuchError, match=r"none of 1 images can be compared; the first: 5\.png: no face found"):
        features(photographs[5:], embedder, load_detector("cpu"))
