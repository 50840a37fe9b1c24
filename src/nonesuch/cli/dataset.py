"""Commands that make and check datasets."""

import time
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from nonesuch.cli import options
from nonesuch.cli.options import section
from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.generate_dataset import GeneratedDataset, generate_dataset
from nonesuch.dataset.verify_dataset import verify_dataset
from nonesuch.identities.source import DEFAULT_FMR
from nonesuch.loop.progress import progress_bar
from nonesuch.measures.figure import SHARE, four_digits, rate_name
from nonesuch.steering.outcome import SteeringOutcome

_MOST_PROBLEMS_SHOWN = 20
_AT_LEAST_1 = click.IntRange(1)


@click.command(cls=options.SectionedCommand)
@click.argument("out", type=options.PATH)
@section(
    "Who is shown",
    click.option("--identities", type=_AT_LEAST_1, help="Identities to sample.  [default: 100]"),
    click.option(
        "--reference", type=options.PATH, help="Start from photographs of REAL PEOPLE, as a file, folder or tar."
    ),
    click.option("--embedder", help="Embedder for --reference, a name or a file.  [default: the generator's]"),
    click.option(
        "--vectors",
        type=options.PATH,
        help="Start from a table made by 'nonesuch identities' or 'embed', or from IDiff-Face's identity contexts.",
    ),
    options.sampling,
    options.statistics,
    options.max_similarity,
    options.fmr,
    click.option(
        "--min-age",
        type=click.FloatRange(0.0, 90.0),
        help="Leave out sampled people who look younger, and steer images that do; 25 or more, 30 leaves room for the "
        "perceiver's error. No guarantee.",
    ),
)
@section(
    "Their images",
    click.option("--images", type=_AT_LEAST_1, default=10, show_default=True, help="Images of each identity."),
    options.seed,
    options.generator,
    click.option(
        "--sigma",
        help="Perturbation as sigma:share,...  [default: the generator's; 0.2 for vectors of photographs]",
    ),
    click.option(
        "--style",
        type=click.FloatRange(0.0, 2.0),
        help="Spread of the style codes (pose, light, background), for a generator that has them.  [default: 1]",
    ),
    click.option(
        "--sampler",
        help="How a diffusion samples: ddpm, ddpm-posterior, ddim, dpm or lcm, then settings, such as 'ddim,steps=50', "
        "'dpm,steps=20,guidance=2', 'negative=0.5', 'least_cosine=0.6'.  [default: the generator's]",
    ),
)
@section(
    "Steering",
    click.option(
        "--steer",
        multiple=True,
        help="What images should show: yaw=20, age=30..40, quality>=60, 'yaw=uniform(-30,30)', '20%: smiling=1'; "
        "repeatable.",
    ),
    click.option("--steer-steps", type=click.IntRange(0), help="Most steps spent on one image.  [default: 40]"),
    click.option(
        "--steer-identity",
        type=click.FloatRange(-1.0, 1.0),
        help="Least cosine between a steered image and its identity's vector.  [default: 0.7]",
    ),
)
@section(
    "Files",
    click.option(
        "--codec", type=click.Choice(["jpeg", "png"]), default="jpeg", show_default=True, help="Image format."
    ),
    click.option("--quality", type=click.IntRange(1, 100), default=95, show_default=True, help="JPEG quality."),
    click.option(
        "--synthetic-mark/--no-synthetic-mark",
        default=True,
        show_default=True,
        help="Let each file say that its image is synthetic (IPTC digital source type in XMP, 426 bytes).",
    ),
    click.option(
        "--shard-images",
        type=_AT_LEAST_1,
        help="Images per shard.  [default: 1000 on a CPU, 10000 on a GPU, a fifth of that when steering]",
    ),
    click.option(
        "--plan-only", is_flag=True, help="Write only the plan; the same command without this makes the images."
    ),
    click.option(
        "--summary/--no-summary", default=True, show_default=True, help="Embed a sample at the end and judge it."
    ),
)
@section(
    "The work",
    click.option(
        "--micro-batch",
        type=_AT_LEAST_1,
        help="Images per forward pass.  [default: 16 on a CPU, 256 on a GPU; Arc2Face 1 and 8]",
    ),
    click.option("--workers", type=_AT_LEAST_1, help="Rendering threads.  [default: the CPU's cores]"),
    options.processes,
    options.ray,
    options.shards,
    options.device,
    options.dtype,
)
def generate(out: Path, **chosen: Any) -> None:
    """Make a labelled dataset of faces in the folder OUT.

    Without --reference or --vectors, identities are sampled: people who don't exist, no two more alike than --fmr or
    --max-similarity allows. OUT then holds plan.parquet, identities.parquet, dataset.json, tar shards with an index
    each (also a valid WebDataset) and contact_sheet.png. Running the same command again resumes what was interrupted.
    Running it several times at once, on one host or on several that share OUT, shares the work; the bits are the same.

    --steer changes each image's vector and style code until it shows what was asked for: yaw and pitch (degrees), age
    (years), quality (0..100), gender (1 is female) or one of CelebA's attributes (0 or 1). OUT/columns/steering holds
    what was asked for and what was reached. An image that did not get there in time is kept and marked. Only generators
    that decode mobilefacenet's vectors can be steered.

    \b
    Examples:
      nonesuch generate faces --identities 1000 --images 20 --seed 7
      nonesuch generate faces --steer "yaw=uniform(-30,30)" --steer "quality>=60"
      nonesuch generate faces --vectors people.parquet --images 20
      nonesuch generate faces --generator idiff_small --sampler dpm,steps=20,negative=0.5
      nonesuch generate me --reference me.jpg --images 50
      nonesuch generate faces --identities 10000 --processes 8
      nonesuch generate faces --identities 10000 --shards slurm
    """
    started = time.monotonic()
    with progress_bar() as bar:
        made = generate_dataset(out, **chosen, on_progress=bar)
    manifest = made.manifest
    options.show_problems(made.problems, "see the photographs")
    if not manifest.complete and not chosen["plan_only"]:
        click.echo(f"{out}: {_speed(made)}; this part is done, the dataset is complete when all parts are")
        return
    if made.contact_sheet is None:
        click.echo(f"{out}: a plan of {manifest.identities} identities, {manifest.images} images")
        return
    click.echo(f"{out}: {manifest.identities} identities, {manifest.images} images, {_speed(made)}")
    if manifest.shows_real_people:
        click.echo(manifest.description)
    if made.steering is not None:
        _show_steering(made.steering, chosen["min_age"])
    click.echo(f"{made.contact_sheet}: the first {made.sheet_identities} identities, a row each")
    if made.summaries:
        _show_summaries(made, chosen["fmr"] or DEFAULT_FMR)
    click.echo(f"took {time.monotonic() - started:.0f} s in all")


