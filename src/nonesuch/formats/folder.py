"""Images in a folder and in the folders below it. A `metadata.csv` in it may say whose they are, as Hugging Face's
ImageFolder has it.
"""

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

from nonesuch.core import files, tables
from nonesuch.formats.folder_names import FolderNames
from nonesuch.formats.image_table import apply_table
from nonesuch.formats.photographs import Photograph, is_hidden, is_image, readable, tell_skipped, why_not_read
from nonesuch.formats.to_write import ToWrite

METADATA = "metadata.csv"


def takes(path: Path) -> bool:
    """Any folder."""
    return path.is_dir()


def find(path: Path, split: str | None) -> list[Photograph]:
    """All images, in name order, named by their path in the folder.

    Linked folders are not followed. They are counted, as are unreadable folders and pictures that are not read. A
    `metadata.csv` counts where it has the columns `file_name` and `identity` or `label`; an image that it does not
    name, or whose identity is empty, is left out.

    Args:
        split: where `metadata.csv` has a column `split`, only the images of this one.

    Raises:
        NonesuchError: `metadata.csv` is damaged, or names none of the images.
    """
    found = _walk(path)
    table = path / METADATA
    names = tables.column_names(table) if table.is_file() else []
    label = next((name for name in ("identity", "label") if name in names), None)
    if "file_name" not in names or label is None:
        return found
    columns = tables.read_columns(table, ["file_name", label], optional=["split"])
    named = {"file": columns["file_name"], "identity": columns[label]}
    if "split" in columns:
        named["split"] = columns["split"]
    return apply_table(table, named, path, found, split)


def _walk(path: Path) -> list[Photograph]:
    names: list[str] = []
    skipped: Counter[str] = Counter()

    def unreadable(error: OSError) -> None:
        skipped["folders that cannot be opened"] += 1

    for place, folders, names_there in os.walk(path, onerror=unreadable):
        below = Path(place).relative_to(path)
        for folder in folders:
            linked = Path(place, folder).is_symlink() and not is_hidden((below / folder).as_posix())
            skipped["linked folders, which are not followed"] += linked
        for file in names_there:
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


def write(folder: Path, wanted: ToWrite) -> None:
    """Write IDENTITY/NAME, see `FolderNames`. Names that are numbers get zeros before them, so that order stays.

    Raises:
        NonesuchError: an image cannot be read.
        OSError: the disk is full.
    """
    names = FolderNames(folder)
    width = len(str(len(wanted)))
    for image in wanted:
        photograph = image.photograph
        if image.name.isdecimal():
            photograph = replace(photograph, name=image.name.zfill(width))
        path = names.path(photograph, image.suffix)
        files.make_folder(path.parent)
        path.write_bytes(image.data)
    names.tell_renamed("imagefolder")
