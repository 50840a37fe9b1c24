"""The commands that train recognisers."""

from typing import Any

import click

from nonesuch.cli import options
from nonesuch.cli.options import section
from nonesuch.loop.progress import progress_bar
from nonesuch.loop.runs import Trained
from nonesuch.recognition.adapt_recogniser import adapt_recogniser
from nonesuch.recognition.recipes import HEADS, RECIPES
from nonesuch.recognition.train_recogniser import train_recogniser


@click.group(invoke_without_command=True)
@click.pass_context
def recognize(ctx: click.Context) -> None:
    """Train recognisers on labelled faces.

    \b
    Examples:
      nonesuch recognize train run --data faces --dtype bfloat16
      nonesuch recognize adapt low --embedder run/mini.safetensors --data faces
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@recognize.command(cls=options.SectionedCommand)
@click.argument("out", type=options.PATH)
@section(
    "What it learns from",
    options.data("Dataset, folder or published set (tar, WebDataset, RecordIO, LMDB, Parquet)"),
    options.exclude,
    options.allow_unknown,
    options.from_generator,
    options.where,
    options.cache,
    options.workers,
)
@section(
    "Network and loss",
    click.option("--preset", type=click.Choice(sorted(RECIPES)), default="mini", show_default=True, help="Recipe."),
    click.option("--backbone", help="A network of 'nonesuch models' instead of the recipe's."),
    click.option("--head", type=click.Choice(HEADS), help="Loss instead of the recipe's, with its own margin."),
    click.option(
        "--scale", type=click.FloatRange(0, min_open=True), help="Scale of the logits.  [default: the recipe's]"
    ),
    click.option(
        "--straight-through",
        is_flag=True,
        help="Pass gradients straight through the margin, as the published code of ArcFace and others does.",
    ),
    click.option("--symmetry", type=click.FloatRange(0), help="Weight of SymFace's term.  [default: the recipe's]"),
    click.option(
        "--class-share",
        type=click.FloatRange(0, 1, min_open=True),
        help="Share of the class centres in a step (Partial FC).  [default: the recipe's]",
    ),
    click.option(
        "--sync-batch-norm",
        is_flag=True,
        help="Under torchrun, batch norm takes its statistics over the images of all GPUs.",
    ),
)
@options.schedule()
@options.card
@options.work
def train(**given: Any) -> None:
    """Train a recogniser on aligned 112x112 faces, labelled by their folders, into the folder OUT.

    The last state is written (of the averaged weights, where the recipe averages), never one chosen by a test set.
    OUT/NAME.safetensors is an embedder: give it wherever --embedder is taken. The same command resumes after an
    interruption. Under torchrun each process holds its part of the class centres, and --batch counts the images of all
    processes.

    \b
    Examples:
      nonesuch recognize train run --data faces --dtype bfloat16
      nonesuch evaluate --embedder run/mini.safetensors --data lfw112.tar --pairs pairs.txt
      nonesuch generate plan --identities 1000 --images 20 --plan-only
      nonesuch recognize train run --data plan --from-generator vec2face_small
      torchrun --nproc-per-node 8 -m nonesuch recognize train run --data faces --preset hsface --class-share 0.1
    """
    with progress_bar() as bar:
        _show(train_recogniser(on_progress=bar, **given))


@recognize.command(cls=options.SectionedCommand)
@click.argument("out", type=options.PATH)
@section(
    "What it learns from",
    options.data("Dataset, folder or published set (tar, WebDataset, RecordIO, LMDB, Parquet)"),
    options.exclude,
    options.allow_unknown,
    options.from_generator,
    options.where,
    options.cache,
    options.workers,
)
@click.option("--embedder", required=True, help="The IResNet or ViT to adapt: a .safetensors file with its card.")
@click.option("--rank", type=click.IntRange(1), default=8, show_default=True, help="Rank of the adapters.")
@options.schedule()
@options.card
@options.work
def adapt(**given: Any) -> None:
    """Adapt a trained recogniser to faces of low resolution, into the folder OUT (PETALface, arXiv 2412.07771).

    Its weights stay as they are. Each adapted layer gets two low-rank adapters, one for images of high quality and one
    for low, blended by the norm of the frozen embedding. They are trained with ArcFace on aligned 112x112 faces that
    are labelled by their folders; half of the faces are made coarse. OUT/adapted.safetensors is an embedder that takes
    two looks at each image. The same command resumes after an interruption.

    \b
    Examples:
      nonesuch recognize adapt low --embedder run/mini.safetensors --data faces
      nonesuch evaluate --embedder low/adapted.safetensors --data tinyface112.tar
    """
    with progress_bar() as bar:
        _show(adapt_recogniser(on_progress=bar, **given))


def _show(trained: Trained) -> None:
    options.say(
        f"{trained.weights}: trained on {trained.images_seen:,} images",
        f"test it: nonesuch evaluate --embedder {trained.weights} --data IN",
    )
