"""The commands that put faces into words."""

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from nonesuch.captions.analysis.caption_lines import figure_sections
from nonesuch.captions.analysis.report_captions import report_captions
from nonesuch.captions.calibrate_captions import calibrate_captions
from nonesuch.captions.caption_faces import caption_faces
from nonesuch.captions.facts import NAMES
from nonesuch.captions.funnel import EVERY, FUNNEL
from nonesuch.captions.sentences import READERS
from nonesuch.captions.thresholds import PRECISIONS
from nonesuch.cli import options
from nonesuch.loop.progress import progress_bar
from nonesuch.pages.writers import MISSING


@click.command(cls=options.SectionedCommand)
@click.argument("source", metavar="IN", type=options.PATH)
@click.option("--out", type=options.PATH, help="Parquet table to write; without it, a dataset gets columns.")
@click.option(
    "--grammar", default="english", show_default=True, help="english, german, everyday, or a file written as these are."
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="0.9",
    show_default=True,
    help="A fact is said where statements like it are right in at least this share of labelled photographs.",
)
@click.option("--thresholds", type=options.PATH, help="What calibrate-captions wrote; needed for heads of your own.")
@click.option("--labels", type=options.PATH, help="Table with file or key and true values, which take precedence.")
@click.option(
    "--least",
    type=click.IntRange(0, len(NAMES)),
    default=6,
    show_default=True,
    help="Images with fewer facts get no caption.",
)
@click.option(
    "--funnel",
    type=click.Choice(FUNNEL.words),
    default=EVERY,
    show_default=True,
    help="Take only photographs that fulfil the rules of FaceCaption-15M or FaceID-6M.",
)
@options.section(
    "More natural words",
    click.option(
        "--rewrite", metavar="WHERE", help="Address of an OpenAI-compatible endpoint, as far as /v1; or a folder."
    ),
    click.option("--rewrite-model", default="", help="The model's name there; none where it has only one."),
    click.option(
        "--rewrite-most", type=click.IntRange(1), default=1000, show_default=True, help="Questions that it is asked."
    ),
    click.option(
        "--rewrite-seconds",
        type=click.FloatRange(0, min_open=True),
        default=30.0,
        show_default=True,
        help="To wait for an answer.",
    ),
)
@click.option("--align", is_flag=True, help="Detect and align 112x112 images too, which otherwise count as aligned.")
@click.option("--model", default="perceiver", show_default=True, help="The perception heads, by name or file.")
@options.work
def caption(source: Path, **chosen: Any) -> None:
    """Describe each image in words, of which each states a fact that was perceived or is known, and nothing else.

    IN is a dataset, which gets the columns `captions` beside its shards; or an image, a folder, a published set (tar,
    WebDataset, RecordIO, LMDB, Parquet), or the table that `perceive` made of these, which need --out. Each caption
    comes with its facts and with the stretch of text that states each of them. What is perceived are a model's guesses
    from looks.

    With --rewrite a language model says each sentence in more natural words: one behind an address (llama.cpp, vLLM,
    Ollama; the environment variable NONESUCH_LLM_KEY holds a key where one is needed), or in a folder of transformers,
    which needs nonesuch[llm]. Each answer is read back and taken only if it states exactly the facts of the sentence;
    else the grammar's sentence stays.

    \b
    Examples:
      nonesuch caption faces
      nonesuch caption faces --grammar german
      nonesuch caption faces --rewrite http://localhost:8080/v1
      nonesuch caption celeba112.tar --labels celeba112.csv.gz --out captions.parquet
    """
    with progress_bar() as bar:
        found = caption_faces(source, **chosen, on_progress=bar)
    counts = found.counts
    if found.funnel:
        click.echo("funnel: " + ", ".join(f"{title} {left:,}" for title, left in found.funnel.items()))
    few = counts.images - counts.captioned - counts.faceless
    click.echo(f"{found.place}: {counts.captioned:,} of {counts.images:,} images have a caption")
    if few:
        click.echo(f"{few:,} without: fewer than {chosen['least']} facts are sure (--least)")
    if counts.faceless:
        click.echo(f"{counts.faceless:,} without: no face found")
    if found.never:
        click.echo(f"never said at --precision {chosen['precision']}, unless labels tell: {', '.join(found.never)}")
    if found.no_words:
        click.echo(f"no words in this grammar: {', '.join(found.no_words)}")
    if found.rewrites:
        asked = sum(found.rewrites.values())
        told = ", ".join(f"{what} {count:,}" for what, count in sorted(found.rewrites.items()))
        click.echo(f"rewriting: {asked:,} questions: {told}")
    for text in counts.first:
        click.echo(f"  {text}")


