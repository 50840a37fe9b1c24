"""The command that trains perception heads."""

from typing import Any

import click

from nonesuch.cli import options
from nonesuch.cli.options import section
from nonesuch.loop.progress import progress_bar
from nonesuch.perception.presets import PERCEIVER_RECIPES
from nonesuch.training.train_perceiver import train_perceiver as train


@click.command(cls=options.SectionedCommand)
@click.argument("out", type=options.PATH)
@section(
    "What it learns from",
    options.data("Tar"),
    options.exclude,
    options.allow_unknown,
    click.option(
        "--data-share",
        type=click.FloatRange(0.0, 1.0, min_open=True),
        default=1.0,
        show_default=True,
        help="Train on this share of the photographs, drawn by --seed.",
    ),
)
@section(
    "Network",
    click.option(
        "--preset",
        type=click.Choice(sorted(PERCEIVER_RECIPES)),
        default="perceiver",
        show_default=True,
        help="Network and recipe.",
    ),
)
@options.schedule()
@options.card
@options.work
def train_perceiver(**given: Any) -> None:
    """Train the heads that 'nonesuch perceive' uses, on labelled photographs, into the folder OUT.

    Each tar has a table of the same name beside it (.csv, .csv.gz, .parquet) with a column `file` and any of these:

    \b
      leye_x ... rmouth_y                 landmarks in pixels, which give the head pose
      age, gender, ethnicity              years; 1 for female; 0..4
      5_o_clock_shadow ... young          CelebA's 40 attributes by name, 0 or 1
      valid_top, _left, _bottom, _right   where not the whole crop is real

    Where a table has a column `split`, only its rows `train` are used. The same command resumes after an interruption.

    \b
    Example:
      nonesuch train-perceiver run --data celeba112.tar --data utkface112.tar --dtype bfloat16
    """
    with progress_bar() as bar:
        trained = train(on_progress=bar, **given)
    path = trained.weights
    options.say(f"{path}: trained on {trained.images_seen:,} images; use it: nonesuch perceive IN --model {path}")
