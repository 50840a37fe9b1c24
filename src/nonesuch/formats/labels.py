"""Whose image it is by the folder that it lies in: one rule for folders and tars."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from nonesuch.core.arguments import Choice
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice
from nonesuch.formats.photographs import Photograph

FIRST, LAST = "first", "last"
LABEL = Choice((FIRST, LAST))
# A folder of these names that holds folders is a part of a dataset, not a person.
_PARTS = {"train", "training", "val", "valid", "validation", "test", "testing", "dev"}

_LONGEST_BUCKET = 3  # characters of a folder's name


def labelled(found: Sequence[Photograph], path: Path, label: str | None) -> list[Photograph]:
    """Images whose identity is "" get one: the name of a folder, or the image's own name where it lies in none.

    Args:
        found: images of a source, of which a table may have named some.
        path: the source. One folder around everything in a tar is how it was packed, and names nobody.
        label: "first" for the first folder below the source, "last" for the innermost; None for the first, unless
            that is no person's.

    Raises:
        NonesuchError: `label` is None, and the first folders are parts of a dataset, such as `train`, or buckets of an
            alphabet, such as A/Aaron and B/Bob.
    """
    nameless = {item.name: PurePosixPath(item.name).parts[:-1] for item in found if not item.identity}
    if not nameless:
        return list(found)
    around = 0 if path.is_dir() or label is not None else _around(list(nameless.values()))
    folders = {name: parts[around:] for name, parts in nameless.items()}
    deep = sorted({parts for parts in folders.values() if len(parts) > 1})
    part = next((parts[0] for parts in deep if parts[0].casefold() in _PARTS), None) or _bucket(folders.values())
    if label is None and part:
        raise NonesuchError(
            f"{path}: {part} is no person's name; name the folder whose folders are people, or give 'nonesuch embed "
            f"--crops' or 'nonesuch clean' --label {LAST} (the innermost folder) or {FIRST}"
        )
    at = -1 if label == LAST else 0
    names = {name: parts[at] if parts else PurePosixPath(name).stem for name, parts in folders.items()}
    if deep:
        which = "innermost" if label == LAST else "first"
        other = "" if label else f"; 'nonesuch embed' and 'clean' take the innermost with --label {LAST}"
        notice(
            f"{path}: images lie several folders deep; their identity is the {which} folder, such as "
            f"{deep[0][at]} of {'/'.join(deep[0])} ({len(set(names.values()))} identities){other}"
        )
    return [item if item.identity else replace(item, identity=names[item.name]) for item in found]


def _bucket(folders: Iterable[tuple[str, ...]]) -> str:
    """The name of a folder that only sorts others by their beginning, where all do so; "" where they do not."""
    every = [parts for parts in folders if parts]
    firsts = sorted({parts[0] for parts in every})
    sorts = len(firsts) > 1 and all(
        len(parts) > 1 and len(parts[0]) <= _LONGEST_BUCKET and parts[1].casefold().startswith(parts[0].casefold())
        for parts in every
    )
    return firsts[0] if sorts else ""


def _around(folders: Sequence[tuple[str, ...]]) -> int:
    """How many folders lie around everything, and hold folders."""
    depth = 0
    while len({parts[depth : depth + 1] for parts in folders}) == 1 and any(
        len(parts) > depth + 1 for parts in folders
    ):
        depth += 1
    return depth
