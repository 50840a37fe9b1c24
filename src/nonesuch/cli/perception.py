"""The command that says what images show."""

from pathlib import Path
from typing import Any

import click
import pyarrow.compute as pc
from rich.table import Table

from nonesuch.cli import options
from nonesuch.dataset.perceive_faces import PerceivedFaces, perceive_faces
from nonesuch.loop.progress import progress_bar


@click.command(cls=options.SectionedCommand)
@click.argument("source", metavar="IN", type=options.PATH)
@click.option("--out", type=options.PATH, help="Parquet table to write; without it, a dataset gets columns.")
@click.option("--align", is_flag=True, help="Detect and align 112x112 images too, which otherwise count as aligned.")
@click.option(
    "--model",
    default="perceiver",
    show_default=True,
    help="The shipped perception heads, or a .safetensors file with its card.",
)
@options.device
@options.dtype
def perceive(source: Path, out: Path | None, **chosen: Any) -> None:
    """Estimate what each image shows: head pose, age, gender, ethnicity, quality, and CelebA's 40 attributes.

    IN is a dataset, which gets the columns appended, or an image, a folder or a published set (tar, WebDataset,
    RecordIO, LMDB, Parquet), which needs --out for the table. yaw and pitch are in degrees (positive: nose right of the
    eyes' midpoint; looking up), age is in years. gender_p is the probability of female; each attribute is a
    probability. quality, 0..100, is the share of real photographs that are harder to recognise. These are a model's
    guesses from looks; they say nothing about who a person is. Children come out as young adults.

    \b
    Examples:
      nonesuch perceive faces
      nonesuch perceive holiday/ --out attributes.parquet
    """
    with progress_bar() as bar:
        found = perceive_faces(source, out=out, **chosen, on_progress=bar)
    if out is None:
        click.echo(f"{found.place}: {found.looked_at} images perceived by {found.model}")
    else:
        options.show_problems(found.problems)
        total = found.images
        click.echo(f"{out}: {total - len(found.problems)} of {total} images perceived by {found.model}")
    _show(found)


def _show(found: PerceivedFaces) -> None:
    """Print the spread of each measure, and the shares of each group."""
    shown = Table("", "5%", "median", "95%", title=f"what {found.images} images show")
    for name in ("yaw", "pitch", "age", "quality"):
        shown.add_row(name, *(f"{value.as_py():.0f}" for value in pc.quantile(found.column(name), [0.05, 0.5, 0.95])))
    options.print_table(shown)
    for name in ("gender", "ethnicity"):
        counts = sorted(pc.value_counts(found.column(name).drop_null()).to_pylist(), key=lambda item: -item["counts"])
        total = sum(item["counts"] for item in counts)
        click.echo(f"{name}: " + ", ".join(f"{item['values']} {item['counts'] / total:.0%}" for item in counts))
