"""The commands of the text-image model."""

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from nonesuch.cli import options
from nonesuch.cli.options import section
from nonesuch.flip.presets import FLIP_RECIPES
from nonesuch.flip.pretraining import POSITIVES
from nonesuch.language.search_faces import search_faces
from nonesuch.language.train_flip import train_flip
from nonesuch.loop.progress import progress_bar

_SHOWN = 10  # images that are named on the terminal


@click.group(invoke_without_command=True)
@click.pass_context
def flip(ctx: click.Context) -> None:
    """Train models that put faces and words in one space.

    \b
    Example:
      nonesuch flip train run --data faces
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@flip.command(cls=options.SectionedCommand)
@click.argument("out", type=options.PATH)
@section(
    "What it learns from",
    options.data("Dataset with captions, or folder, tar or LMDB set"),
    click.option(
        "--captions",
        type=options.PATH,
        multiple=True,
        help="Table of 'nonesuch caption --out' about images of --data that are no dataset; repeatable.",
    ),
    click.option(
        "--grammar",
        multiple=True,
        default=("english", "everyday"),
        show_default=True,
        help="Says the facts of an image anew each time it is seen; of several, one is drawn. Repeatable.",
    ),
    click.option("--as-written", is_flag=True, help="Learn from the captions as they are; --grammar plays no part."),
    options.exclude,
    options.allow_unknown,
)
@section(
    "Network and loss",
    click.option(
        "--preset", type=click.Choice(sorted(FLIP_RECIPES)), default="flip_small", show_default=True, help="Recipe."
    ),
    click.option(
        "--positives",
        type=click.Choice(POSITIVES),
        default="facts",
        show_default=True,
        help="Texts that count as true of an image: those whose facts all hold, equal ones, or its own alone.",
    ),
    click.option(
        "--vocabulary", type=options.PATH, help="Tokens, one a line, in BERT's form.  [default: learned from the texts]"
    ),
)
@options.schedule()
@options.card
@options.work
def train(**given: Any) -> None:
    """Train FLIP on images and what is said of them, into the folder OUT.

    Two encoders learn to put an image and its caption close to each other, and a third part to tell whether they belong
    together. `flip_small` looks through the feature maps of the shipped embedder; `flip_base` has the published sizes
    and sees pixels. Where a table beside the images has a column `split`, only its rows `train` are used. The same
    command resumes after an interruption.

    \b
    Examples:
      nonesuch flip train run --data faces
      nonesuch caption celeba112.tar --labels celeba112.csv.gz --grammar everyday --out celeba.parquet
      nonesuch flip train run --data celeba112.tar --captions celeba.parquet --data faces
    """
    with progress_bar() as bar:
        trained = train_flip(on_progress=bar, **given)
    path = trained.weights
    options.say(f"{path}: trained on {trained.images_seen:,} images; use it: nonesuch search IN QUERY --model {path}")


@click.command(cls=options.SectionedCommand)
@click.argument("source", metavar="IN", type=options.PATH)
@click.argument("query", default="")
@section(
    "What is sought",
    click.option("--like", type=options.PATH, help="An image that the found ones are to look like."),
    click.option(
        "--text-share",
        type=click.FloatRange(0, 1),
        default=0.5,
        show_default=True,
        help="Weight of QUERY where there is --like too.",
    ),
    click.option("--top", type=click.IntRange(1), default=20, show_default=True, help="Images to find."),
)
@section(
    "Results",
    click.option("--out", type=options.PATH, help="Contact sheet to write (PNG), the best image first."),
    click.option("--json", type=options.PATH, help="File for the images in order, with their scores."),
)
@section(
    "The work",
    click.option(
        "--cache",
        type=options.PATH,
        default="search_cache",
        show_default=True,
        help="Folder for the vectors of images that are no dataset of nonesuch.",
    ),
    click.option("--model", default="flip_small", show_default=True, help="The text-image model, by name or file."),
    options.device,
    options.dtype,
)
def search(source: Path, query: str, **given: Any) -> None:
    """Find the images of IN that QUERY describes, those that look like an image, or both.

    IN is a dataset, an image, a folder, a tar or an LMDB set. Vectors of its images are made once and kept beside the
    shards of a dataset, otherwise in the cache. QUERY is English and speaks of what captions speak of: age, hair,
    glasses, hats, beards, smiles, where the face is turned. The scores are cosines, which compare images, and say
    nothing about how sure the model is.

    \b
    Examples:
      nonesuch search faces "a young woman with glasses, smiling" --out found.png
      nonesuch search holiday/ "man in a hat" --top 5 --json found.json
      nonesuch search faces "with a beard" --like me.jpg
    """
    with progress_bar() as bar:
        found = search_faces(source, query, on_progress=bar, **given)
    table = Table("rank", "file", "identity", "score")
    for hit in found.hits[:_SHOWN]:
        table.add_row(str(hit.rank), hit.file, hit.identity, f"{hit.score:.3f}")
    options.print_table(table)
    more = f"; {len(found.hits) - _SHOWN} more in --json or --out" if len(found.hits) > _SHOWN else ""
    faceless = f"; {found.faceless:,} show no face" if found.faceless else ""
    click.echo(f"the best of {found.images:,} images{faceless}{more}")
    if found.strange:
        click.echo(f"words that the model does not know: {', '.join(found.strange)}")
    if found.sheet:
        click.echo(f"{found.sheet}: the images")
