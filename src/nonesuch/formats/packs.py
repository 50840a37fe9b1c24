"""Files that hold many images: named themselves, or by the folder that they lie in."""

import os
from collections.abc import Sequence
from pathlib import Path

from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice
from nonesuch.formats.photographs import Photograph, is_hidden, is_image


def packs(path: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files of these suffixes (lower case) that a path means, in name order.

    A folder means those in it, unless images or folders lie beside them: then its images are meant.
    """
    if not path.is_dir():
        return [path] if path.suffix.lower() in suffixes else []
    found = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                if entry.is_dir() or is_image(entry.name):
                    return []
                if entry.name.lower().endswith(tuple(suffixes)):
                    found.append(path / entry.name)
    except OSError:  # the reader of folders tells of it
        return []
    return sorted(found)


def one_pack(path: Path, found: Sequence[Path]) -> Path:
    """The only one of them; raises NonesuchError where a folder holds several."""
    if len(found) > 1:
        raise NonesuchError(f"{path}: holds {found[0].name} and {found[1].name}; name the one that you mean")
    return found[0]


def without_unlabelled(path: Path, found: list[Photograph]) -> list[Photograph]:
    """The images that have a label; all of them where none has one."""
    kept = [item for item in found if item.identity]
    if not kept or len(kept) == len(found):
        return found
    notice(f"{path}: {len(found) - len(kept)} images have no label and are left out")
    return kept
