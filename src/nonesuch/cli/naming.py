"""The command that gives the names of captions to faces."""

from pathlib import Path
from typing import Any

import click

from nonesuch.cli import options
from nonesuch.cli.options import section
from nonesuch.language.naming.name_faces import METHOD, name_faces
from nonesuch.loop.progress import progress_bar
from nonesuch.measures.figure import SHARE


@click.command(cls=options.SectionedCommand)
@click.argument("records", type=options.PATH)
@section(
    "What is named, and how",
    click.option("--vectors", type=options.PATH, required=True, help="Table of the faces' vectors, from 'embed'."),
    click.option("--out", type=options.PATH, required=True, help="Folder to write; OUT/names.parquet is the result."),
    click.option(
        "--method",
        type=click.Choice(METHOD.words),
        default="both",
        show_default=True,
        help="secla learns from all records at once, secla-b from those of one face and one name first, em compares "
        "each face with the mean face of each name; both is secla with em.",
    ),
)
@section(
    "How long and how fast",
    click.option(
        "--epochs",
        type=click.FloatRange(0, min_open=True),
        help="Passes over the records, in each stage.  [default: as the recipe says]",
    ),
    click.option("--batch", type=click.IntRange(1), help="Records per step.  [default: the recipe's]"),
    options.lr,
)
@options.work
def name(records: Path, **chosen: Any) -> None:
    """Give the names of captions to the faces of their images, without a single label.

    RECORDS is a file of JSON lines, or Parquet with the same columns, an image each:

    \b
      image   its name; without `faces`, its faces are all that the vectors hold of this file
      names   the names of its caption, such as ["Ann Lee", "Bo Ek"]
      faces   for each face a file of the vectors (a crop), or its number in the image
      truth   for each face its name or null, where it is known: precision, recall and F1 are printed
      split   records of another split than train are named, but not learned from

    OUT/names.parquet says for each face which name of its caption is its own, or that none is. The same command
    resumes after an interruption.

    \b
    Example:
      nonesuch embed news/ --out vectors.parquet --face all
      nonesuch name records.jsonl --vectors vectors.parquet --out named
    """
    with progress_bar() as bar:
        found = name_faces(records, **chosen, on_progress=bar)
    click.echo(
        f"{found.table}: {found.named:,} of {found.faces:,} faces of {found.images:,} images have a name; learned from "
        f"{found.learned_from:,} records"
    )
    if (figures := found.figures) is not None:
        what = "held-out records" if found.held_out else "records, all learned from"
        click.echo(f"of {figures.records:,} {what}, whose truth is known:")
        shown = {"precision": figures.precision, "recall": figures.recall, "F1": figures.f1}
        for title, figure in (shown | {"faces named rightly": figures.faces_right}).items():
            click.echo(f"  {title}: {SHARE.written(figure)}")
