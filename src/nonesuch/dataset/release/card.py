"""The dataset card (README.md, as Hugging Face reads it), and the licence ledger in words (LICENSE.md)."""

import json
import re
from collections.abc import Iterable, Sequence

from nonesuch.dataset.release.audited import counted
from nonesuch.dataset.release.facts import Facts
from nonesuch.dataset.release.ledger import Entry, unchecked
from nonesuch.dataset.release.licences import NOT_RECORDED, on_the_hub
from nonesuch.dataset.release.record import CROISSANT, DATASHEET, LEDGER, Release, Verdict
from nonesuch.formats.manifest import MANIFEST

_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
_LARGEST = "10M<n<100M"


def card(facts: Facts, release: Release) -> str:
    """The card of a released dataset."""
    return "\n\n".join(
        part.strip()
        for part in (
            _front_matter(facts, release),
            f"# {release.name}",
            facts.description,
            "![The first identities, a row each](contact_sheet.png)" if facts.contact_sheet else "",
            _contents(facts),
            _how_made(facts, release),
            _audit(release.verdict),
            _how_to_verify(release),
            _limits(facts),
            f"## Licence\n{release.licence}. {stated_by(release)} What went in, with its terms: [{LEDGER}]({LEDGER}).",
            f"## Documents\n[{DATASHEET}]({DATASHEET}), [{CROISSANT}]({CROISSANT}), [{MANIFEST}]({MANIFEST}).",
        )
        if part
    ) + "\n"  # fmt: skip


def stated_by(release: Release) -> str:
    """Where the licence comes from, in words."""
    if release.stated:
        return "So stated by whoever released it, and checked against the known terms of what went in."
    return "These are the terms of what went in."


def _front_matter(facts: Facts, release: Release) -> str:
    hub = on_the_hub(release.licence)
    lines = ["---", f"license: {hub}"]
    if hub == "other":
        slug = re.sub(r"\([^)]*\)|[^a-z0-9]+", "-", release.licence.lower()).strip("-")
        lines += [f"license_name: {_text(slug)}", f"license_link: {LEDGER}"]
    size = next((name for most, name in _SIZES if facts.images < most), _LARGEST)
    lines += [
        f"pretty_name: {_text(release.name)}",
        *_list("task_categories", ("image-classification", "image-feature-extraction")),
        *_list("size_categories", (size,)),
        *_list("tags", facts.tags),
        # All configurations of a repository are read by one loader there, so the Parquet files get none.
        "configs:",
        "- config_name: images",
        "  data_files:",
        "  - split: train",
        '    path: "shards/*.tar"',
        "---",
    ]
    return "\n".join(lines)


def _text(value: str) -> str:
    """A text as YAML, which takes JSON's."""
    return json.dumps(value)


def _list(key: str, values: Sequence[str]) -> list[str]:
    return [f"{key}:", *(f"- {_text(value)}" for value in values)]


def _rows(rows: Iterable[Iterable[str]]) -> str:
    """Rows of a table, each on a line of its own."""
    return "".join(f"\n| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)


def _contents(facts: Facts) -> str:
    return f"""## What it holds
{facts.images:,} images of {facts.identities:,} identities in {len(facts.shards):,} shards:

- `shards/*.tar`: `IDENTITY/IMAGE{".jpg" if facts.codec == "jpeg" else ".png"}` and its label `.cls`, a WebDataset;
- `shards/*.parquet`: an index per shard with key, label, image, seed, sigma, place and SHA-256 of each image;
- `plan.parquet`, `identities.parquet`: every image before it was made, and the identities' vectors;
- columns: {", ".join(facts.columns) or "none"}.

```python
import datasets

images = datasets.load_dataset("FOLDER", split="train")
index = datasets.load_dataset("parquet", data_files="FOLDER/shards/*.parquet", split="train")
```
"""


def _how_made(facts: Facts, release: Release) -> str:
    marked = {
        True: "Each image's file says in XMP that it is synthetic (IPTC digital source type trainedAlgorithmicMedia).",
        False: "The images' files do not say that they are synthetic.",
    }
    inputs = _rows(facts.inputs)
    software = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    creators = ", ".join(release.creators) or NOT_RECORDED
    return f"""## How it was made
{facts.how_made} {marked[facts.marked] if facts.synthetic else ""}

| made from | name | SHA-256 |
|---|---|---|{inputs}

Creators: {creators}. Seed: {NOT_RECORDED if facts.seed is None else facts.seed}. Made: {facts.created}.
Software: {software}.
"""


def _audit(verdict: Verdict | None) -> str:
    if verdict is None:
        return "## Audit\n**Not audited.** Nothing is known about what the images are worth."
    rows = _rows([light[key] for key in ("colour", "about", "by", "told")] for light in verdict.lights)
    judges = ", ".join(f"{name} (SHA-256 {sha256[:12]})" for name, sha256 in verdict.embedders.items())
    return f"""## Audit
{counted(verdict)}. By nonesuch {verdict.nonesuch} with {judges}, {verdict.compared}. SHA-256 of its `audit.json`:
{verdict.audit_sha256}.

| light | about | by | figures |
|---|---|---|---|{rows}
"""


def _how_to_verify(release: Release) -> str:
    return f"""## How to verify it
`nonesuch verify FOLDER` checks every hash, count and label, and every file that `release.json` names. Without nonesuch,
compare the SHA-256 of each file with `release.json` or `{CROISSANT}`; SHA-256 of `{MANIFEST}`:
{release.files[MANIFEST].sha256}.

Whoever changes all of these together is not found out: compare this hash, or that of `release.json`, with one from a
place that you trust."""


def _limits(facts: Facts) -> str:
    return "## Limits\n" + "\n".join(f"- {limit}" for limit in facts.limits)


def licence_ledger(release: Release) -> str:
    """LICENSE.md: the licence, and what went in."""
    rows = _rows((entry.what, entry.name, entry.licence, entry.family, entry.sha256 or "-") for entry in release.ledger)
    open_points = unchecked(release.ledger)
    unknown = (
        f"Terms that are not known, so that nothing is said about them: {_called(open_points)}."
        if open_points
        else "All of these terms are known, and no two contradict each other."
    )
    return f"""# Licence of {release.name}
{release.licence}

{stated_by(release)} `LICENSE-WEIGHTS.md`, where it is named, comes with nonesuch. This ledger is no legal advice.

## What went in
| part | name | licence as stated | family | SHA-256 |
|---|---|---|---|---|{rows}

{unknown}

## What these were trained on
{_trained_on(release.ledger)}
"""


def _called(entries: Sequence[Entry]) -> str:
    return ", ".join(f"{entry.what} {entry.name}".strip() for entry in entries)


def _trained_on(entries: Sequence[Entry]) -> str:
    told = {entry.name: entry.training_data for entry in entries if entry.training_data}
    return "\n".join(f"- {name}: {data}" for name, data in told.items()) or NOT_RECORDED
