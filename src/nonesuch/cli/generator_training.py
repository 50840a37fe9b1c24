"""The commands that train generators, and that widen what they draw."""

from typing import Any

import click

from nonesuch.cli import options
from nonesuch.cli.options import section
from nonesuch.loop.progress import progress_bar
from nonesuch.training.train_generator import TRAININGS
from nonesuch.training.train_generator import train_generator as train
from nonesuch.training.widen_generator import widen_generator as widen


@click.command(cls=options.SectionedCommand)
@click.argument("out", type=options.PATH)
@section(
    "What it learns from",
    options.data("Folder or published set (tar, WebDataset, RecordIO, LMDB, Parquet)"),
    options.exclude,
    options.allow_unknown,
    options.embedder,
)
@section(
    "Network",
    click.option(
        "--preset",
        type=click.Choice(sorted(TRAININGS)),
        default="vec2face_small",
        show_default=True,
        help="Network and recipe.",
    ),
    click.option(
        "--init",
        type=options.PATH,
        help="Start a new run from these weights, or from all networks of another run's folder.",
    ),
    click.option(
        "--first-stage",
        type=options.PATH,
        help="Weights of a trained first stage, or of a generator that has one, whose latents an IDiff-Face learns on; "
        "whose decoder idiff_small_decoder trains on; or whose decoder idiff_fast takes in place of the teacher's.",
    ),
    click.option(
        "--teacher",
        type=options.PATH,
        help="An IDiff-Face of many steps, by name or file, which a one-step preset (idiff_fast) learns from.",
    ),
    click.option(
        "--context-dropout",
        type=click.FloatRange(0, 0.9),
        help="Share of the identity context that an IDiff-Face leaves out in training (contextual partial dropout): "
        "more makes the images of an identity differ more.  [default: the preset's]",
    ),
)
@section(
    "Losses",
    click.option("--loss", multiple=True, help="Weight of a loss term, such as pixel=0.5; repeatable."),
    click.option(
        "--adversarial-from",
        type=click.IntRange(0),
        help="Images before the discriminator joins.  [default: the recipe's]",
    ),
    click.option(
        "--adaptive/--constant",
        default=None,
        help="Weigh the adversarial term by gradients (VQGAN), or not.  [default: the recipe's]",
    ),
    click.option(
        "--vgg", type=options.PATH, help="VGG16's ImageNet weights: LPIPS instead of the embedder's feature maps."
    ),
    click.option("--lpips", type=options.PATH, help="LPIPS's channel weights, with --vgg."),
)
@options.schedule(
    click.option(
        "--lr",
        type=click.FloatRange(0, min_open=True),
        help="Peak learning rate.  [default: the recipe's, in proportion to --batch]",
    ),
    click.option(
        "--minutes",
        type=click.FloatRange(0, min_open=True),
        help="Be done in so many minutes, weights exported: the speed of the first minute (or tenth) fixes how many "
        "images the run sees, at most as many as without this.",
    ),
)
@options.card
@options.work
def train_generator(loss: tuple[str, ...], **given: Any) -> None:
    """Train a generator on aligned photographs, into the folder OUT.

    Each photograph's own embedding is its vector. A tar may have a table of the same name beside it (.csv, .csv.gz,
    .parquet) with columns file, identity, split: only the rows of the split `train` are then used. The folder gets the
    averaged weights with their card and identity statistics, log.jsonl, samples.png, and the state from which the same
    command resumes after an interruption. All of this is written every 300 seconds (NONESUCH_CHECKPOINT_SECONDS) and at
    the end.

    IDiff-Face is trained in two runs: first its first stage (--preset idiff_small_first_stage), then the diffusion on
    the latents that --first-stage gives, which are made once and kept in OUT. A further run may sharpen the decoder of
    a --first-stage (--preset idiff_small_decoder), and another distil the diffusion to one step (--preset idiff_fast):
    the --teacher draws thousands of latents of sampled people first, kept in OUT too.

    \b
    Examples:
      nonesuch train-generator run --data faces.tar --exclude held-out.txt --dtype bfloat16
      nonesuch train-generator run2 --data faces/ --init run/vec2face_small.safetensors --images-seen 40000
      nonesuch train-generator run --data faces.tar --device cuda --dtype bfloat16 --batch 256 --minutes 30
      nonesuch train-generator stage --data faces.tar --preset idiff_small_first_stage
      nonesuch train-generator run3 --data faces.tar --preset idiff_small \\
        --first-stage stage/idiff_small_first_stage.safetensors
      nonesuch train-generator decoder --data faces.tar --preset idiff_small_decoder --first-stage idiff_small
      nonesuch train-generator fast --data faces.tar --preset idiff_fast --teacher idiff_small \\
        --first-stage decoder/idiff_small_decoder.safetensors
    """
    weights = options.name_numbers("--loss", loss, "name=weight, such as pixel=0.5")
    with progress_bar() as bar:
        trained = train(loss=weights, on_skipped=options.show_problems, on_progress=bar, **given)
    options.say(
        f"{trained.weights}: trained on {trained.images_seen:,} images; look at {trained.samples}",
        f"use it: nonesuch generate faces --generator {trained.weights}",
    )


@click.command(cls=options.SectionedCommand)
@click.argument("generator")
@click.option("--out", type=options.PATH, required=True, help="The .safetensors file to write.")
@click.option(
    "--yaw",
    type=click.FloatRange(1, 4),
    default=2.2,
    show_default=True,
    help="How many times as wide noise becomes in the direction that turns faces.",
)
@click.option(
    "--images", type=click.IntRange(500), default=6000, show_default=True, help="Drawn to find the direction."
)
@click.option("--statistics", type=options.PATH, help="Of real people's vectors.  [default: the generator's own]")
@options.seed
@options.device
def widen_generator(**given: Any) -> None:
    """Write a GENERATOR, an IDiff-Face, whose faces turn further to the sides.

    Most training photographs are frontal, and so are the faces that a diffusion draws. Which way a face looks follows
    largely from one direction of its first noise: images of sampled people are drawn, their yaw is estimated, and a
    regression on the noise finds the direction. Noise that is wider there turns faces further, for no more time.

    \b
    Example:
      nonesuch widen-generator idiff_small --out wide.safetensors
      nonesuch generate faces --generator wide.safetensors
    """
    with progress_bar() as bar:
        found = widen(on_progress=bar, **given)
    options.say(
        f"{found.weights}: faces turned by {found.yaw_before:.1f} degrees (standard deviation of yaw); the direction "
        f"tells {found.correlation:.2f} of it, as a correlation on images that it was not fitted on",
        f"use it: nonesuch generate faces --generator {found.weights}",
    )
