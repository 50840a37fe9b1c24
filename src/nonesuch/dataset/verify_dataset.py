"""Checking a dataset: every hash, count and label."""

import hashlib
import json
import tarfile
from collections import Counter
from dataclasses import astuple, dataclass
from pathlib import Path

import pyarrow as pa

from nonesuch.core import files, images
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path
from nonesuch.core.images import CODECS
from nonesuch.dataset.release.checking import release_problems
from nonesuch.dataset.shards import differences
from nonesuch.dataset.write_recipe import is_recipe, no_images
from nonesuch.formats import manifest as manifests
from nonesuch.formats.columns import columns_problem
from nonesuch.formats.manifest import Manifest
from nonesuch.formats.plan import Plan
from nonesuch.formats.shards import RENDER, image_key, read_index, read_told, shard_files
from nonesuch.loop.progress import OnProgress, no_progress

_NOT_COMPLETE = "the dataset is not complete; run the command that made it again"

_OTHER_HASH = "its hash is not the manifest's"


@dataclass(frozen=True)
class VerifiedDataset:
    """What was found.

    Attributes:
        folder: of the dataset.
        images: how many it should hold.
        problems: what is wrong and how to repair it, a line each; empty for a sound dataset. A recipe has the problem
            that it holds no images.
        released: how many files its release holds; 0 where there is none.
    """

    folder: Path
    images: int
    problems: tuple[str, ...]
    released: int = 0


def verify_dataset(dataset: AnyPath, *, on_progress: OnProgress = no_progress) -> VerifiedDataset:
    """Check every hash, count and label of a dataset against its manifest and plan, and every file of its release.

    Args:
        dataset: its folder.
        on_progress: told how many images are checked.

    Raises:
        NonesuchError: there is no dataset, or its manifest or plan cannot be read.

    Example:
        nonesuch.verify_dataset("faces").problems
    """
    folder = as_path(dataset)
    manifest = manifests.read(folder)
    if manifest.made_from and not manifest.complete:  # its plan is written last
        return VerifiedDataset(folder, manifest.images, (_NOT_COMPLETE,))
    problems = []
    try:
        manifests.check_plan(folder, manifest)
    except NonesuchError as error:
        problems.append(str(error))
    if is_recipe(folder, manifest):
        problems.append(no_images(folder))
        return VerifiedDataset(folder, manifest.images, tuple(problems))
    plan = Plan(folder)
    if (plan.identities, plan.images) != (manifest.identities, manifest.images):
        problems.append(
            f"the plan holds {plan.identities} identities and {plan.images} images, "
            f"the manifest says {manifest.identities} and {manifest.images}"
        )
    if not manifest.complete:
        problems.append(_NOT_COMPLETE)
    elif len(manifest.shards) != plan.shards:
        problems.append(f"the manifest lists {len(manifest.shards)} shards, the plan {plan.shards}")
    expected_files = {path for number in range(plan.shards) for path in astuple(shard_files(folder, number))}
    problems += [
        f"{path.relative_to(folder)}: belongs to no planned shard; remove it"
        for path in sorted((folder / "shards").glob("*"))
        if path not in expected_files
    ]
    done = 0
    for number in range(plan.shards):
        expected = manifest.shards[number]["sha256"] if number < len(manifest.shards) else None
        try:
            images = plan.tables(number)[0]
            problem = _check_shard(folder, number, images, expected, CODECS[manifest.render["codec"]])
            if problem == _OTHER_HASH:
                problem += _other_way(folder, number, manifest)
        except NonesuchError as error:
            problem = str(error)
        if problem is not None:
            problems.append(f"shard {number:06d}: {problem}; {_mend(folder, number)}")
        else:
            problems += [
                f"shard {number:06d}: {problem}; run the command that made the dataset again"
                for group in manifest.brought_columns
                if (problem := columns_problem(folder, group, number)) is not None
            ]
        done += plan.shard_images(number)
        on_progress("verifying", done, plan.images)
    if manifest.made_from and not problems:
        problems += _parts_problems(folder, manifest, plan.shards)
    released, wrong = release_problems(folder, manifest)
    return VerifiedDataset(folder, plan.images, (*problems, *wrong), released)


def _parts_problems(folder: Path, manifest: Manifest, shards: int) -> list[str]:
    """Parts of which there are more or fewer images than the manifest says; the indices are sound."""
    found = Counter[int]()
    for number in range(shards):
        index = read_index(shard_files(folder, number).index)
        found.update(index["part"].to_pylist() if "part" in index.column_names else ())
    said = {number: part["images"] for number, part in enumerate(manifest.made_from)}
    return [
        f"part {number}: {found[number]} images come from it, the manifest says {said.get(number)}; "
        "remove the shards and run the command that made the dataset again"
        for number in sorted(said.keys() | found.keys())
        if found[number] != said.get(number)
    ]


def _mend(folder: Path, number: int) -> str:
    there = [path.name for path in astuple(shard_files(folder, number)) if path.exists()]
    remove = f"remove {' and '.join(there)} and " if there else ""
    return f"{remove}run the command that made the dataset again"


def _other_way(folder: Path, number: int, manifest: Manifest) -> str:
    """What differs between how a shard was rendered and how the manifest's were, to go behind the problem."""
    told = read_told(shard_files(folder, number).index).get(RENDER)
    if told is None or not (found := differences([*manifest.environments, json.loads(told)])):
        return ""
    return f": rendered in another way ({'; '.join(found)})"


def _check_shard(folder: Path, number: int, planned: pa.Table, expected_hash: str | None, suffix: str) -> str | None:
    shard = shard_files(folder, number)
    if missing := [path.name for path in astuple(shard) if not path.is_file()]:
        return f"{' and '.join(missing)} missing"
    index = read_index(shard.index)
    for name, column in {"label": "identity", "image": "image", "seed": "seed", "sigma": "sigma"}.items():
        if not index[name].equals(planned[column]):
            return f"its index differs from the plan in column {name!r}"
    if expected_hash is not None and files.sha256(shard.tar) != expected_hash:
        return _damaged_image(shard.tar, index, suffix) or _OTHER_HASH
    return _damaged_image(shard.tar, index, suffix)


def _damaged_image(tar: Path, index: pa.Table, suffix: str) -> str | None:
    """The first member that differs from the index, in words."""
    with tar.open("rb") as handle:
        try:
            with tarfile.open(fileobj=handle, mode="r:") as archive:
                members = [(member.name, member.offset_data, member.size) for member in archive]
        except tarfile.TarError as error:
            return f"damaged tar ({error})"
        if len(members) != 2 * len(index):
            return f"holds {len(members)} files, the index lists {len(index)} images with a label each"
        for position, row in enumerate(index.to_pylist()):
            key = image_key(row["label"], row["image"])
            image, label = members[2 * position], members[2 * position + 1]
            if row["key"] != key or image != (key + suffix, row["offset"], row["size"]) or label[0] != f"{key}.cls":
                return f"{key}: not where the index says"
            handle.seek(image[1])
            data = handle.read(image[2])
            if hashlib.sha256(data).digest() != row["sha256"]:
                return f"{key}: its bytes do not match their hash"
            images.decode(data, key)
            handle.seek(label[1])
            if handle.read(label[2]) != str(row["label"]).encode():
                return f"{key}: its label file does not say {row['label']}"
    return None
