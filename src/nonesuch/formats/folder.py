"""Images in a folder and in the folders below it."""

import os
from collections import Counter
from pathlib import Path

from nonesuch.formats.photographs import Photograph, is_hidden, is_image, readable, tell_skipped, why_not_read


def takes(path: Path) -> bool:
    """Any folder."""
    return path.is_dir()


def find(path: Path, split: str | None) -> list[Photograph]:
    """All images, in name order, named by their path in the folder; a folder has no splits, so `split` is ignored.

    Linked folders are not followed. They are counted, as are unreadable folders and pictures that are not read.
    """
    names: list[str] = []
    skipped: Counter[str] = Counter()

    def unreadable(error: OSError) -> None:
        skipped["folders that cannot be opened"] += 1

    for place, folders, files in os.walk(path, onerror=unreadable):
        below = Path(place).relative_to(path)
        for folder in folders:
            linked = Path(place, folder).is_symlink() and not is_hidden((below / folder).as_posix())
            skipped["linked folders, which are not followed"] += linked
        for file in files:
            name = (below / file).as_posix()
            if not is_image(name):
                why = why_not_read(name)
                skipped[why] += bool(why)
            elif not Path(place, file).is_file():
                skipped["links to no file"] += 1
            else:
                names.append(name)
    tell_skipped(path, skipped)
    return [Photograph(readable(name), "", path / name) for name in sorted(names)]
