"""A dataset's small form: what its images are made from, and their hashes, without the images."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path
from nonesuch.core.locks import LOCK
from nonesuch.formats import manifest as manifests
from nonesuch.formats.manifest import MANIFEST, Manifest
from nonesuch.formats.plan import IDENTITIES, PLAN
from nonesuch.formats.shards import shard_files
from nonesuch.loop.progress import OnProgress, no_progress

_PARTS = (PLAN, IDENTITIES, MANIFEST)  # the manifest last: it vouches for the others


@dataclass(frozen=True)
class WrittenRecipe:
    """A recipe.

    Attributes:
        folder: where it is.
        manifest: of the dataset.
        bytes: of the recipe.
        shard_bytes: of the shards that it stands for, as far as they are there.
    """

    folder: Path
    manifest: Manifest
    bytes: int
    shard_bytes: int


def write_recipe(dataset: AnyPath, out: AnyPath, *, on_progress: OnProgress = no_progress) -> WrittenRecipe:
    """Write a dataset's manifest, plan and identities into a folder, from which `rebuild_dataset` makes its images.

    Columns that were added, such as those of `perceive`, are left out; those of steering are made again.

    Args:
        dataset: complete.
        out: folder, new or empty.
        on_progress: told which file is copied.

    Raises:
        NonesuchError: no dataset or one that is not complete or damaged, or a folder that holds something.

    Example:
        nonesuch.write_recipe("faces", "faces_recipe").bytes
    """
    folder, place = as_path(dataset), as_path(out)
    manifest = read_complete(folder)
    manifests.check_plan(folder, manifest)
    copy_recipe(folder, place, on_progress)
    tars = [shard_files(folder, shard).tar for shard in range(len(manifest.shards))]
    size = sum((place / name).stat().st_size for name in _PARTS)
    return WrittenRecipe(place, manifest, size, sum(tar.stat().st_size for tar in tars if tar.is_file()))


def no_images(folder: Path) -> str:
    """The problem of a recipe, in words, where images are needed."""
    return f"a recipe, which holds no images; make them with 'nonesuch rebuild {folder}'"


def read_complete(folder: Path) -> Manifest:
    """The manifest of a generated dataset whose shards' hashes are known; raises NonesuchError where they are not."""
    manifest = manifests.read(folder)
    manifests.origin(folder, manifest)
    if not manifest.complete:
        raise NonesuchError(f"{folder}: not complete, so its hashes are not known; run the command that made it again")
    return manifest


def copy_recipe(folder: Path, place: Path, on_progress: OnProgress = no_progress) -> None:
    """Copy manifest, plan and identities into a new or empty folder; raises NonesuchError as `write_recipe`."""
    with files.made_folder(place, LOCK):
        if any(
            path.name not in (LOCK, PLAN, IDENTITIES) and not files.is_half_written(path) for path in place.iterdir()
        ):
            raise NonesuchError(f"{place}: holds other files; name a new or empty folder")
        with manifests.locked(place):
            for number, name in enumerate(_PARTS):
                on_progress("copying", number, len(_PARTS))
                with files.replacing(place / name) as temporary:
                    shutil.copyfile(folder / name, temporary)


def is_recipe(folder: Path, manifest: Manifest) -> bool:
    """Whether a folder holds a complete dataset's manifest and none of its shards."""
    return manifest.complete and not any((folder / "shards").glob("[!.]*"))
