"""Uncompressed tar files, read in place by offset; a table of the same name beside one describes its images."""

import tarfile
from collections import Counter
from pathlib import Path

from nonesuch.core import tables
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice
from nonesuch.formats.image_table import apply_table
from nonesuch.formats.packs import without_unlabelled
from nonesuch.formats.photographs import Photograph, is_image, readable, tell_skipped, why_not_read
from nonesuch.formats.sample_labels import SampleLabels

_TABLE_SUFFIXES = (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz")


def takes(path: Path) -> bool:
    """Any file: a tar is known by its content, not by its name. So this reader comes last."""
    return True


def find(path: Path, split: str | None) -> list[Photograph]:
    """All images, in name order.

    The table (`.parquet`; `.csv` or `.tsv`, also as `.gz`) has a column `file`, and optionally `identity` (the labels)
    and `split`. An image that it does not name, or whose identity is empty, is left out. Without a table, labels beside
    the images count (see `SampleLabels`), and where some have one, an image without is left out.

    Args:
        split: where the table names splits, only the images of this one.

    Raises:
        NonesuchError: the tar is damaged or empty, or the table is, or it names none of the images.
    """
    found = members(path, SampleLabels())
    table = table_beside(path)
    if table is None:
        return without_unlabelled(path, found)
    columns = tables.read_columns(table, ["file"], optional=["identity", "split"])
    return apply_table(table, columns, path, found, split)


def members(path: Path, labels: SampleLabels | None = None) -> list[Photograph]:
    """The images of a tar, in name order.

    Args:
        labels: collects what stands beside the images, as in a WebDataset; None leaves the images without labels.

    Raises:
        NonesuchError: as in `find`.
    """
    size = path.stat().st_size
    if size == 0:
        raise NonesuchError(f"{path}: the file is empty; copy it again")
    everything = []
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                if member.isdir():
                    continue
                everything.append(member)
                if labels is not None and member.isreg() and labels.may_hold(member.name, member.size):
                    content = archive.extractfile(member)
                    labels.add(member.name, content.read() if content else b"")
            if size < archive.offset + tarfile.BLOCKSIZE:
                notice(f"{path}: has no end mark; if it is cut off, copy it again")
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
            label = "" if labels is None else labels.of(member.name, path)
            name = readable(member.name.removeprefix("./"))
            found.append(Photograph(name, label, path, member.offset_data, member.size))
    tell_skipped(path, skipped)
    ends = [item.offset + item.size if item.size >= 0 else -1 for item in found]  # a negative size would mean all of it
    if found and (max(ends) > size or min(ends) < 0):
        raise NonesuchError(f"{path}: truncated; copy it again")
    return sorted(found, key=lambda item: item.name)


def table_beside(tar: Path) -> Path | None:
    """The table that describes a tar's images, of the same name in the same folder; None where there is none."""
    tar = tar.resolve()
    stem = tar.name[: -len(".tar")] if tar.name.lower().endswith(".tar") else tar.name
    beside = [tar.with_name(stem + suffix) for lower in _TABLE_SUFFIXES for suffix in (lower, lower.upper())]
    return next((path for path in beside if path.is_file()), None)
