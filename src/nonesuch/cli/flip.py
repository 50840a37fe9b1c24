"""The commands of the text-image model."""

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from nonesuch.cli import options
from nonesuch.cli.options import section
from nonesuch.cli.torchrun import refuse_torchrun
from nonesuch.flip.presets import FLIP_RECIPES
from nonesuch.flip.pretraining import POSITIVES
from nonesuch.language.probe_attributes import ProbedAttributes, probe_attributes
from nonesuch.language.search_faces import search_faces
from nonesuch.language.sketches.evaluate_sketches import evaluate_sketches
from nonesuch.language.train_flip import train_flip
from nonesuch.loop.progress import progress_bar
from nonesuch.measures.early_retrieval import EarlyFigures
from nonesuch.perception.attributes import ATTRIBUTES

_SHOWN = 10  # images that are named on the terminal
_model = click.option("--model", default="flip_small", show_default=True, help="The text-image model, by name or file.")
_json = click.option("--json", type=options.PATH, help="File for the figures.")


@click.group(invoke_without_command=True)
@click.pass_context
def flip(ctx: click.Context) -> None:
    """Train models of faces and words, and measure them.

    \b
    Example:
      nonesuch flip train run --data faces
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    else:
        refuse_torchrun(f"flip {ctx.invoked_subcommand}")


@flip.command(cls=options.SectionedCommand)
@click.argument("out", type=options.PATH)
@section(
    "What it learns from",
    options.data("Dataset with captions, or folder or published set (tar, WebDataset, RecordIO, LMDB, Parquet)"),
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


@flip.command(cls=options.SectionedCommand)
@click.argument("source", metavar="TAR", type=options.PATH)
@section(
    "The linear layer",
    click.option(
        "--epochs", type=click.IntRange(1), default=100, show_default=True, help="Passes over the train part."
    ),
    click.option("--batch", type=click.IntRange(1), default=64, show_default=True, help="Photographs of a step."),
    click.option(
        "--lr", type=click.FloatRange(0, min_open=True), default=0.3, show_default=True, help="Rate at the start."
    ),
)
@section("Results", _json)
@section(
    "The work",
    _model,
    options.seed,
    options.device,
    options.dtype,
)
def attributes(source: Path, **given: Any) -> None:
    """Measure how much of CelebA's 40 attributes FLIP holds.

    The image encoder stays as it is; one linear layer over several of its layers is trained on the photographs of the
    split `train`, and measured on those of `test`. TAR holds aligned 112x112 faces; the table beside it has the columns
    `file`, `split` and the attributes by CelebA's names. The shipped perception heads stand beside it, and an answer
    that is always the more frequent one. The defaults are those published for CelebA; for LFWA they are --batch 128
    --lr 0.003.

    \b
    Example:
      nonesuch flip attributes celeba112.tar --json attributes.json
    """
    with progress_bar() as bar:
        found = probe_attributes(source, on_progress=bar, **given)
    options.print_table(_attribute_table(found))
    click.echo(f"trained on {found.trained:,} photographs, measured on {found.tested:,}; right answers, in percent")


def _attribute_table(found: ProbedAttributes) -> Table:
    table = Table("attribute", "linear layer", "balanced", "perception heads", "balanced", "always the usual")
    rows = {name: (found.probe[name], found.perceiver[name], found.usual[name]) for name in found.probe}
    means = found.means
    for name, parts in {**rows, "mean": (means["probe"], means["perceiver"], means["usual"])}.items():
        cells = [f"{100 * value:.1f}" for part in parts[:2] for value in part]
        table.add_row(
            name.replace("_", " "), *cells, f"{100 * parts[2].accuracy:.1f}", end_section=name == ATTRIBUTES[-1]
        )
    return table


@flip.command(cls=options.SectionedCommand)
@click.argument("source", type=options.PATH)
@section(
    "What is drawn and sought",
    click.option(
        "--captions", type=options.PATH, help="Table of 'nonesuch caption --out' with a caption of each image."
    ),
    _model,
    click.option(
        "--steps",
        type=click.IntRange(2, 1_000),
        default=20,
        show_default=True,
        help="Steps of a drawing; 70 in published figures.",
    ),
)
@section(
    "Results",
    _json,
    click.option("--out", type=options.PATH, help="Picture to write (PNG): some drawings, ranks and first finds."),
)
@options.work
def sketches(source: Path, **given: Any) -> None:
    """Measure how early a drawing finds its photograph.

    Drawings are simulated: lines of each photograph of SOURCE, drawn step by step, hair first and eyes last. The model
    stays as it is; two linear layers learn on the part `train`, and the part `test` is searched with each drawing at
    each step. The table beside SOURCE says in its column `split` which part an image is of.

    m@A is the mean of (n - r) / (n - 1) over all steps, for the rank r among n photographs, m@B that of 1 / r. Early
    steps count more in wm@A and wm@B. A@k is the share of finished drawings with a rank of at most k.

    \b
    Example:
      nonesuch flip sketches celeba112.tar --captions celeba.parquet --out drawings.png
    """
    with progress_bar() as bar:
        found = evaluate_sketches(source, on_progress=bar, **given)
    rows: dict[str, EarlyFigures | None] = {
        "chance": found.chance,
        "frozen encoder": found.frozen,
        "two linear layers": found.trained,
        "caption alone": found.captions,
        "drawing and caption": found.with_captions,
    }
    table = Table("simulated drawings", "m@A", "m@B", "wm@A", "wm@B", "A@1", "A@5", "A@10")
    for name, figures in rows.items():
        if figures is not None:
            areas = (figures.m_a, figures.m_b, figures.wm_a, figures.wm_b)
            finished = (f"{share:.1%}" for share in figures.finished.values())
            table.add_row(name, *(f"{area:.3f}" for area in areas), *finished)
    options.print_table(table)
    share = "" if found.caption_share is None else f"; the caption's share is {found.caption_share:g}"
    click.echo(
        f"{found.photographs:,} photographs of {found.people:,} people, {found.steps} steps; learned from "
        f"{found.learned_from:,} others{share}"
    )
    if found.sheet:
        click.echo(f"{found.sheet}: the drawings, the ranks, the first finds")


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
    _model,
    options.device,
    options.dtype,
)
def search(source: Path, query: str, **given: Any) -> None:
    """Find the images of IN that QUERY describes, those that look like an image, or both.

    IN is a dataset, an image, a folder, or a published set (tar, WebDataset, RecordIO, LMDB, Parquet). Vectors of its
    images are made once and kept beside the shards of a dataset, otherwise in the cache. QUERY is English and speaks of
    what captions speak of: age, hair, glasses, hats, beards, smiles, where the face is turned. The scores are cosines,
    which compare images, and say nothing about how sure the model is.

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
