"""Where the images of a dataset come from, and what follows from that: who may be shown, and under which licence."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.formats import manifest as manifests
from nonesuch.formats import relabelling
from nonesuch.formats.manifest import MANIFEST, NO_ONE, UNKNOWN_ORIGIN, Manifest, Part

_NOT_STATED = "not stated"
_SOME_REAL = "Images of several origins, some of which show REAL PEOPLE. Treat them as personal data."
_SOME_UNKNOWN = "Images of several origins, some not known: they MAY SHOW REAL PEOPLE. Treat them as personal data."


def parts_of(folder: Path, manifest: Manifest) -> list[Part]:
    """What a dataset's images come from, as parts of a new dataset: itself where it was generated, or its own parts."""
    if not manifest.made_from:
        return [_one_part(folder, manifest)]
    step: manifests.Step = {"manifest_sha256": files.sha256(folder / MANIFEST), "options": manifest.options}
    return [{**part, "through": [*part["through"], step]} for part in manifest.made_from]


def imported_part(source: Path, licence: str | None) -> Part:
    """A source of images as the part of a dataset.

    Who is shown is known only of a dataset of ours, also of one that was cleaned since.
    """
    at = source
    # A table that is no manifest of 'nonesuch clean' holds the images itself.
    with contextlib.suppress(NonesuchError):
        for cleaned in relabelling.chain(source):
            at = relabelling.source_of(cleaned)
    if manifests.is_dataset(at):
        part = _one_part(at, manifests.read(at))
        return {**part, "licence": licence or part["licence"]}
    return {
        "name": source.resolve().name,
        "manifest_sha256": "",
        "description": UNKNOWN_ORIGIN,
        "shows_real_people": None,
        "licence": licence or _NOT_STATED,
        "generator": None,
        "options": {},
        "identities": 0,
        "images": 0,
        "through": [],
    }


def _one_part(folder: Path, manifest: Manifest) -> Part:
    return {
        "name": folder.resolve().name,
        "manifest_sha256": files.sha256(folder / MANIFEST),
        "description": manifest.description,
        "shows_real_people": manifest.shows_real_people,
        "licence": manifest.licence,
        "generator": manifest.generator,
        "options": manifest.options,
        "identities": manifest.identities,
        "images": manifest.images,
        "through": [],
    }


def draft(parts: Sequence[Part], options: dict[str, Any], render: dict[str, Any]) -> Manifest:
    """The manifest of a dataset of these parts that holds nothing yet."""
    empty = Manifest(
        description="",
        shows_real_people=True,
        identities=0,
        images=0,
        options=options,
        generator=None,
        render=render,
        licence="",
        plan_sha256="",
        identities_sha256="",
    )
    return with_parts(empty, parts)


def with_parts(manifest: Manifest, parts: Sequence[Part]) -> Manifest:
    """The manifest with these parts, and with what they say together about people and licence.

    No one is shown only where that is known of every part that has images.
    """
    told = [part for part in parts if part["images"]] or list(parts)
    descriptions = list(dict.fromkeys(part["description"] for part in told))
    if all(part["shows_real_people"] is False for part in told):
        description = NO_ONE
    elif len(descriptions) == 1:
        description = descriptions[0]
    else:
        description = _SOME_REAL if any(part["shows_real_people"] for part in told) else _SOME_UNKNOWN
    return replace(
        manifest,
        description=description,
        shows_real_people=any(part["shows_real_people"] is not False for part in told),
        licence="; ".join(dict.fromkeys(part["licence"] for part in told)),
        made_from=list(parts),
    )
