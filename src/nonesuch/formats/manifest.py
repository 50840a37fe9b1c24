"""`dataset.json`: what a dataset is, what made it, and what it must hold."""

import contextlib
import dataclasses
import datetime
import importlib.metadata
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypedDict

from msgspec import Meta

from nonesuch.core import files, locks
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CODECS
from nonesuch.formats.plan import IDENTITIES, PLAN

MANIFEST = "dataset.json"
FORMAT = 1
LEFT_OUT = "left_out"  # folder of an import: which images of its source have no place in a shard, and why
_WRITTEN = ("shards", "columns/*", LEFT_OUT)  # where files are written besides the folder itself

NO_ONE = "Faces of no one: generated from sampled identity vectors. No person shown exists."
REAL_PEOPLE = (
    "Generated from reference photographs or vectors of unknown origin: these images show REAL PEOPLE. "
    "Treat them as personal data."
)
UNKNOWN_ORIGIN = "Images whose origin is not known: they MAY SHOW REAL PEOPLE. Treat them as personal data."


def _versions() -> dict[str, str]:
    found = {name: importlib.metadata.version(name) for name in ("nonesuch", "torch", "numpy", "pyarrow")}
    return {**found, "python": platform.python_version()}


def _command() -> list[str]:
    """What was typed, where the command line runs; nothing where Python called."""
    program = Path(sys.argv[0])
    ours = program.stem == "nonesuch" or program.parent.name == "nonesuch"  # installed, or python -m
    return ["nonesuch", *sys.argv[1:]] if ours else []


Count = Annotated[int, Meta(ge=0)]


class Origin(TypedDict):
    """The weights that made a dataset."""

    name: str
    sha256: str
    embedder: str
    embedder_sha256: str
    licence: str


class ShardRecord(TypedDict):
    """One shard: its tar, how much it holds, and the tar's hash."""

    tar: str
    images: Count
    identities: Count
    sha256: str


class Step(TypedDict):
    """A dataset that images went through on their way: the hash of its manifest, and how it was made."""

    manifest_sha256: str
    options: dict[str, Any]


class Part(TypedDict):
    """Where some of a dataset's images come from: a generated dataset, or images that were imported.

    Its `shows_real_people` is None where that is not known, and `manifest_sha256` "" where there was no manifest.
    `identities` and `images` count what is here of it; `through` names the datasets that lie between, the first first.
    """

    name: str
    manifest_sha256: str
    description: str
    shows_real_people: bool | None
    licence: str
    generator: Origin | None
    options: dict[str, Any]
    identities: Count
    images: Count
    through: list[Step]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The content of `dataset.json`.

    Attributes:
        description: in words, whether real people are shown.
        shows_real_people: whether real people are shown, for programs; True where they may be.
        identities, images: how many the complete dataset holds.
        options: what was asked for; with the generator it determines every image. Of a dataset made of images that
            existed before, `made_by` names the command, and `columns` the groups that were taken along.
        generator: name, hash, licence and embedder of the weights; None of a dataset made of images that existed
            before.
        made_from: of such a dataset, the parts that its images come from; empty of a generated one.
        render: settings under which equal plans give equal bits.
        licence: of the images.
        plan_sha256, identities_sha256: hashes of the plan's two files.
        shards: file name, hash, images and identities of each, once the dataset is complete.
        versions: of the software that planned it; a shard's index names what rendered it.
        environments: what the shards were rendered by (settings, torch, CPU features, encoder), once the dataset is
            complete; more than one where machines differed.
        complete: whether every shard is there.
        command: what was typed; empty where Python called.
        created: date and time, UTC.
        format: version of this layout.
    """

    description: str
    shows_real_people: bool
    identities: Count
    images: Count
    options: dict[str, Any]
    generator: Origin | None
    render: dict[str, Any]
    licence: str
    plan_sha256: str
    identities_sha256: str
    made_from: list[Part] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=_versions)
    shards: list[ShardRecord] = field(default_factory=list)
    environments: list[dict[str, Any]] = field(default_factory=list)
    complete: bool = False
    command: list[str] = field(default_factory=_command)
    created: str = field(default_factory=lambda: datetime.datetime.now(datetime.timezone.utc).isoformat("T", "seconds"))
    format: int = FORMAT

    @property
    def brought_columns(self) -> list[str]:
        """Groups of columns that the dataset was made with, which belong to it as its images do."""
        if "steering" in self.options:
            return ["steering"]
        told = self.options.get("columns")
        return [str(name) for name in told] if isinstance(told, list) else []


def is_dataset(path: Path) -> bool:
    """Whether a path is a dataset of ours, complete or not: a folder with a manifest of ours, or a damaged one.

    Others call their files dataset.json, too; those are no manifest.
    """
    if not (path / MANIFEST).is_file():
        return False
    try:
        return "plan_sha256" in files.read_json(path / MANIFEST)
    except NonesuchError:
        return (path / PLAN).is_file()


def write(folder: Path, manifest: Manifest) -> None:
    """Write `dataset.json`; raises NonesuchError where it cannot be written."""
    content = dataclasses.asdict(manifest)
    if not manifest.made_from:
        del content["made_from"]  # so that older versions read what was generated
    files.write_json(folder / MANIFEST, content)


def read(folder: Path) -> Manifest:
    """Read `dataset.json`.

    Raises:
        NonesuchError: there is none, a field is missing or of another type, or it is of a newer format.
    """
    path = folder / MANIFEST
    if not is_dataset(folder):
        raise NonesuchError(f"{folder}: no dataset here (no {MANIFEST} of ours)")
    content = files.read_json(path)
    if content.get("format") != FORMAT:
        raise NonesuchError(f"{path}: format {content.get('format')}, this version reads {FORMAT}; update nonesuch")
    manifest = files.typed(content, Manifest, f"{path}: damaged")
    if (manifest.generator is None) != bool(manifest.made_from):
        raise NonesuchError(f"{path}: damaged: it names neither a generator nor parts, or both")
    codec, dtype = manifest.render.get("codec"), manifest.render.get("dtype", "" if manifest.made_from else None)
    if not isinstance(codec, str) or codec not in CODECS or not isinstance(dtype, str):
        raise NonesuchError(f"{path}: damaged: unknown codec or dtype")
    return manifest


def origin(folder: Path, manifest: Manifest) -> Origin:
    """The weights that made a dataset; raises NonesuchError where none did."""
    if manifest.generator is None:
        raise NonesuchError(f"{folder}: made of images that existed before it; nothing can make them again")
    return manifest.generator


def check_plan(folder: Path, manifest: Manifest) -> None:
    """Raises NonesuchError unless the plan's two files are those that the manifest was written for."""
    for name, expected in ((PLAN, manifest.plan_sha256), (IDENTITIES, manifest.identities_sha256)):
        if not (folder / name).is_file() or files.sha256(folder / name) != expected:
            raise NonesuchError(f"{folder / name}: not the file that the manifest was written for; restore it")


