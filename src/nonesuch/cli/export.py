"""The command that writes datasets in formats that others read."""

from pathlib import Path

import click

from nonesuch.cli import options
from nonesuch.dataset.export_dataset import FORMAT, export_dataset
from nonesuch.loop.progress import progress_bar


@click.command(cls=options.SectionedCommand)
@click.argument("dataset", type=options.PATH)
@click.argument("out", type=options.PATH)
@click.option(
    "--format",
    type=click.Choice(FORMAT.words),
    required=True,
    help="A folder per identity; insightface's train.rec; LMDB of (image, label); tar shards; or Parquet as Hugging "
    "Face's datasets have it.",
)
@options.label
def export(dataset: Path, out: Path, format: str, label: str | None) -> None:
    """Write the images of DATASET, and whose they are, into the folder OUT in a format that others read.

    DATASET is a dataset of nonesuch or any other source of images. Each image keeps its bytes and its place in the
    order. Classes are numbered from 0 in order of identity. A notice says what the format cannot hold. OUT appears
    whole or not at all, and every command reads it.

    \b
    Examples:
      nonesuch export faces faces_recordio --format recordio
      nonesuch export photographs/ faces_hf --format parquet
    """
    with progress_bar() as bar:
        made = export_dataset(dataset, out, format=format, label=label, on_progress=bar)
    click.echo(f"{made.place}: {made.identities:,} identities, {made.images:,} images")
    if made.shows_real_people:
        click.echo(made.description)
