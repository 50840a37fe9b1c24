"""Whose image it is by the folder that it lies in: one rule for folders and tars."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from nonesuch.core.arguments import Choice
from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice
from nonesuch.formats.photographs import Photograph

FIRST, SECOND, LAST = "first", "second", "last"
LABEL = Choice((FIRST, SECOND, LAST))
# A folder of these names that holds folders is a part of a dataset, not a person.
_PARTS = {"train", "training", "val", "valid", "validation", "test", "testing", "dev"}
_INDEX = 2  # characters of a folder's name that may be an index: A/Aaron, 0f/0f3a


def labelled(found: Sequence[Photograph], path: Path, label: str | None) -> list[Photograph]:
    """Images whose identity is "" get one: the name of a folder, or the image's own name where it lies in none.

    Args:
        found: images of a source, of which a table may have named some.
        path: the source. One folder around everything in a tar is how it was packed, and names nobody.
        label: "first" for the first folder below the source, "second" for the one in it, "last" for the innermost; None
            for the first, unless that is no person's.

    Raises:
        NonesuchError: `label` is None, and the first folders are parts of a dataset, such as `train`, or hold people by
            the beginning of their names, such as `A/Aaron`.
    """
    nameless = {item.name: PurePosixPath(item.name).parts[:-1] for item in found if not item.identity}
    if not nameless:
        return list(found)
    around = 0 if path.is_dir() or label in (FIRST, LAST) else _around(list(nameless.values()))
    folders = {name: parts[around:] for name, parts in nameless.items()}
    deep = sorted({parts for parts in folders.values() if len(parts) > 1})
    if label is None:
        _check_people(path, deep, list(folders.values()))
    at = {SECOND: 1, LAST: -1}.get(label or FIRST, 0)
    names = {
        name: parts[min(at, len(parts) - 1)] if parts else PurePosixPath(name).stem for name, parts in folders.items()
    }
    if deep:
        which = {SECOND: "second", LAST: "innermost"}.get(label or FIRST, "first")
        other = "" if label else f"; 'nonesuch embed' and 'clean' take another with --label {SECOND} or {LAST}"
        if not label and _within(deep):
            other = f"; if the folders in them are the people, give 'nonesuch embed' or 'clean' --label {SECOND}"
        shown = deep[0][min(at, len(deep[0]) - 1)]
        notice(
            f"{path}: images lie several folders deep; their identity is the {which} folder, such as "
            f"{shown} of {'/'.join(deep[0])} ({len(set(names.values()))} identities){other}"
        )
    return [item if item.identity else replace(item, identity=names[item.name]) for item in found]


def _check_people(path: Path, deep: Sequence[tuple[str, ...]], folders: Sequence[tuple[str, ...]]) -> None:
    """Raises NonesuchError where the first folders are parts of a dataset, or almost surely an index.

    Folders of one or two characters that begin every name in them are an index. Longer ones may be people whose folders
    of images repeat their name (`alice/alice_2019`), so they are people's, and the note says how to take the others.
    """
    mend = (
        "name the folder whose folders are people, or give 'nonesuch embed --crops' or 'nonesuch clean' "
        f"--label {LAST} (the innermost folder), {SECOND}"
    )
    if part := next((parts[0] for parts in deep if parts[0].casefold() in _PARTS), None):
        raise NonesuchError(f"{path}: {part} is no person's name; {mend} or {FIRST}")
    all_deep = all(len(parts) != 1 for parts in folders)
    if all_deep and _within(deep) and _begins(deep) and all(len(parts[0]) <= _INDEX for parts in deep):
        raise NonesuchError(
            f"{path}: each first folder is the beginning of every name in it ({'/'.join(deep[0][:2])}), so these are "
            f"an index and not people; {mend} (the folders in {deep[0][0]}) or {FIRST}"
        )


def _within(deep: Sequence[tuple[str, ...]]) -> bool:
    """Whether the first folders look like an index: short, or the beginnings of those in them, none of which recurs."""
    first = {parts[0] for parts in deep}
    second = {parts[:2] for parts in deep}
    if len(first) < 2 or len({parts[1] for parts in second}) < len(second):
        return False  # alice/2019 and bob/2019: what recurs is no person
    return all(len(name) <= _INDEX for name in first) or _begins(deep)


def _begins(deep: Sequence[tuple[str, ...]]) -> bool:
    return all(parts[1].casefold().startswith(parts[0].casefold()) for parts in deep)


def _around(folders: Sequence[tuple[str, ...]]) -> int:
    """How many folders lie around everything, and hold folders."""
    depth = 0
    while len({parts[depth : depth + 1] for parts in folders}) == 1 and any(
        len(parts) > depth + 1 for parts in folders
    ):
        depth += 1
    return depth
