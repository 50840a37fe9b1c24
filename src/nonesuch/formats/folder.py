"""Images in a folder and in the folders below it."""

from pathlib import Path

from nonesuch.formats.photographs import Photograph, is_image


def takes(path: Path) -> bool:
    """Any folder."""
    return path.is_dir()


def find(path: Path, split: str | None) -> list[Photograph]:
    """All images, in name order, named by their path in the folder; a folder has no splits, so `split` is ignored."""
    names = sorted(place.relative_to(path).as_posix() for place in path.rglob("*") if place.is_file())
    return [Photograph(name, "", path / name) for name in names if is_image(name)]
