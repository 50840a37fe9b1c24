"""The command that releases a dataset."""

from pathlib import Path
from typing import Any

import click

from nonesuch.cli import options
from nonesuch.dataset.release.audited import counted
from nonesuch.dataset.release.release_dataset import release_dataset
from nonesuch.loop.progress import progress_bar


@click.command(cls=options.SectionedCommand)
@click.argument("dataset", type=options.PATH)
@click.option("--audit", type=options.PATH, help="Folder of an audit of DATASET; its verdict goes into the documents.")
@click.option(
    "--licence",
    help="Licence to release it under, such as CC-BY-4.0; refused where it drops a term of what went in.  [default: "
    "these terms]",
)
@click.option("--name", help="Name of the dataset.  [default: its folder's]")
@click.option("--creator", multiple=True, help="Who made it; repeatable.")
@click.option("--url", default="", help="Where it is published.")
def release(dataset: Path, **chosen: Any) -> None:
    """Write into DATASET the documents that it needs to be published.

    README.md is a Hugging Face dataset card. croissant.json is Croissant 1.1 metadata: files, records, and provenance
    from seed, weights and plan to the hash of each shard. datasheet.md has the headings of the EU AI Act's Annex IV,
    point 2(d); LICENSE.md is the licence ledger. release.json holds the hash of every file, which 'nonesuch verify'
    checks. Terms that contradict each other are refused.

    \b
    Examples:
      nonesuch release faces --audit faces-audit --creator "Ada Lovelace"
      nonesuch release faces --licence "non-commercial research only" --url https://example.org/faces
    """
    with progress_bar() as bar:
        made = release_dataset(dataset, **chosen, on_progress=bar)
    for path in made.written:
        click.echo(f"{path}: written")
    verdict = made.release.verdict
    click.echo(f"licence: {made.release.licence}")
    click.echo(f"audit: {'not audited' if verdict is None else counted(verdict)}")
    click.echo(f"{len(made.release.files)} files hashed; 'nonesuch verify {dataset}' checks them")
