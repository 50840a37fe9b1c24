"""The datasheet, with the headings of Regulation (EU) 2024/1689 (AI Act), Annex IV, point 2(d)."""

from typing import Any

from nonesuch.dataset.release.audited import counted
from nonesuch.dataset.release.card import stated_by
from nonesuch.dataset.release.facts import Facts
from nonesuch.dataset.release.licences import NOT_RECORDED
from nonesuch.dataset.release.record import CARD, LEDGER, Release


def datasheet(facts: Facts, release: Release) -> str:
    """The datasheet of a released dataset; what the dataset does not tell is called not recorded."""
    verdict = "not audited" if release.verdict is None else f"{counted(release.verdict)}; figures in {CARD}"
    inputs = "\n".join(f"- {kind} {name}: SHA-256 {sha256}" for kind, name, sha256 in facts.inputs) or NOT_RECORDED
    trained = {entry.name: entry for entry in release.ledger if entry.training_data or entry.source}
    models = "\n".join(
        f"- {name}: {entry.source or NOT_RECORDED}. Trained on: {entry.training_data or NOT_RECORDED}"
        for name, entry in trained.items()
    )
    quality = f", quality {_number(facts.render.get('quality'))}" if facts.codec == "jpeg" else ""
    return f"""# Datasheet of {release.name}
The headings are those of Regulation (EU) 2024/1689, Annex IV, point 2(d). This page was filled in from what the dataset
and its models record. It is not legal advice, and it does not show that any system meets the regulation.

## Training methodologies and techniques
Of systems that are trained on this dataset: {NOT_RECORDED}. Of the models that made it:

{models or NOT_RECORDED}

## General description of the data set
{facts.description} {facts.images:,} face images of {facts.identities:,} identities, labelled by identity.

## Provenance
{facts.how_made}

{inputs}

- seed: {NOT_RECORDED if facts.seed is None else facts.seed}
- made: {facts.created}, by {facts.made_by}
- creators: {", ".join(release.creators) or NOT_RECORDED}
- licence: {release.licence}. {stated_by(release)} See {LEDGER}.

## Scope and main characteristics
- intended purpose: {NOT_RECORDED}
- who is shown: {facts.description}
- images per identity: {_number(facts.options.get("images_per_identity"))}
- format of images: {facts.codec.upper()}{quality}
- places, times and populations that it stands for: {NOT_RECORDED}
- age, gender and ethnicity of those shown: {"columns perception" if "perception" in facts.columns else NOT_RECORDED}
- audit: {verdict}

## How the data was obtained and selected
{facts.how_made} Options, as recorded:

{_options(facts.options)}

## Labelling procedures
{facts.how_labelled}

## Data cleaning methodologies
{facts.how_cleaned}

## Known limits
{chr(10).join(f"- {limit}" for limit in facts.limits)}
"""


def _number(value: Any) -> str:
    return NOT_RECORDED if value is None else str(value)


def _options(options: dict[str, Any]) -> str:
    return "\n".join(f"- {key}: {value}" for key, value in options.items())