@click.command("calibrate-captions", cls=options.SectionedCommand)
@click.argument("out", metavar="OUT", type=options.PATH)
@options.data("Uncompressed tar with a table of labels beside it,")
@click.option("--split", multiple=True, help="Only the photographs of this split: one for all tars, or one for each.")
@click.option("--model", default="perceiver", show_default=True, help="The perception heads, by name or file.")
@options.device
@options.dtype
def calibrate(out: Path, data: tuple[Path, ...], split: tuple[str, ...], **chosen: Any) -> None:
    """Measure, on photographs with labels, from which score on each fact of a caption is right.

    OUT is a JSON file for `caption --thresholds`. The photographs should be some that the heads were not trained on. A
    fact is kept from the lowest score on whose statements are right with a precision: the lower end of a one-sided 95%
    interval must reach it, over at least 20 statements.

    \b
    Example:
      nonesuch calibrate-captions thresholds.json --data celeba112.tar --split test
    """
    with progress_bar() as bar:
        found = calibrate_captions(out, data=list(data), split=list(split) or None, **chosen, on_progress=bar)
    shown = Table("fact", "images", *PRECISIONS, title=f"lowest score that is kept, {found.thresholds.data}")
    for name in NAMES:
        least = [found.thresholds.at(precision).get(name) for precision in PRECISIONS]
        shown.add_row(
            name, f"{found.thresholds.images[name]:,}", *("-" if one is None else f"{one:.3g}" for one in least)
        )
    options.print_table(shown)
    click.echo(f"{found.file}: thresholds of {found.images:,} photographs")


@click.command("caption-report", cls=options.SectionedCommand)
@click.argument("sources", metavar="IN...", type=options.PATH, nargs=-1, required=True)
@click.option("--out", type=options.PATH, default="captions.html", show_default=True, help="HTML page to write.")
@click.option("--labels", type=options.PATH, help="Table with file or key and true values: says how much is wrong.")
@click.option(
    "--reader",
    multiple=True,
    default=READERS,
    show_default=True,
    help="english, german, celebahq, or a .lark file; of several the one that understands most of a caption reads it.",
)
@click.option("--likelihood", type=options.PATH, help="Folder of transformers, which says how natural captions are.")
@click.option("--relevance", help="Text-image model (flip_small, or a file), which says how well captions fit images.")
@click.option(
    "--most", type=click.IntRange(1), default=100_000, show_default=True, help="Captions of each IN, the first ones."
)
@click.option("--json", type=options.PATH, help="File for the figures.")
def report(sources: tuple[Path, ...], **chosen: Any) -> None:
    """Analyse captions, those of several sources side by side: length, variety, readability, and how much is wrong.

    IN is a dataset with captions, a table that `caption --out` wrote, or a text file with a caption on each line (also
    .gz). The page shows how the number of different runs of four words grows with the captions. With --likelihood, a
    language model (nonesuch[llm]) tells how natural captions are beside those of the first IN of the same facts; with
    --relevance a text-image model (nonesuch[flip]) tells how well a dataset's captions fit its images.

    \b
    Examples:
      nonesuch caption-report faces
      nonesuch caption-report faces --relevance flip_small
      nonesuch caption-report faces celebahq_captions.txt.gz --out both.html
    """
    with progress_bar() as bar:
        found = report_captions(list(sources), **chosen, on_progress=bar)
    shown = Table("", *(one.name for one in found.figures))
    for part in figure_sections(found.figures)[:-1]:
        for line in part.lines:
            shown.add_row(line.title, *line.cells)
    options.print_table(shown)
    if found.report is None:
        click.echo(f"no page: it {MISSING}")
    else:
        click.echo(f"{found.report}: the page, with curves and what is stated how often")
