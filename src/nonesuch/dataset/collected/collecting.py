"""Writing a dataset made of images that existed before: shard by shard, so that any interruption is resumable."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.core.locks import LOCK
from nonesuch.dataset.collected.contents import Contents, check_counts
from nonesuch.dataset.collected.listing import write_listing
from nonesuch.dataset.collected.shards import Shards
from nonesuch.formats import manifest as manifests
from nonesuch.formats.manifest import LEFT_OUT, MANIFEST, Manifest
from nonesuch.loop.progress import OnProgress

_SOURCES = ("source_sha256", "sources_sha256")
_FREE = ("align",)  # options that change no image which could be taken without them


@dataclass(frozen=True)
class CollectedDataset:
    """A dataset made of images that existed before.

    Attributes:
        folder: where it is.
        manifest: what it holds and where that comes from.
        written: images that this call wrote; the others were there.
        kept: images whose bytes are those of the source; the others were aligned or encoded anew.
        problems: in words, of each image of the source that is left out; the folder `left_out` has them as tables.
    """

    folder: Path
    manifest: Manifest
    written: int
    kept: int
    problems: tuple[str, ...] = ()


def check_apart(out: Path, sources: list[Path]) -> None:
    """Raises NonesuchError where a dataset would be written into its source, or around it."""
    for source in sources:
        one, other = out.resolve(), source.resolve()
        if one == other or one in other.parents or other in one.parents:
            raise NonesuchError(f"{out}: lies in {source} or around it; name a folder beside it")


def collect(
    folder: Path,
    draft: Manifest,
    contents: Contents,
    images_per_shard: int,
    what: str,
    on_progress: OnProgress,
) -> CollectedDataset:
    """Write a dataset, or go on with one that was interrupted.

    Args:
        folder: new, empty, or holding the same dataset.
        draft: its manifest, as `provenance.draft` makes it.
        contents: what it should hold.
        images_per_shard: a shard holds as many whole identities as fit, by their images in the source.
        what: is being done, for `on_progress`, which is told how many images of the source are done.

    Raises:
        NonesuchError: a folder that holds something else, an image that cannot be taken, another process at work
            there, or a full disk. Complete shards stay as they are.
    """
    check_counts(contents.people)
    with files.made_folder(folder, LOCK):
        _check_folder(folder)
        with manifests.locked(folder):
            old = _begin(folder, draft)
            made_from = json.dumps(_without_free(draft).options, sort_keys=True)
            shards = Shards(folder, contents, made_from, draft.render, images_per_shard)
            with _unless_refused(folder):
                written = shards.write_missing(lambda done: on_progress(what, done, shards.total))
                problems = tuple(shards.problems())
                if not shards.count:
                    raise NonesuchError(f"none of {shards.total:,} images can be taken; the first: {problems[0]}")
            manifest = write_listing(folder, draft, contents, shards.count)
            if old is not None and _holds(old) == _holds(manifest):
                manifest = old  # nothing was missing
            manifests.write(folder, manifest)
    return CollectedDataset(folder, manifest, written, shards.kept, problems)


def _check_folder(folder: Path) -> None:
    if manifests.is_dataset(folder):
        return
    if held := sorted(path.name for path in folder.iterdir() if path.name != LOCK and not files.is_half_written(path)):
        raise NonesuchError(f"{folder}: holds {held[0]} and no dataset; name a new or empty folder")


def _begin(folder: Path, draft: Manifest) -> Manifest | None:
    """Put the draft there; returns the manifest of the complete dataset that is there already."""
    old = manifests.read(folder) if manifests.is_dataset(folder) else None
    if old is not None:
        if not old.made_from:
            raise NonesuchError(f"{folder}: holds a dataset that was generated; name another folder")
        if old.complete or any((folder / "shards").glob("[!.]*")):
            _check_same(folder, _without_free(old), _without_free(draft))
    if old is None or not old.complete:
        manifests.write(folder, draft)
    files.make_folder(folder / "shards")
    return old if old is not None and old.complete else None


def _check_same(folder: Path, old: Manifest, new: Manifest) -> None:
    if (made_by := old.options.get("made_by")) != new.options["made_by"]:
        raise NonesuchError(f"{folder}: holds a dataset that 'nonesuch {made_by}' made; name another folder")
    if any(old.options.get(name) != new.options.get(name) for name in _SOURCES):
        raise NonesuchError(f"{folder}: made of another source, or of this one before it changed; name another folder")
    manifests.check_same(folder, old, new)


def _holds(manifest: Manifest) -> tuple[object, ...]:
    return manifest.plan_sha256, manifest.identities_sha256, manifest.shards


def _without_free(manifest: Manifest) -> Manifest:
    return replace(manifest, options={name: value for name, value in manifest.options.items() if name not in _FREE})


@contextlib.contextmanager
def _unless_refused(folder: Path) -> Iterator[None]:
    """Bad input that ends the block before a shard is whole leaves nothing that stands in the way of other options."""
    try:
        yield
    except NonesuchError:
        with contextlib.suppress(OSError, NonesuchError):
            if not any((folder / "shards").glob("[!.]*")) and not manifests.read(folder).complete:
                for path in [*(folder / LEFT_OUT).glob("*.parquet"), folder / MANIFEST]:
                    path.unlink()
                for place in (folder / LEFT_OUT, folder / "shards"):
                    if place.is_dir():
                        place.rmdir()
        raise
