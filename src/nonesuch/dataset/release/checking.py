"""Checking a release: every file that it names, and its Croissant metadata against the manifest."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.release import record
from nonesuch.dataset.release.record import CROISSANT, RELEASE, Release
from nonesuch.formats.manifest import Manifest
from nonesuch.formats.plan import IDENTITIES, PLAN

_AGAIN = "remove it and run 'nonesuch release' again"


def release_problems(folder: Path, manifest: Manifest) -> tuple[int, list[str]]:
    """What is wrong with a dataset's release.

    The shards' tars are compared with the manifest, by which `verify_dataset` checks them; they are not read again.

    Returns:
        How many files the release holds, 0 where there is none, and what is wrong, in words.
    """
    if not (folder / RELEASE).is_file():
        left = all((folder / place).exists() for place in record.WRITTEN)
        told = f"{RELEASE}: missing, though its documents are there; remove these and run 'nonesuch release' again"
        return 0, [told] if left else []
    try:
        release = record.read(folder)
    except NonesuchError as error:
        return 0, [str(error)]
    problems = list(_changed(folder, release, manifest))
    try:
        problems += _metadata(files.read_json(folder / CROISSANT), release, manifest)
    except NonesuchError as error:
        problems.append(str(error))
    return len(release.files) + 1, problems


def _changed(folder: Path, release: Release, manifest: Manifest) -> Iterator[str]:
    told = {shard["tar"]: shard["sha256"] for shard in manifest.shards}
    for place, expected in release.files.items():
        path = files.inside(folder, place)
        if not path.is_file():
            yield f"{place}: missing, though it was released; restore it"
        elif place in told:
            if (told[place], path.stat().st_size) != (expected.sha256, expected.size):
                yield f"{place}: the release is of another one; run 'nonesuch release' again"
        elif record.hashed(path) != expected:
            mend = _AGAIN if place in record.WRITTEN else "run 'nonesuch release' again, or restore it"
            yield f"{place}: changed since it was released; {mend}"
    for place in sorted({PLAN, IDENTITIES, *told} - set(release.files)):
        yield f"{place}: not in the release; run 'nonesuch release' again"


def _metadata(found: dict[str, Any], release: Release, manifest: Manifest) -> Iterator[str]:
    """Where Croissant says something else than the manifest and the release do."""
    try:
        objects = {
            item["contentUrl"]: (item["sha256"], item["contentSize"])
            for item in found["distribution"]
            if item["@type"] == "cr:FileObject"
        }
        used = found["prov:wasGeneratedBy"]["prov:used"]
        hashes = {item["sha256"] for item in used if "sha256" in item}
        seeds = [item["prov:value"] for item in used if "prov:value" in item]
        licence = found["license"]
    except (KeyError, TypeError) as error:
        yield f"{CROISSANT}: not as a release writes it ({error}); {_AGAIN}"
        return
    told = {PLAN: manifest.plan_sha256, IDENTITIES: manifest.identities_sha256}
    told |= {shard["tar"]: shard["sha256"] for shard in manifest.shards}
    for place, sha256 in told.items():
        if objects.get(place, ("",))[0] != sha256:
            yield f"{CROISSANT}: its hash of {place} is not the manifest's; {_AGAIN}"
    for place, (sha256, size) in objects.items():
        if place in release.files and (sha256, size) != (release.files[place].sha256, f"{release.files[place].size} B"):
            yield f"{CROISSANT}: says something else of {place} than {RELEASE}; {_AGAIN}"
    weights = dict(manifest.generator or {}).get("sha256")
    if weights is not None and weights not in hashes:
        yield f"{CROISSANT}: does not name the generator of the manifest; {_AGAIN}"
    if seeds != [seed for seed in (manifest.options.get("seed"),) if seed is not None]:
        yield f"{CROISSANT}: its seed is not the manifest's; {_AGAIN}"
    if isinstance(licence, dict) and licence.get("name") != release.licence:
        yield f"{CROISSANT}: its licence is not that of {RELEASE}; {_AGAIN}"
