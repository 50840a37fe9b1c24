"""Croissant 1.1: a dataset's files, records and provenance as JSON-LD, for machines.

Source: the Croissant Format Specification 1.1 (MLCommons, 2026) with its RAI vocabulary 1.0 and W3C's PROV-O. The
joined record set is written in the form that mlcroissant 1.1 reads.
"""

import base64
import re
from collections.abc import Iterator
from typing import Any

from nonesuch.core.images import CODECS
from nonesuch.dataset.release.facts import Facts
from nonesuch.dataset.release.licences import NOT_RECORDED, spdx
from nonesuch.dataset.release.record import Release
from nonesuch.formats.manifest import MANIFEST
from nonesuch.formats.plan import IDENTITIES, PLAN

VERSION_1_1, RAI_1_0 = "http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"
_TAR, _PARQUET = "application/x-tar", "application/x-parquet"
_ENCODINGS = {".tar": _TAR, ".parquet": _PARQUET, ".json": "application/json", ".png": "image/png"}
_GENERATION = "generation"
_COLUMNS = (  # of an index: name, type, description
    ("key", "sc:Text", "Name of the image in its shard, without its suffix."),
    ("label", "cr:Int64", "The identity that the image shows."),
    ("image", "cr:Int32", "Number of the image among those of its identity."),
    ("seed", "cr:UInt64", "Seed of all that is random in the image."),
    ("sigma", "cr:Float32", "How far its vector was moved from its identity's."),
)
# The context of the specification's appendix 1, with PROV-O and the terms that mlcroissant expects beside it.
_TERMS = (
    "annotation", "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "excludes", "extract", "field",
    "fileObject", "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5",
    "parentField", "path", "readLines", "recordSet", "references", "regex", "repeated", "replace", "samplingRate",
    "sdVersion", "separator", "source", "subField", "transform", "unArchive", "value",
)  # fmt: skip
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{term: f"cr:{term}" for term in _TERMS},
}


def croissant(facts: Facts, release: Release) -> dict[str, Any]:
    """The metadata of a dataset, ready for JSON; the same for the same dataset and release.

    Args:
        facts: of the dataset.
        release: without the files that are still to be written.
    """
    spdx_name = spdx(release.licence)
    licence: Any = {"@type": "sc:CreativeWork", "name": release.licence, "url": "LICENSE.md"}
    name = release.name
    creators = [{"@type": "sc:Organization", "name": creator} for creator in release.creators or [NOT_RECORDED]]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": f"{facts.description} {facts.images:,} images of {facts.identities:,} identities.",
        "conformsTo": [VERSION_1_1, RAI_1_0],
        "license": f"https://spdx.org/licenses/{spdx_name}.html" if spdx_name else licence,
        "url": release.url or _named_by_hash(release.files[MANIFEST].sha256),
        "creator": creators,
        "dateCreated": facts.created,
        "datePublished": facts.created,
        "version": "1.0.0",
        "citeAs": f"{' and '.join(release.creators) or 'Creators not recorded'}: {name}, {facts.created[:4]}. "
        f"SHA-256 of {MANIFEST}: {release.files[MANIFEST].sha256}",
        "keywords": facts.tags,
        **_responsible(facts, release),
        "prov:wasGeneratedBy": _activity(facts),
        "distribution": [*_file_objects(facts, release), *_file_sets(facts)],
        "recordSet": _record_sets(facts),
    }


def _named_by_hash(sha256: str) -> str:
    """A name by content where no address is stated, as RFC 6920 has it."""
    return "ni:///sha-256;" + base64.urlsafe_b64encode(bytes.fromhex(sha256)).decode().rstrip("=")


def _responsible(facts: Facts, release: Release) -> dict[str, Any]:
    verdict = "Not audited." if release.verdict is None else f"Audited ({release.verdict.compared}); see README.md."
    return {
        "rai:dataCollection": facts.how_made,
        "rai:dataCollectionType": ["Others" if facts.synthetic else NOT_RECORDED],
        "rai:dataAnnotationProtocol": [facts.how_labelled],
        "rai:dataManipulationProtocol": facts.how_cleaned,
        "rai:dataLimitations": facts.limits,
        "rai:dataBiases": [f"Balance of age, gender and ethnicity: as the audit measured it. {verdict}"],
        "rai:dataUseCases": ["Training and testing of face recognition, within the licence."],
        "rai:personalSensitiveInformation": [facts.description],
        "rai:dataSocialImpact": NOT_RECORDED,
        "rai:dataReleaseMaintenancePlan": NOT_RECORDED,
    }


