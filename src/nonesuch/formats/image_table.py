"""A table that names images of a source: whose they are, and of which split."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice
from nonesuch.formats.photographs import Photograph, plain_name


def rows_by_name(table: Path, names: Sequence[str | None]) -> dict[str, int]:
    """The row of each image that a table names, by `plain_name`.

    Raises:
        NonesuchError: an image is there twice.
    """
    rows: dict[str, int] = {}
    for row, name in enumerate(names):
        if name is not None and rows.setdefault(plain_name(name), row) != row:
            raise NonesuchError(f"{table}: names {name} twice; keep one of the rows")
    return rows


def apply_table(
    table: Path, columns: Mapping[str, list[Any]], source: Path, found: list[Photograph], split: str | None
) -> list[Photograph]:
    """The images that a table names, with its labels.

    Args:
        table: for messages.
        columns: `file`, and optionally `identity` (the labels) and `split`, as text.
        source: where the images are, for messages.
        found: they, in any order, which stays.
        split: where the table names splits, only the images of this one.

    Raises:
        NonesuchError: the table names an image twice, or none of the images.
    """
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
        notice(f"{table}: does not name {unnamed} of the {len(found)} images of {source.name}, which are left out")
    if absent := len(rows.keys() - {plain_name(item.name) for item in found}):
        notice(f"{table}: names {absent} images that {source.name} does not hold")
    if found and not kept:
        which = f" in the split {split}" if split else ""
        raise NonesuchError(f"{table}: names none of the images of {source.name}{which}")
    return kept
