"""The command that cleans the labels of a dataset."""

from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.table import Table

from nonesuch.cleaning.cast import MOST_ROUNDS
from nonesuch.cleaning.clean_labels import REVIEW, clean_labels
from nonesuch.cleaning.cleaned_set import CleanedSet
from nonesuch.cli import options
from nonesuch.loop.progress import progress_bar
from nonesuch.perception.faces import CLOSEST, ONE_FACE

_COSINE = click.FloatRange(-1, 1)


@click.command(cls=options.SectionedCommand)
@click.argument("dataset", type=options.PATH)
@click.option("--out", type=options.PATH, required=True, help="Folder for the manifest, the log and the page.")
@options.embedder
@click.option(
    "--fmr",
    type=click.FloatRange(0, 1, min_open=True),
    help="False match rate at whose threshold two images count as one person.  [default: 1e-3]",
)
@click.option("--same", type=_COSINE, help="That threshold as a cosine, instead of --fmr.")
@click.option(
    "--merge",
    type=_COSINE,
    help="Cosine of two identities' means from which they count as one person.  [default: the embedder's threshold at "
    "FMR 10^-6.5, extrapolated from those at 1e-3 and 1e-5 on its card]",
)
@click.option("--align", is_flag=True, help="Detect and align 112x112 images too, which otherwise count as aligned.")
@options.label
@click.option(
    "--face",
    type=click.Choice(ONE_FACE.words),
    default=CLOSEST,
    show_default=True,
    help="Which face of several: the one closest to the other photographs of its identity, the largest, or the one "
    "nearest to the middle. The manifest remembers it.",
)
@click.option("--rounds", type=click.IntRange(1), default=MOST_ROUNDS, show_default=True, help="Most rounds to make.")
@click.option("--answers", type=options.PATH, multiple=True, help="Answers that were saved from the page; repeatable.")
@click.option(
    "--review", type=click.IntRange(0), default=100, show_default=True, help="Uncertain cases on the page; 0 for none."
)
@options.device
@options.dtype
def clean(dataset: Path, out: Path, **chosen: Any) -> None:
    """Clean the labels of a DATASET: a dataset, a folder, a published set, or a manifest of this command.

    Images that do not show their identity are dropped, or moved to the identity that they show. Identities that are one
    person are merged. Of several copies of one picture, the first in name order stays. This repeats until nothing
    changes. No image file is touched: cleaned.parquet says which images stay, and under which identity. It can be given
    wherever a dataset can. decisions.csv is the log. review.html asks yes or no about the cases nearest to a threshold;
    --answers takes the file that it saves. What a person has decided wins over every threshold.

    The default --fmr of 1e-3 was chosen on LFW with planted errors. At mobilefacenet's cosine of 0.457, the recall of
    wrong labels is 99% at a precision of 97%; FMR 1e-4 loses 4 points of precision. Among many thousand identities,
    give a higher --merge. Where an identity has two images that disagree, nothing says which is right: the first stays.

    \b
    Examples:
      nonesuch clean photographs/ --out cleaned
      nonesuch clean photographs/ --out cleaned --answers answers.csv
      nonesuch embed cleaned/cleaned.parquet --out vectors.parquet --crops crops
      nonesuch recognize train run --data crops
    """
    with progress_bar() as bar:
        cleaned = clean_labels(dataset, out, **chosen, on_progress=bar)
    result = cleaned.result
    options.show_problems(
        [why for _, (_, why) in sorted(result.features.problems.items())], f"see {cleaned.decisions.name}"
    )
    _show(result)
    click.echo(f"{cleaned.manifest}: {result.images} images; give it wherever a dataset is taken")
    click.echo(f"{cleaned.decisions}: every decision")
    if cleaned.review is None:
        click.echo(f"{REVIEW}: left out, {cleaned.no_review}")
    else:
        click.echo(
            f"{cleaned.review}: the {cleaned.cases} least certain cases; open it in a browser. It holds the "
            "photographs: personal data, if they show real people"
        )


def _show(result: CleanedSet) -> None:
    """What was done, in numbers."""
    shown = Table("", "number", title=f"labels cleaned in {result.cleaned.rounds} rounds")
    numbers = result.numbers
    for title, number in numbers.items():
        if not title.endswith(" before"):
            before = numbers.get(f"{title} before")
            shown.add_row(title, str(number) if before is None else f"{before} -> {number}")
    shown.add_row("stable", "yes" if result.cleaned.stable else "no, more --rounds would change more")
    options.print_table(shown)
    if len(result.before) == len(np.unique(result.before)):
        click.echo("each identity has one image: wrong labels cannot be found, only identities that are one person")
