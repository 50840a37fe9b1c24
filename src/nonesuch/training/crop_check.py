"""The crops of a training read once before it begins, so that a bad one does not end it later.

A dataset of ours holds aligned 112x112 crops alone, and a hash of each; reading 15 million would take an hour of two
cores. So of its images one is read of each shard, and what they are is left to 'nonesuch verify'.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.formats.photograph_lists import Joined, joined
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.shard_rows import ShardRows
from nonesuch.loop import distributed
from nonesuch.loop.progress import OnProgress
from nonesuch.loop.run_folder import BAD_IMAGES, STATE

_AT_ONCE = 1024


def check_every_crop(photographs: Sequence[Photograph], run: Path, on_progress: OnProgress) -> None:
    """Read every photograph of a run that has no saved state yet, and of a dataset of ours the first of each shard.

    The first process does so.

    Args:
        run: the run's folder, which gets the names of all that cannot be used in a text file, as --exclude takes them.
        on_progress: told how many are read.

    Raises:
        NonesuchError: photographs cannot be read, or are no aligned 112x112 crops.
    """
    if not (run / STATE).exists():
        distributed.first_does(lambda: _check(_to_read(photographs), run / BAD_IMAGES, on_progress))


def _to_read(photographs: Sequence[Photograph]) -> Sequence[Photograph]:
    if isinstance(photographs, Joined):
        return joined([_to_read(part) for part in photographs.parts])
    return photographs.first_of_shards() if isinstance(photographs, ShardRows) else photographs


def _check(photographs: Sequence[Photograph], listed_in: Path, on_progress: OnProgress) -> None:
    bad: list[tuple[str, str]] = []
    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(photographs), _AT_ONCE):
            part = photographs[start : start + _AT_ONCE]
            problems = zip(part, pool.map(_problem, part), strict=True)
            bad += [(photograph.name, problem) for photograph, problem in problems if problem]
            on_progress("checking", start + len(part), len(photographs))
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
