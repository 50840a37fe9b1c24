"""The commands that exchange captions with others."""

from pathlib import Path
from typing import Any

import click

from nonesuch.captions.exchange import export_captions as exporting
from nonesuch.captions.exchange import import_captions as importing
from nonesuch.cli import options
from nonesuch.loop.progress import progress_bar

_names = click.option(
    "--names", metavar="COLUMN=OTHER,...", help="Other spellings of columns, such as url=URL,face_caption=caption."
)


@click.command("export-captions", cls=options.SectionedCommand)
@click.argument("source", metavar="IN", type=options.PATH)
@click.option("--out", type=options.PATH, required=True, help="File to write; a folder for webdataset.")
@click.option(
    "--form",
    type=click.Choice(exporting.FORM.words),
    default="facecaption",
    show_default=True,
    help="Parquet as in FaceCaption-15M, JSON lines as in FaceID-6M, or tars of images with captions.",
)
@_names
def export_captions(source: Path, **chosen: Any) -> None:
    """Write captions in a form that others read.

    IN is a dataset that has captions, or the table that `caption --out` wrote. The form webdataset needs a dataset:
    each shard becomes a tar with the images, their labels and their captions, without images that have no caption. In
    the other two every image has its row, in the order of IN.

    \b
    Examples:
      nonesuch export-captions faces --out captions.parquet
      nonesuch export-captions faces --out captions.jsonl --form faceid
      nonesuch export-captions faces --out captioned --form webdataset
    """
    with progress_bar() as bar:
        found = exporting.export_captions(source, **chosen, on_progress=bar)
    click.echo(f"{found.place}: {found.captioned:,} of {found.images:,} images have a caption")
    if chosen["form"] == "webdataset":
        click.echo(f"{found.files:,} tars, {found.written:,} of them written now")


@click.command("import-captions", cls=options.SectionedCommand)
@click.argument("table", metavar="IN", type=options.PATH)
@click.option("--out", type=options.PATH, required=True, help="Parquet table to write.")
@click.option(
    "--form",
    type=click.Choice(importing.FORM.words),
    help="Parquet as in FaceCaption-15M, or JSON lines as in FaceID-6M.  [default: as the content is]",
)
@_names
def import_captions(table: Path, **chosen: Any) -> None:
    """Take captions of others into a table as `caption --out` writes it, with the facts that can be read in them.

    IN is a Parquet file or a file of JSON lines. A caption is kept as it is; its facts are those of the sentences that
    the shipped English reader understands, or the one for CelebA-HQ's. Nothing is guessed of the others.

    \b
    Examples:
      nonesuch import-captions FaceCaption-v1.parquet --out captions.parquet
      nonesuch import-captions captions.jsonl --out captions.parquet --names additional_feature=caption
    """
    with progress_bar() as bar:
        found = importing.import_captions(table, **chosen, on_progress=bar)
    click.echo(f"{found.place}: {found.captioned:,} of {found.images:,} rows have a caption")
    click.echo(f"read wholly: {found.wholly:,}, partly: {found.partly:,}, not at all: {found.unread:,}")
    for sentence in found.not_read:
        click.echo(f"  not read: {sentence}")
