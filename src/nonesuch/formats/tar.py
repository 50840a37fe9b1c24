"""Uncompressed tar files, read in place by offset; a table of the same name beside one describes its images."""

import tarfile
from dataclasses import replace
from pathlib import Path

from nonesuch.core import tables
from nonesuch.core.errors import NonesuchError
from nonesuch.formats.photographs import Photograph, is_image

_TABLE_SUFFIXES = (".parquet", ".csv", ".csv.gz")


def takes(path: Path) -> bool:
    """Any file: a tar is known by its content, not by its name. So this reader comes last."""
    return True


def find(path: Path, split: str | None) -> list[Photograph]:
    """All images, in name order.

    The table (`.parquet`, `.csv`, `.csv.gz`) has a column `file`, and optionally `identity` (the labels) and `split`;
    an image that it does not name is left out.

    Args:
        split: where the table names splits, only the images of this one.

    Raises:
        NonesuchError: the tar is damaged or empty, or the table is, or it names none of the images.
    """
    found = members(path)
    table = table_beside(path)
    return found if table is None else _apply_table(table, path, found, split)


def members(path: Path) -> list[Photograph]:
    """The images of a tar, in name order, without labels; errors as in `find`."""
    if path.stat().st_size == 0:
        raise NonesuchError(f"{path}: the file is empty; copy it again")
    try:
        with tarfile.open(path, "r:") as archive:
            images = [member for member in archive if member.isfile() and is_image(member.name)]
    except (tarfile.TarError, OSError, EOFError) as error:
        raise NonesuchError(f"{path}: not an image and not a readable uncompressed tar ({error})") from error
    found = [Photograph(member.name.removeprefix("./"), "", path, member.offset_data, member.size) for member in images]
    if found and max(item.offset + item.size for item in found) > path.stat().st_size:
        raise NonesuchError(f"{path}: truncated; copy it again")
    return sorted(found, key=lambda item: item.name)


def table_beside(tar: Path) -> Path | None:
    """The table that describes a tar's images, of the same name in the same folder; None where there is none."""
    tar = tar.resolve()
    beside = [tar.with_name(tar.name.removesuffix(".tar") + suffix) for suffix in _TABLE_SUFFIXES]
    return next((path for path in beside if path.is_file()), None)


def _apply_table(table: Path, tar: Path, found: list[Photograph], split: str | None) -> list[Photograph]:
    columns = tables.read_columns(table, ["file"], optional=["identity", "split"])
    rows = {name: index for index, name in enumerate(columns["file"])}
    labels, splits = columns.get("identity"), columns.get("split")
    kept = []
    for item in found:
        row = rows.get(item.name)
        if row is None or (split is not None and splits is not None and splits[row] != split):
            continue
        identity = item.identity if labels is None else str(labels[row])
        kept.append(replace(item, identity=identity))
    if found and not kept:
        which = f" in the split {split}" if split else ""
        raise NonesuchError(f"{table}: names none of the images of {tar.name}{which}")
    return kept
