"""The command that tests embedders on real faces."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from nonesuch.cli import options
from nonesuch.evaluation.evaluate_embedders import evaluate_embedders
from nonesuch.evaluation.summary import DISCARD_COLUMNS, GROUP_COLUMNS, discard_rows, figure_sections, group_rows
from nonesuch.loop.progress import progress_bar
from nonesuch.pages.sections import Section


@click.command(cls=options.SectionedCommand)
@click.option(
    "--data",
    type=options.PATH,
    required=True,
    help="Folder, dataset or published set of the test images, or a packed set (.bin, .xz).",
)
@click.option(
    "--embedder",
    multiple=True,
    default=["mobilefacenet"],
    show_default=True,
    help="A shipped embedder, or a .safetensors or .onnx file; repeatable.",
)
@click.option("--pairs", type=options.PATH, help="pairs.txt, a CSV (left, right, mated), or CFP's protocol folder.")
@click.option("--templates", type=options.PATH, help="Folder of IJB's metadata files: templates, 1:1 and 1:N.")
@click.option("--folds", help="Only these folds of the pairs, such as 8-10 or 1,2,5.")
@click.option("--people", type=options.PATH, help="Without --pairs: only the people of this list.")
@options.allow_unknown
@click.option("--groups", type=options.PATH, help="CSV with identity, group: error rates of each group as well.")
@click.option("--flip/--no-flip", default=True, show_default=True, help="Sum the embeddings of crop and mirror image.")
@click.option("--align", is_flag=True, help="Detect and align 112x112 images too, which otherwise count as aligned.")
@click.option("--time-limit", is_flag=True, help="Time each image on one core; limits of 100, 500, 1000 ms (FRUITS).")
@click.option("--json", type=options.PATH, help="Write every figure to this file.")
@click.option("--report", type=options.PATH, help="Write figures and curves as one HTML page (needs nonesuch[report]).")
@options.device
@options.dtype
def evaluate(data: Path, **chosen: Any) -> None:
    """Test how well embedders verify people on labelled images.

    The test depends on what is given. --pairs or a packed set: accuracy by folds (each at the threshold that is best on
    the others), EER, and the true match rate (TAR) at false match rates. --templates: EER and TAR of IJB's comparisons,
    rank and true identification rate (TPIR) of its searches. Images in TinyFace's folders: rank and mean average
    precision. None of these: EER and TAR over all comparisons of at most 10 images of each person, with 95% intervals
    over people; clusters; identification, as rank in a gallery of everyone's first image, and as TPIR where half of the
    people are strangers. An image without a face counts as refused; in the last test it is left out. Several embedders
    are shown side by side.

    \b
    Examples:
      nonesuch evaluate --embedder mobilefacenet --data lfw112.tar --pairs pairs.txt --folds 8-10
      nonesuch evaluate --embedder mobilefacenet --embedder mine.safetensors --data agedb_30.bin --json figures.json
      nonesuch evaluate --embedder mine.safetensors --data lfw112.tar --people lfw_heldout_people.txt --report r.html
      nonesuch evaluate --embedder mine.safetensors --data IJBC/loose_crop --templates IJBC/meta
    """
    with progress_bar() as bar:
        found = evaluate_embedders(data, **chosen, on_progress=bar)
    options.show_problems(found.problems)
    names = list(found.figures)
    _print_sections(found.title, names, figure_sections(found.figures))
    if discards := discard_rows(found.figures):
        _print("FNMR with the images of the smallest embedding norms left out", DISCARD_COLUMNS, discards)
    if chosen["groups"] is not None:
        _print("groups, at one threshold for all", GROUP_COLUMNS, group_rows(found.figures))
    if chosen["json"] is not None:
        click.echo(f"{chosen['json']}: written")
    if chosen["report"] is not None:
        click.echo(f"{chosen['report']}: written; open it in a browser")


def _print_sections(title: str, names: Sequence[str], sections: Sequence[Section]) -> None:
    shown = Table("", *names, title=title)
    for part in sections:
        shown.add_row(f"{part.title}:")
        for line in part.lines:
            shown.add_row(line.title, *line.cells, end_section=line is part.lines[-1])
    options.print_table(shown)


def _print(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    shown = Table(*columns, title=title)
    for row in rows:
        shown.add_row(*row, end_section=not row[-1])
    options.print_table(shown)
