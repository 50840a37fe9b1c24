"""All crops of a training read once before it begins, so that a bad one does not end it later."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.formats.photographs import Photograph

_AT_ONCE = 1024


def check_crops(
    photographs: Sequence[Photograph], listed_in: Path, on_image: Callable[[int], None] = lambda done: None
) -> None:
    """Read every photograph.

    Args:
        listed_in: text file for the names of all that cannot be used, as --exclude takes them.
        on_image: told how many are read.

    Raises:
        NonesuchError: photographs cannot be read, or are no aligned 112x112 crops.
    """
    bad: list[tuple[str, str]] = []
    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(photographs), _AT_ONCE):
            part = photographs[start : start + _AT_ONCE]
            problems = zip(part, pool.map(_problem, part), strict=True)
            bad += [(photograph.name, problem) for photograph, problem in problems if problem]
            on_image(start + len(part))
    if not bad:
        return
    with files.replacing(listed_in) as temporary:
        temporary.write_text("".join(f"{name}\n" for name, _ in bad), encoding="utf-8", errors="surrogateescape")
    raise NonesuchError(
        f"{len(bad):,} of {len(photographs):,} images cannot be used; the first: {bad[0][1]}. {listed_in} names all: "
        f"replace them, or leave them out with --exclude {listed_in}"
    )


def _problem(photograph: Photograph) -> str:
    try:
        photograph.read_crop()
    except NonesuchError as error:
        return str(error)
    return ""
