"""Releasing a dataset: the documents that tell what it is, and the record that lets anyone check it."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path, as_texts, path_or_none
from nonesuch.core.notices import notice
from nonesuch.dataset.release import record
from nonesuch.dataset.release.audited import read_verdict
from nonesuch.dataset.release.card import card, licence_ledger
from nonesuch.dataset.release.croissant import croissant
from nonesuch.dataset.release.datasheet import datasheet
from nonesuch.dataset.release.facts import facts_of
from nonesuch.dataset.release.ledger import ledger, licence_of, unchecked
from nonesuch.dataset.release.record import CARD, CROISSANT, DATASHEET, LEDGER, RELEASE, Release, ReleasedFile
from nonesuch.dataset.write_recipe import is_recipe, no_images
from nonesuch.formats import manifest as manifests
from nonesuch.formats.manifest import MANIFEST, Manifest
from nonesuch.formats.plan import IDENTITIES, PLAN, Plan
from nonesuch.formats.shards import shard_files
from nonesuch.loop.progress import OnProgress, no_progress

_SHEET = "contact_sheet.png"


@dataclass(frozen=True)
class ReleasedDataset:
    """A release.

    Attributes:
        folder: of the dataset, which the documents were written into.
        release: what `release.json` holds.
        written: the documents.
    """

    folder: Path
    release: Release
    written: tuple[Path, ...]


def release_dataset(
    dataset: AnyPath,
    *,
    audit: AnyPath | None = None,
    licence: str | None = None,
    name: str | None = None,
    creator: str | Sequence[str] = (),
    url: str = "",
    on_progress: OnProgress = no_progress,
) -> ReleasedDataset:
    """Write into a complete dataset what it needs to be published, and what lets `verify_dataset` check that.

    These are `README.md` (a Hugging Face dataset card), `croissant.json` (Croissant 1.1), `datasheet.md`, `LICENSE.md`
    (the licence ledger) and `release.json` (every file's hash). The same dataset and arguments give the same bytes.

    Args:
        dataset: its folder.
        audit: the folder of an audit of it; None says in every document that it is not audited.
        licence: to release it under; None for the terms of everything that went in.
        name: of the dataset; None for its folder's.
        creator: who made it; may be several.
        url: where it is published.
        on_progress: told how many files are hashed.

    Raises:
        NonesuchError: the dataset is not complete, or not as its manifest says; terms that contradict each other; an
            audit of other images; a document that is there and is no release's; or a full disk, which leaves the
            documents as they were.

    Example:
        nonesuch.release_dataset("faces", creator="Ada").release.licence
    """
    folder = as_path(dataset)
    manifest = manifests.read(folder)
    if is_recipe(folder, manifest):
        raise NonesuchError(f"{folder}: {no_images(folder)}")
    if not manifest.complete:
        raise NonesuchError(f"{folder}: not complete; run the command that made it again, then release it")
    called = folder.resolve().name if name is None else name
    creators = as_texts(creator) if creator else []
    _check_texts(called, creators, url, licence)
    audit_place = path_or_none(audit)
    verdict = None if audit_place is None else read_verdict(audit_place, manifests.images_sha256(manifest))
    content = dataclasses.asdict(manifest)
    entries = ledger(folder, content)
    under = licence_of(str(folder), entries, manifest.licence, licence)
    with manifests.locked(folder):
        _check_documents(folder)
        hashed = dict(_hashed(folder, manifest, on_progress))
        draft = Release(
            name=called,
            url=url,
            creators=creators,
            licence=under,
            stated=licence is not None,
            ledger=entries,
            verdict=verdict,
            files=hashed,
        )
        groups = sorted({path.parent.name for path in record.columns_in(folder)})
        facts = facts_of(content, entries, groups, _SHEET in hashed)
        documents = {
            CROISSANT: json.dumps(croissant(facts, draft), indent=1) + "\n",
            CARD: card(facts, draft),
            DATASHEET: datasheet(facts, draft),
            LEDGER: licence_ledger(draft),
        }
        made = {place: text.encode() for place, text in documents.items()}
        release = replace(draft, files=hashed | {place: record.of_bytes(data) for place, data in made.items()})
        written = _write(folder, {RELEASE: release.as_bytes(), **made})
    if verdict is None:
        notice(f"{folder}: not audited, and the release says so; give the folder of 'nonesuch audit' as --audit")
    if unknown := unchecked(entries):
        names = ", ".join(f"{entry.what} {entry.name}".strip() for entry in unknown)
        notice(f"{folder}: terms that are not known are carried as they are: {names}")
    return ReleasedDataset(folder, release, written)


def _check_texts(name: str, creators: Sequence[str], url: str, licence: str | None) -> None:
    for option, text in (("--name", name), *(("--creator", one) for one in creators), ("--url", url)):
        if not text.isprintable() or (option != "--url" and not text.strip()):
            raise NonesuchError(f"{option} {text!r}: not one line of text; give it in letters")
    if licence is not None and not (licence.strip() and licence.isprintable()):
        raise NonesuchError(f"--licence {licence!r}: not one line of text; name a licence, such as CC-BY-4.0")
    if url and not url.startswith(("https://", "http://")):
        raise NonesuchError(f"--url {url}: not an address; it begins with https://")


def _check_documents(folder: Path) -> None:
    """Raises NonesuchError where a document would replace one that somebody wrote or changed."""
    old = record.read(folder).files if (folder / RELEASE).is_file() else {}
    for place in record.WRITTEN:
        path = folder / place
        if path.exists() and (place not in old or record.hashed(path) != old[place]):
            raise NonesuchError(f"{path}: not as a release wrote it; move it away, and add it again afterwards")


def _hashed(folder: Path, manifest: Manifest, on_progress: OnProgress) -> Iterator[tuple[str, ReleasedFile]]:
    """The dataset's files by their places, each found to be what the manifest says where it says it."""
    told = {PLAN: manifest.plan_sha256, IDENTITIES: manifest.identities_sha256}
    told |= {shard["tar"]: shard["sha256"] for shard in manifest.shards}
    numbers = range(Plan(folder).shards)
    places = [folder / MANIFEST, folder / PLAN, folder / IDENTITIES]
    places += [path for path in (folder / _SHEET,) if path.is_file()]
    for number in numbers:
        shard = shard_files(folder, number)
        places += [shard.tar, shard.index]
    places += record.columns_in(folder)
    for done, path in enumerate(places, start=1):
        place = path.relative_to(folder).as_posix()
        found = record.hashed(path)
        if place in told and told.pop(place) != found.sha256:
            raise NonesuchError(f"{path}: not the file of the manifest; 'nonesuch verify {folder}' says what is wrong")
        yield place, found
        on_progress("hashing", done, len(places))
    if told:
        raise NonesuchError(f"{folder}: {next(iter(told))} is not one of its files; see 'nonesuch verify {folder}'")


def _write(folder: Path, contents: dict[str, bytes]) -> tuple[Path, ...]:
    """Write files so that all of them change, or none; the first one last, which vouches for the others."""
    places = [folder / place for place in contents]
    with ExitStack() as stack:
        for path, data in zip(places, contents.values(), strict=True):
            stack.enter_context(files.replacing(path)).write_bytes(data)
    return tuple(places)
