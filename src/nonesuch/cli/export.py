"""The command that writes datasets in formats that others read."""

from pathlib import Path

import click

from nonesuch.cli import options
from nonesuch.dataset.export_dataset import FORMAT, export_dataset
from nonesuch.dataset.verification_pairs import STEP
from nonesuch.loop.progress import progress_bar


@click.command(cls=options.SectionedCommand)
@click.argument("dataset", type=options.PATH)
@click.argument("out", type=options.PATH)
@click.option(
    "--format",
    type=click.Choice(FORMAT.words),
    required=True,
    help="A folder per identity; insightface's train.rec; LMDB of (image, label); tar shards; Parquet as Hugging "
    "Face's datasets have it; or insightface's verification set, OUT/pairs.bin.",
)
@options.label
@click.option("--pairs", type=click.IntRange(STEP), help="For bin: how many, a multiple of 20.  [default: 6000]")
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="For bin: which pairs are drawn."
)
def export(dataset: Path, out: Path, format: str, label: str | None, pairs: int | None, seed: int) -> None:
    """Write the images of DATASET, and whose they are, into the folder OUT in a format that others read.

    DATASET is a dataset of nonesuch or any other source of images. Each image keeps its bytes and its place in the
    order. Classes are numbered from 0 in order of identity. A notice says what the format cannot hold. OUT appears
    whole or not at all, and every command reads it (of bin OUT/pairs.bin).

    bin holds pairs of aligned 112x112 crops: ten folds that share no identity, half of each mated, drawn from the seed.
    'nonesuch evaluate --data OUT/pairs.bin' tests an embedder on them. OUT/pairs.csv says whose images they are.

    \b
    Examples:
      nonesuch export faces faces_recordio --format recordio
      nonesuch export photographs/ faces_hf --format parquet
      nonesuch export held_out held_out_pairs --format bin --pairs 3000
    """
    with progress_bar() as bar:
        made = export_dataset(dataset, out, format=format, label=label, pairs=pairs, seed=seed, on_progress=bar)
    click.echo(f"{made.place}: {made.identities:,} identities, {made.images:,} images")
    if made.shows_real_people:
        click.echo(made.description)
