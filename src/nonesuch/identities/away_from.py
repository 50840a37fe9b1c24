"""Identities certified apart from the people of a gallery: photographs' vectors, or another dataset's identities."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.core import files
from nonesuch.core.devices import pick_device
from nonesuch.core.errors import NonesuchError
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats import manifest
from nonesuch.formats.plan import IDENTITIES, Plan
from nonesuch.identities import table
from nonesuch.identities.plain_images import PlainImages
from nonesuch.identities.separation import Separation
from nonesuch.models import load_embedder, shipped_embedder_card


@dataclass(frozen=True)
class _Gallery:
    """Vectors to stay away from, and the embedder that made them."""

    path: Path
    vectors: NDArray[np.float32]
    embedder: str
    embedder_sha256: str
    sha256: str


@dataclass(frozen=True)
class _Limit:
    """A gallery, the cosine that no identity may exceed, and the embedder where images are judged."""

    gallery: _Gallery
    members: Separation
    judge: Embedder | None


class AwayFrom:
    """Admits identities that match nobody of some galleries.

    A gallery of the generator's own embedder is compared with the identities' vectors. One of another embedder is
    compared with that embedder's vectors of their plain images (see `plain_images`), which the generator renders.

    Args:
        paths: tables of vectors, or datasets of ours, which stand for their identities' vectors.
        fmr: false match rate at whose cosine two vectors match.
        images: which renders the identities' plain images.
        own: name and hash of the embedder of the identities' vectors.
        device: where images are embedded and vectors compared.

    Raises:
        NonesuchError: a gallery cannot be read, its embedder does not ship with the package, or knows no cosine at
            that rate.
    """

    def __init__(
        self, paths: Sequence[Path], fmr: float, images: PlainImages, own: tuple[str, str], device: str
    ) -> None:
        self.fmr = fmr
        self._limits, self._images = [], images
        for gallery in map(_read, paths):
            card = shipped_embedder_card(gallery.embedder, gallery.embedder_sha256)
            if card is None:
                raise NonesuchError(
                    f"{gallery.path}: vectors of {gallery.embedder or 'an unknown embedder'}, which does not ship with "
                    "the package; make them with 'nonesuch embed'"
                )
            is_own = (gallery.embedder, gallery.embedder_sha256) == own
            members = Separation(card.threshold(fmr), pick_device(device))
            members.join(gallery.vectors)
            self._limits.append(_Limit(gallery, members, None if is_own else load_embedder(gallery.embedder, device)))

    @property
    def renders(self) -> bool:
        """Whether candidates are judged by their images."""
        return any(limit.judge is not None for limit in self._limits)

    def record(self) -> list[dict[str, Any]]:
        """What is certified, JSON-ready: an entry for each gallery, in the order of their hashes."""
        entries = [
            {
                "gallery_sha256": limit.gallery.sha256,
                "vectors": len(limit.gallery.vectors),
                "embedder": limit.gallery.embedder,
                "embedder_sha256": limit.gallery.embedder_sha256,
                "compared": "identity vectors" if limit.judge is None else "vectors of the identities' plain images",
                "fmr": self.fmr,
                "max_cosine": limit.members.max_cosine,
            }
            for limit in self._limits
        ]
        return sorted(entries, key=lambda entry: str(entry["gallery_sha256"]))

    def __call__(self, vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(N, D) raw identity vectors -> (N,) which match nobody."""
        away = np.ones(len(vectors), dtype=bool)
        for limit in self._limits:
            judged = vectors if limit.judge is None else limit.judge.embed(self._images(vectors))
            found = limit.members.screened(judged)
            fits = np.zeros(len(vectors), dtype=bool)
            fits[found.rows] = limit.members.fit(judged[found.rows], found)
            away &= fits
        return away


def _read(path: Path) -> _Gallery:
    if not manifest.is_dataset(path):
        found = table.read(path)
        return _Gallery(path, found.vectors, found.embedder, found.embedder_sha256, files.sha256(path))
    origin, plan = manifest.read(path).generator, Plan(path)
    if origin is None:
        raise NonesuchError(
            f"{path}: made of images that existed before it; give the vectors of 'nonesuch embed {path}'"
        )
    vectors = np.concatenate([plan.read(shard).vectors for shard in range(plan.shards)])
    return _Gallery(path, vectors, origin["embedder"], origin["embedder_sha256"], files.sha256(path / IDENTITIES))
