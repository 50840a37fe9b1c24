"""One image file; its person has the file's name."""

from pathlib import Path

from nonesuch.core.images import IMAGE_SUFFIXES
from nonesuch.formats.photographs import Photograph, readable


def takes(path: Path) -> bool:
    """Files with the suffix of an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def find(path: Path, split: str | None) -> list[Photograph]:
    """The image alone; there are no splits, so `split` is ignored."""
    return [Photograph(readable(path.name), readable(path.stem), path)]
