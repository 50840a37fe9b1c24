"""Checking a dataset: every hash, count and label."""

import json
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path

import pyarrow.compute as pc

from nonesuch.core import parquet
from nonesuch.core.arguments import AT_LEAST_1, checked
from nonesuch.core.devices import available_cores
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path
from nonesuch.core.images import CODECS
from nonesuch.core.notices import notice
from nonesuch.dataset.release.checking import release_problems
from nonesuch.dataset.shards import differences
from nonesuch.dataset.verifying.record import CheckedShards, shard_state
from nonesuch.dataset.verifying.shard import OTHER_HASH, Findings, ShardCheck
from nonesuch.dataset.verifying.workers import check_shards
from nonesuch.dataset.write_recipe import is_recipe, no_images
from nonesuch.formats import manifest as manifests
from nonesuch.formats.manifest import Manifest
from nonesuch.formats.plan import Plan
from nonesuch.formats.shards import RENDER, read_told, shard_files
from nonesuch.loop.progress import OnProgress, no_progress

_NOT_COMPLETE = "the dataset is not complete; run the command that made it again"
_IMAGES_OF_A_WORKER = 5000  # that take as long to check as a process takes to start
_KEEP_EVERY_SECONDS = 60.0


@dataclass(frozen=True)
class VerifiedDataset:
    """What was found.

    Attributes:
        folder: of the dataset.
        images: how many it should hold.
        problems: what is wrong and how to repair it, a line each; empty for a sound dataset. A recipe has the problem
            that it holds no images.
        released: how many files its release holds; 0 where there is none.
        unchanged: how many shards were not read, as they were sound before and have not changed; only with `changed`.
    """

    folder: Path
    images: int
    problems: tuple[str, ...]
    released: int = 0
    unchanged: int = 0


@checked(workers=AT_LEAST_1)
def verify_dataset(
    dataset: AnyPath, *, changed: bool = False, workers: int | None = None, on_progress: OnProgress = no_progress
) -> VerifiedDataset:
    """Check every hash, count and label of a dataset against its manifest and plan, and every file of its release.

    The folder keeps a record of the shards that are sound, if it can be written.

    Args:
        dataset: its folder.
        changed: read only shards that are not in that record, or whose files have changed since. What decays on the
            disk is not seen then.
        workers: processes that check shards; None for as many as there are cores, but none for less than a second's
            work.
        on_progress: told how many images are checked.

    Raises:
        NonesuchError: there is no dataset, its manifest or plan cannot be read, or a worker was killed.

    Example:
        nonesuch.verify_dataset("faces").problems
    """
    folder = as_path(dataset)
    manifest = manifests.read(folder)
    if manifest.made_from and not manifest.complete:  # its plan is written last
        return VerifiedDataset(folder, manifest.images, (_NOT_COMPLETE,))
    problems = []
    record: CheckedShards | None = CheckedShards.read(folder, manifest)
    try:
        manifests.check_plan(folder, manifest)
    except NonesuchError as error:
        problems.append(str(error))
        record = None  # it is about the plan that belongs to the manifest
    if is_recipe(folder, manifest):
        problems.append(no_images(folder))
        return VerifiedDataset(folder, manifest.images, tuple(problems))
    plan = Plan(folder)
    problems += _about_counts(folder, manifest, plan)
    unchanged = 0
    with closing(_findings(folder, manifest, plan, record, changed, workers, on_progress)) as each:
        for number, found in each:
            unchanged += found is None
            problems += [] if found is None else _in_words(folder, number, manifest, found)
    if manifest.made_from and not problems:
        problems += _parts_problems(folder, manifest, plan.shards)
    released, wrong = release_problems(folder, manifest)
    return VerifiedDataset(folder, plan.images, (*problems, *wrong), released, unchanged)


def _about_counts(folder: Path, manifest: Manifest, plan: Plan) -> Iterator[str]:
    if (plan.identities, plan.images) != (manifest.identities, manifest.images):
        yield (
            f"the plan holds {plan.identities} identities and {plan.images} images, "
            f"the manifest says {manifest.identities} and {manifest.images}"
        )
    if not manifest.complete:
        yield _NOT_COMPLETE
    elif len(manifest.shards) != plan.shards:
        yield f"the manifest lists {len(manifest.shards)} shards, the plan {plan.shards}"
    expected_files = {path for number in range(plan.shards) for path in astuple(shard_files(folder, number))}
    for path in sorted((folder / "shards").glob("*")):
        if path not in expected_files:
            yield f"{path.relative_to(folder)}: belongs to no planned shard; remove it"


def _findings(
    folder: Path,
    manifest: Manifest,
    plan: Plan,
    record: CheckedShards | None,
    changed: bool,
    workers: int | None,
    on_progress: OnProgress,
) -> Generator[tuple[int, Findings | None]]:
    """Each shard's number, and what is wrong with it; None where it need not be read. The record is kept meanwhile."""
    check = ShardCheck(folder, CODECS[manifest.render["codec"]], tuple(manifest.brought_columns))
    hashes: list[str | None] = [shard["sha256"] for shard in manifest.shards[: plan.shards]]
    hashes += [None] * (plan.shards - len(hashes))
    before = [shard_state(check, number, told) for number, told in enumerate(hashes)]
    skips = record.has if record is not None and changed else lambda number, state: False
    tasks = [(number, told) for number, told in enumerate(hashes) if not skips(number, before[number])]
    images = sum(plan.shard_images(number) for number, _ in tasks)
    count = workers or min(available_cores(), 1 + images // _IMAGES_OF_A_WORKER)
    read, done, kept = {number for number, _ in tasks}, 0, time.monotonic()
    with closing(check_shards(check, plan, tasks, count)) as results:
        for number, told in enumerate(hashes):
            found = next(results)[1] if number in read else None
            if found is not None and record is not None:
                still = found.sound and shard_state(check, number, told) == before[number]
                record.add(number, before[number] if still else [])
            yield number, found
            done += plan.shard_images(number)
            on_progress("verifying", done, plan.images)
            if record is not None and time.monotonic() - kept > _KEEP_EVERY_SECONDS:
                _keep(record, changed)
                kept = time.monotonic()
    if record is not None:
        _keep(record, changed)


def _keep(record: CheckedShards, needed: bool) -> None:
    try:
        record.write()
    except NonesuchError as error:
        if needed:
            notice(f"{error}; what was checked is not kept, so the next --changed reads it again")


def _in_words(folder: Path, number: int, manifest: Manifest, found: Findings) -> list[str]:
    problem = found.problem
    if problem is None:
        return [
            f"shard {number:06d}: {problem}; run the command that made the dataset again" for problem in found.columns
        ]
    if problem == OTHER_HASH:
        problem += _other_way(folder, number, manifest)
    return [f"shard {number:06d}: {problem}; {_mend(folder, number)}"]


def _parts_problems(folder: Path, manifest: Manifest, shards: int) -> list[str]:
    """Parts of which there are more or fewer images than the manifest says; the indices are sound."""
    found = Counter[int]()
    for number in range(shards):
        index = shard_files(folder, number).index
        if "part" in parquet.read_schema(index).names:
            counts = pc.value_counts(parquet.read_table(index, ["part"])["part"])
            found.update({count["values"]: count["counts"] for count in counts.to_pylist()})
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