def _speed(made: GeneratedDataset) -> str:
    return f"{made.rendered / made.seconds:.0f} images/s" if made.rendered else "nothing left to render"


def _show_steering(found: SteeringOutcome, min_age: float | None) -> None:
    if not found.images:
        click.echo(f"{found.columns}: nothing was asked of any image")
        return
    rest = "" if found.accepted == 1.0 else "; the others are kept as near as they came, and are marked"
    click.echo(
        f"{found.columns}: of {found.images} images {found.accepted:.1%} show {' and '.join(found.wishes)}, "
        f"after {found.steps:.1f} steps, at cosine {found.identity:.2f} to their identity{rest}"
    )
    if found.younger is not None:
        click.echo(f"{found.younger} of {found.all_images} images still look younger than {min_age:g}")


def _show_summaries(made: GeneratedDataset, fmr: float) -> None:
    """How the sample looks to the embedder that the vectors come from, and to an independent one."""
    identities, images = made.sample
    shown = Table(title=f"{identities} identities x {images} images, as each embedder sees them")
    for heading in ("embedder", "consistency", "mated", "non-mated", "EER", "kept apart"):
        shown.add_column(heading, justify="left" if heading == "embedder" else "right")
    for found in made.summaries:
        shown.add_row(
            found.embedder,
            "-" if found.consistency is None else four_digits(found.consistency),
            four_digits(found.mated),
            four_digits(found.non_mated),
            SHARE.write(found.eer),
            "-" if found.kept_apart is None else SHARE.write(found.kept_apart),
        )
    options.print_table(shown)
    click.echo(
        "consistency: mean cosine between an identity's vector and its images; mated, non-mated: mean cosine of two\n"
        "images of one identity, of two identities; kept apart: identities that no other matches at FMR "
        f"{rate_name(fmr)}"
    )


@click.command(cls=options.SectionedCommand)
@click.argument("dataset", type=options.PATH)
@click.option(
    "--changed",
    is_flag=True,
    help="Read only shards that an earlier run did not find sound, or whose files have changed since. What decays on "
    "the disk is not seen then.",
)
@click.option("--workers", type=_AT_LEAST_1, help="Processes that check shards.  [default: as many as there are cores]")
def verify(dataset: Path, **chosen: Any) -> None:
    """Check every hash, count and label of DATASET, and every file of its release where it has one.

    A non-zero exit status says that something is wrong. DATASET/.verified.json records which shards are sound, for
    --changed.

    \b
    Examples:
      nonesuch verify faces
      nonesuch verify faces --changed
    """
    with progress_bar() as bar:
        found = verify_dataset(dataset, **chosen, on_progress=bar)
    for problem in found.problems[:_MOST_PROBLEMS_SHOWN]:
        click.echo(problem, err=True)
    if found.problems:
        count = len(found.problems)
        raise NonesuchError(f"{dataset}: {'1 problem' if count == 1 else f'{count} problems'}")
    released = f", and the {found.released} files of its release" if found.released else ""
    click.echo(f"{dataset}: sound, {found.images} images verified{released}")
    if found.unchanged:
        shards = "1 shard was" if found.unchanged == 1 else f"{found.unchanged} shards were"
        click.echo(
            f"{shards} sound before and not changed since, so not read again; without --changed decay of the disk is "
            "seen, too"
        )
