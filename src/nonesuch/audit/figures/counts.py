"""Part of audit.json: how many images and identities were found and could be used."""

from pathlib import Path
from typing import Any

import numpy as np

from nonesuch.audit.figures.view import ImageView
from nonesuch.measures.figure import COUNT, Better, Measure

COUNTS = "counts"
_MOST_PROBLEMS = 20


def _count(key: str, title: str, meaning: str, better: Better = Better.NEITHER) -> Measure:
    return Measure(key, title, COUNT, better, interval=False, meaning=meaning)


FOUND = _count("found", "images found", "image files of the source")
IMAGES = _count("images", "images", "those that can be used")
IDENTITIES = _count("identities", "identities", "with a usable image")
SINGLES = _count("single_image_identities", "identities of one image", "of which no mated comparison can be made")
LEFT_OUT = _count("left_out", "images left out", "damaged, too small, or without a face to align", Better.LOWER)
LOST = _count(
    "lost_identities", "identities left out with all their images", "none of their images can be used", Better.LOWER
)


def count_figures(view: ImageView) -> dict[str, Any]:
    """Images and identities, and what was left out, with reasons in words."""
    seen = view.seen
    sizes = np.bincount(seen.identities)
    return {
        FOUND.key: len(view.source.photographs),
        IMAGES.key: len(seen.photographs),
        IDENTITIES.key: len(seen.people),
        LEFT_OUT.key: len(seen.problems),
        LOST.key: seen.lost,
        "empty_folders": _empty_folders(view.source.path),
        SINGLES.key: int((sizes == 1).sum()),
        "images_per_identity": {"least": sizes.min(), "median": float(np.median(sizes)), "most": sizes.max()},
        "problems": seen.problems[:_MOST_PROBLEMS],
    }


def _empty_folders(path: Path) -> int:
    """Folders that hold nothing, though they may be meant as identities."""
    folders = [place for place in path.rglob("*") if place.is_dir()] if path.is_dir() else []
    return sum(next(folder.iterdir(), None) is None for folder in folders)
