"""Uncompressed tar files, read in place by offset; a table of the same name beside one describes its images."""

import tarfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nonesuch.core import tables
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice
from nonesuch.formats.photographs import Photograph, is_image, plain_name, readable, tell_skipped, why_not_read

_TABLE_SUFFIXES = (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz")


def takes(path: Path) -> bool:
    """Any file: a tar is known by its content, not by its name. So this reader comes last."""
    return True


def find(path: Path, split: str | None) -> list[Photograph]:
    """All images, in name order.

    The table (`.parquet`; `.csv` or `.tsv`, also as `.gz`) has a column `file`, and optionally `identity` (the labels)
    and `split`. An image that it does not name, or whose identity is empty, is left out.

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
            everything = [member for member in archive if not member.isdir()]
    except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError, MemoryError, RecursionError) as error:
        raise NonesuchError(f"{path}: not an image and not a readable uncompressed tar ({error})") from error
    found, skipped = [], Counter[str]()
    for member in everything:
        if not is_image(member.name):
            why = why_not_read(member.name)
            skipped[why] += bool(why)
        elif not member.isfile():
            skipped["links, which are not followed"] += 1
        else:
            name = readable(member.name.removeprefix("./"))
            found.append(Photograph(name, "", path, member.offset_data, member.size))
    tell_skipped(path, skipped)
    ends = [item.offset + item.size if item.size >= 0 else -1 for item in found]  # a negative size would mean all of it
    if found and (max(ends) > path.stat().st_size or min(ends) < 0):
        raise NonesuchError(f"{path}: truncated; copy it again")
    return sorted(found, key=lambda item: item.name)


def table_beside(tar: Path) -> Path | None:
    """The table that describes a tar's images, of the same name in the same folder; None where there is none."""
    tar = tar.resolve()
    stem = tar.name[: -len(".tar")] if tar.name.lower().endswith(".tar") else tar.name
    beside = [tar.with_name(stem + suffix) for lower in _TABLE_SUFFIXES for suffix in (lower, lower.upper())]
    return next((path for path in beside if path.is_file()), None)


def rows_by_name(table: Path, names: Sequence[str | None]) -> dict[str, int]:
    """The row of each image of a table's column `file`, by `plain_name`.

    Raises:
        NonesuchError: an image is there twice.
    """
    rows: dict[str, int] = {}
    for row, name in enumerate(names):
        if name is not None and rows.setdefault(plain_name(name), row) != row:
            raise NonesuchError(f"{table}: names {name} twice; keep one of the rows")
    return rows


def _apply_table(table: Path, tar: Path, found: list[Photograph], split: str | None) -> list[Photograph]:
    columns = tables.read_columns(table, ["file"], optional=["identity", "split"])
    rows = rows_by_name(table, columns["file"])
    labels, splits = columns.get("identity"), columns.get("split")
    kept, nameless, unnamed = [], 0, 0
    for item in found:
        row = rows.get(plain_name(item.name))
        unnamed += row is None
        if row is None or (split is not None and splits is not None and splits[row] != split):
            continue
        if labels is None:
            kept.append(item)
        elif labels[row]:
            kept.append(replace(item, identity=labels[row]))
        else:
            nameless += 1
    if nameless:
        notice(f"{table}: {nameless} images have an empty identity and are left out")
    if unnamed and kept:
        notice(f"{table}: does not name {unnamed} of the {len(found)} images of {tar.name}, which are left out")
    if absent := len(rows.keys() - {plain_name(item.name) for item in found}):
        notice(f"{table}: names {absent} images that {tar.name} does not hold")
    if found and not kept:
        which = f" in the split {split}" if split else ""
        raise NonesuchError(f"{table}: names none of the images of {tar.name}{which}")
    return kept