def _activity(facts: Facts) -> dict[str, Any]:
    """What made the shards, out of what."""
    used: list[dict[str, Any]] = [{"@id": PLAN}, {"@id": IDENTITIES}]
    for kind, name, sha256 in facts.inputs:
        used.append({
            "@id": f"{re.sub(r'[^A-Za-z0-9._-]+', '-', f'{kind} {name}'.strip())}-{sha256[:12]}",  # takes no spaces
            "@type": ["prov:Entity", "sc:MediaObject"],
            "prov:label": f"{kind}: {name}",
            "sha256": sha256,
        })  # fmt: skip
    if facts.seed is not None:
        used.append({"@id": "seed", "@type": "prov:Entity", "prov:label": "seed", "prov:value": facts.seed})
    software = [f"{name} {version}" for name, version in facts.versions.items()]
    return {
        "@id": _GENERATION,
        "@type": "prov:Activity",
        "prov:label": facts.made_by,
        "prov:used": used,
        "prov:wasAssociatedWith": {"@type": "prov:SoftwareAgent", "@id": "software", "prov:label": ", ".join(software)},
    }


def _file_objects(facts: Facts, release: Release) -> Iterator[dict[str, Any]]:
    """A file object for each file but columns, which are file sets; shards name what made them."""
    for place, file in release.files.items():
        if place.startswith("columns/"):
            continue
        made = {"prov:wasGeneratedBy": {"@id": _GENERATION}} if place in facts.shards else {}
        yield {
            "@type": "cr:FileObject",
            "@id": place,
            "name": place,
            "contentUrl": place,
            "contentSize": f"{file.size} B",
            "encodingFormat": _ENCODINGS[place[place.rindex(".") :]],
            "sha256": file.sha256,
            **made,
        }


def _file_sets(facts: Facts) -> Iterator[dict[str, Any]]:
    yield {
        "@type": "cr:FileSet",
        "@id": "image-files",
        "description": "The images, inside the shards: a folder per identity.",
        "containedIn": [{"@id": place} for place in facts.shards],
        "encodingFormat": f"image/{facts.codec}",
        "includes": f"*/*{CODECS[facts.codec]}",
    }
    yield _parquet_set("indices", "shards/*.parquet", "An index per shard: a row per image.")
    for group in facts.columns:
        yield _parquet_set(f"columns-{group}", f"columns/{group}/*.parquet", f"Columns '{group}': a row per image.")


def _parquet_set(name: str, pattern: str, description: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "description": description,
        "encodingFormat": _PARQUET,
        "includes": pattern,
    }


def _record_sets(facts: Facts) -> list[dict[str, Any]]:
    """The rows of the indices, and the images joined with them by their keys."""
    index = [
        _field("index", name, kind, told, {"fileSet": {"@id": "indices"}, "extract": {"column": name}})
        for name, kind, told in _COLUMNS
    ]
    key = {
        "fileSet": {"@id": "image-files"},
        "extract": {"fileProperty": "fullpath"},
        # Readers apply it to both sides of the join: to a file's name, and to a key without suffix.
        "transform": {"regex": rf"^(?:.*/)?([0-9]+/[0-9]+)(?:\{CODECS[facts.codec]})?$"},
    }
    pixels = {"fileSet": {"@id": "image-files"}, "extract": {"fileProperty": "content"}}
    joined = [
        _field("images", "key", "sc:Text", _COLUMNS[0][2], key) | {"references": {"field": {"@id": "index/key"}}},
        _field("images", "image", "sc:ImageObject", "The image.", pixels),
    ]
    for name, kind, told in _COLUMNS[1:]:
        types: Any = [kind, "cr:Label"] if name == "label" else kind
        called = "number" if name == "image" else name
        joined.append(_field("images", called, types, told, {"field": {"@id": f"index/{name}"}}))
    return [_record_set("index", index), _record_set("images", joined)]


def _field(record_set: str, name: str, kind: Any, description: str, source: dict[str, Any]) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{record_set}/{name}",
        "name": name,
        "description": description,
        "dataType": kind,
        "source": source,
    }


def _record_set(name: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "key": {"@id": f"{name}/key"}, "field": fields}