def images_sha256(manifest: Manifest) -> str:
    """One hash for all images of a complete dataset: SHA-256 over the hashes of its shards, a line each."""
    return files.text_sha256("".join(f"{shard['sha256']}\n" for shard in manifest.shards))


def check_same(folder: Path, old: Manifest, new: Manifest) -> None:
    """Raises NonesuchError, naming the first difference, unless both describe the same dataset."""
    for part in ("options", "generator", "render"):
        if key := _first_difference(part, old, new):
            before, now = ((getattr(manifest, part) or {}).get(key) for manifest in (old, new))
            raise NonesuchError(
                f"{folder}: made with {key.replace('_', ' ')} {before}, not {now}; "
                "repeat its options to resume, or name another folder"
            )


def have_one_plan(old: Manifest, new: Manifest) -> bool:
    """Whether both describe the same plan; they may differ in how it is rendered."""
    return not any(_first_difference(part, old, new) for part in ("options", "generator"))


def _first_difference(part: str, old: Manifest, new: Manifest) -> str:
    before, now = getattr(old, part) or {}, getattr(new, part) or {}
    return next((key for key in sorted(set(before) | set(now)) if before.get(key) != now.get(key)), "")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a second process out of a dataset folder, and clear what a killed one left half-written.

    Raises:
        NonesuchError: another process is working there, or the folder cannot be written.
    """
    with locks.exclusive(folder, *_WRITTEN):
        yield


@contextlib.contextmanager
def locked_briefly(folder: Path) -> Iterator[bool]:
    """Keep others from planning, completing or changing a dataset inside the block; those that render it go on.

    A process that plans it is waited for. Yields whether the file system has locks; errors as `locked`.
    """
    with locks.briefly(folder, *_WRITTEN, waits=lambda: not is_dataset(folder)) as has_locks:
        yield has_locks


@contextlib.contextmanager
def rendered_together(folder: Path) -> Iterator[tuple[Manifest, bool]]:
    """Inside the block a dataset's plan stays as it is, and other processes may render it beside this one.

    Yields the manifest, and whether the file system has locks.

    Raises:
        NonesuchError: no dataset or a damaged one, another plan than the manifest's, or another command at work there.
    """
    with contextlib.ExitStack() as held:
        with locked_briefly(folder) as has_locks:
            manifest = read(folder)
            if has_locks:
                held.enter_context(locks.present(folder))
        check_plan(folder, manifest)
        yield manifest, has_locks
