"""The licence ledger: all that went into a dataset, with its terms, and whether one dataset can carry them all."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from nonesuch.core import files, parquet
from nonesuch.core.errors import NonesuchError
from nonesuch.core.weights import card_path
from nonesuch.dataset.release.licences import NO_DERIVATIVES, NOT_RECORDED, conflict, lost, read_terms, together
from nonesuch.formats.columns import MADE_BY
from nonesuch.models import ASSETS

_HASH = re.compile(r"\b[0-9a-f]{64}\b")
_OF_THE_DATASET = ("audit", "pixels", "steering")  # columns that no further weights made


@dataclass(frozen=True)
class Entry:
    """Something that went into a dataset.

    Attributes:
        what: its part, such as "generator".
        name: what it goes by.
        sha256: of its file; "" where it is no file, or not recorded.
        licence: its terms as they are stated.
        family: of the terms, as `nonesuch.dataset.release.licences` has them.
        source, training_data, limits: as its card has them, "" where nothing is known.
    """

    what: str
    name: str
    sha256: str
    licence: str
    family: str
    source: str = ""
    training_data: str = ""
    limits: str = ""

    @classmethod
    def of(cls, what: str, name: str, sha256: str, licence: str) -> "Entry":
        """An entry whose family is read from its licence."""
        return cls(what, name, sha256, licence, ", ".join(read_terms(licence).families))


@cache
def shipped_cards() -> dict[str, dict[str, Any]]:
    """The cards of the weights that ship with the package, and what is known of their statistics, by SHA-256."""
    found = {}
    for path in sorted(ASSETS.glob("*.safetensors")):
        card = card_path(path)
        owner = card if card.is_file() else path.with_name(f"{path.name.split('.')[0]}.json")
        told = files.read_json(owner)
        if card.is_file():
            found[told["sha256"]] = told
        else:  # statistics have the terms of their generator
            found[files.sha256(path)] = {"name": path.stem, "licence": told["licence"]}
    return found


def ledger(folder: Path, manifest: dict[str, Any]) -> list[Entry]:
    """What went into a dataset, each once, the generator first.

    Terms come from the manifest and from the cards of the weights that ship; of others nothing is known here, and the
    ledger says so.

    Args:
        folder: of the dataset.
        manifest: the content of its `dataset.json`.

    Raises:
        NonesuchError: a column's file is damaged.
    """
    made = [*_made_with(manifest), *_columns(folder)]
    return list({(entry.what, entry.name, entry.sha256): entry for entry in made}.values())


def _made_with(manifest: dict[str, Any], of: str = "") -> Iterator[Entry]:
    """What a generated dataset, or a part of one, was made with."""
    generator, options = manifest["generator"], manifest["options"]
    if generator is not None:
        yield _weights(f"generator{of}", generator["name"], generator["sha256"], generator["licence"])
        yield _weights(f"embedder of the vectors{of}", generator["embedder"], generator["embedder_sha256"])
    if sha256 := options.get("statistics_sha256"):
        yield _weights(f"identity statistics{of}", "statistics", sha256)
    if sha256 := options.get("vectors_sha256"):
        yield Entry.of(f"table of vectors{of}", "vectors", sha256, NOT_RECORDED)
    if sha256 := options.get("reference_sha256"):
        yield Entry.of(f"reference photographs{of}", "photographs of real people", sha256, NOT_RECORDED)
    perceivers = (options.get("steering", {}).get("perceiver_sha256"), options.get("min_age_perceiver_sha256"))
    for sha256 in filter(None, perceivers):
        yield _weights(f"perceiver{of}", "perceiver", sha256)
    for part in manifest.get("made_from", ()):
        if part["generator"] is None:
            yield Entry.of("source", part["name"], part["manifest_sha256"], part["licence"] or NOT_RECORDED)
        yield from _made_with(part, f" of {part['name']}")


def _columns(folder: Path) -> Iterator[Entry]:
    """The weights that made columns, as far as their files name them."""
    for group in sorted(path for path in (folder / "columns").glob("*") if path.is_dir()):
        if group.name in _OF_THE_DATASET or not (parts := sorted(group.glob("[0-9]*.parquet"))):
            continue
        if group.name == "captions":
            yield from (Entry.of("rewriter of captions", name, "", NOT_RECORDED) for name in _rewriters(group))
            yield Entry.of("captions", "grammar", "", NOT_RECORDED)
            continue
        for made_by in sorted({_made_by(part) for part in parts}):
            known = [sha256 for sha256 in _HASH.findall(made_by) if sha256 in shipped_cards()]
            if not known:
                yield Entry.of(f"columns {group.name}", NOT_RECORDED, "", NOT_RECORDED)
            for sha256 in known:
                yield _weights(f"columns {group.name}", "", sha256)


def _made_by(file: Path) -> str:
    try:
        return (parquet.read_schema(file).metadata or {}).get(MADE_BY, b"").decode()
    except parquet.UNREADABLE as error:
        raise NonesuchError(f"{file}: damaged; remove it and run the command that made it again") from error


def _rewriters(group: Path) -> list[str]:
    """The language models that captions name as their writers."""
    found: set[str] = set()
    for file in sorted(group.glob("[0-9]*.parquet")):
        try:
            found |= set(parquet.read_table(file, ["rewritten_by"])["rewritten_by"].unique().to_pylist())
        except parquet.UNREADABLE as error:
            raise NonesuchError(f"{file}: damaged; remove it and run the command that made it again") from error
    return sorted(name for name in found if name)


def _weights(what: str, name: str, sha256: str, licence: str = "") -> Entry:
    card = shipped_cards().get(sha256, {})
    entry = Entry.of(what, card.get("name", name), sha256, licence or card.get("licence", NOT_RECORDED))
    return replace(entry, **{key: card.get(key, "") for key in ("source", "training_data", "limits")})


def licence_of(name: str, entries: Sequence[Entry], stated: str, wished: str | None) -> str:
    """The licence that a dataset is released under.

    Args:
        name: of the dataset, for messages.
        entries: its ledger.
        stated: the licence of its images, as its manifest has it.
        wished: None for the terms of everything that went in.

    Raises:
        NonesuchError: two terms cannot be carried together, or the wished licence does not keep one; it names both.
    """
    terms = [(entry, read_terms(entry.licence)) for entry in entries]
    for number, (entry, its) in enumerate(terms):
        if NO_DERIVATIVES in its.demands:
            raise NonesuchError(
                f"{name}: cannot be released: {_called(entry)} is under {its.text}, which lets nobody share what is "
                f"made from it, and the dataset ({wished or stated}) is; make it without"
            )
        for other, others in terms[:number]:
            if why := conflict(others, its):
                raise NonesuchError(
                    f"{name}: cannot be released: {_called(other)} is under {others.text}, {_called(entry)} under "
                    f"{its.text}: {why}; make it without one of them"
                )
    if wished is None:
        parts = stated.split("; ")  # as a dataset of several parts joins theirs
        told = [text for text in (*parts, *(entry.licence for entry in entries)) if text not in ("", NOT_RECORDED)]
        return together(told) if told else NOT_RECORDED
    for called, its in [*((_called(entry), its) for entry, its in terms), ("the images", read_terms(stated))]:
        if why := lost(read_terms(wished), its):
            rest = "move the columns out of the folder" if called.startswith("columns") else "leave --licence out"
            raise NonesuchError(
                f"--licence {wished}: {called} under {its.text}: your licence {why}; name one that keeps its terms, "
                f"such as '{its.text}', or {rest}"
            )
    return wished


def unchecked(entries: Sequence[Entry]) -> list[Entry]:
    """Entries whose terms are not known, so that nothing can be said about them."""
    return [entry for entry in entries if not read_terms(entry.licence).known]


def _called(entry: Entry) -> str:
    return f"{entry.what} {entry.name}".strip()
