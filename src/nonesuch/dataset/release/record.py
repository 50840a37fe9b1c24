"""`release.json`: what was released, file by file, and what the release says of itself."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.core.version import VERSION
from nonesuch.dataset.release.ledger import Entry

RELEASE, CROISSANT = "release.json", "croissant.json"
CARD, DATASHEET, LEDGER = "README.md", "datasheet.md", "LICENSE.md"
WRITTEN = (CROISSANT, CARD, DATASHEET, LEDGER)  # beside release.json
FORMAT = 1


@dataclass(frozen=True)
class ReleasedFile:
    """A file of a release: its size in bytes and its SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Verdict:
    """What an audit said of the dataset.

    Attributes:
        audit_sha256: of its audit.json.
        nonesuch: the version that audited.
        embedders: names of those that judged, with their hashes.
        compared: how many photographs and people it was compared with and controlled by, in words.
        lights: `about`, `by`, `colour`, `told` and `rule` of each, in audit.json's order.
    """

    audit_sha256: str
    nonesuch: str
    embedders: dict[str, str]
    compared: str
    lights: list[dict[str, str]]


@dataclass(frozen=True, kw_only=True)
class Release:
    """The content of `release.json`; everything but `seal`, which is a hash of the rest.

    Attributes:
        name, url: of the dataset; the URL is "" where it is not stated.
        creators: who made it; empty where that is not stated.
        licence: of the dataset, as released.
        stated: whether whoever released it named that licence, instead of the terms of what went in.
        ledger: what went in, with its terms.
        verdict: the audit's; None where there was none.
        files: every file of the release but this one, by its place in the dataset.
        nonesuch: the version that wrote it.
        format: version of this layout.
    """

    name: str
    url: str
    creators: list[str]
    licence: str
    stated: bool
    ledger: list[Entry]
    verdict: Verdict | None
    files: dict[str, ReleasedFile]
    nonesuch: str = VERSION
    format: int = FORMAT

    def as_bytes(self) -> bytes:
        """The file's content, the same for the same release."""
        content = dataclasses.asdict(self)
        return _written(content | {"seal": _seal(content)})


def read(folder: Path) -> Release:
    """Read a dataset's `release.json`.

    Raises:
        NonesuchError: it is damaged, or was changed since it was written, or is of a newer format.
    """
    path = folder / RELEASE
    try:
        content = files.read_json(path)
    except NonesuchError as error:
        raise NonesuchError(f"{error}; remove it and run 'nonesuch release' again") from error
    if content.get("format") != FORMAT:
        raise NonesuchError(f"{path}: format {content.get('format')}, this version reads {FORMAT}; update nonesuch")
    seal = content.pop("seal", None)
    if seal != _seal(content) or path.read_bytes() != _written(content | {"seal": seal}):
        raise NonesuchError(f"{path}: changed since it was written; remove it and run 'nonesuch release' again")
    return files.typed(content, Release, f"{path}: damaged")


def hashed(path: Path) -> ReleasedFile:
    """Size and hash of a file; raises NonesuchError where it cannot be read."""
    try:
        return ReleasedFile(path.stat().st_size, files.sha256(path))
    except OSError as error:
        raise NonesuchError(f"{path}: not readable ({error.strerror or error})") from error


def of_bytes(data: bytes) -> ReleasedFile:
    """The same of a file that is yet to be written."""
    return ReleasedFile(len(data), hashlib.sha256(data).hexdigest())


def columns_in(folder: Path) -> Sequence[Path]:
    """The files of all columns, in order."""
    return sorted((folder / "columns").glob("*/[0-9]*.parquet"))


def _written(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def _seal(content: dict[str, Any]) -> str:
    return hashlib.sha256(_written(content)).hexdigest()
