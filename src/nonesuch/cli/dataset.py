"""Commands that make and check datasets."""

import time
from functools import partial
from pathlib import Path

import click
from rich.table import Table

from nonesuch.cli import options
from nonesuch.cli.options import console
from nonesuch.cli.steering import show_steering
from nonesuch.core.errors import NonesuchError
from nonesuch.dataset import verify as verification
from nonesuch.dataset.create import DatasetRequest, create_dataset, plan_dataset
from nonesuch.dataset.generate import RenderSettings, default_micro_batch, default_workers
from nonesuch.dataset.manifest import read
from nonesuch.dataset.reader import IdentityImages, read_identities
from nonesuch.dataset.summary import summarise
from nonesuch.dataset.vector_sources import VectorSource, from_photographs, from_table, sampled
from nonesuch.generators.generator import Generator
from nonesuch.identities.source import DEFAULT_FMR, SamplingOptions, identity_source
from nonesuch.identities.variation import parse_sigma_mix
from nonesuch.loop.progress import ProgressBar, progress_bar
from nonesuch.models import (
    load_detector,
    load_embedder,
    load_generator,
    shipped_embedder_card,
    weights_path,
)
from nonesuch.pages.contact_sheet import write_contact_sheet
from nonesuch.steering.make import make_steerer
from nonesuch.steering.steerer import Steerer

_JUDGES = ("mobilefacenet", "dlib_resnet")
_MOST_PROBLEMS_SHOWN = 20
# Enough for a first look; the audit looks at all of a dataset.
_SUMMARY_IDENTITIES, _SUMMARY_IMAGES = 100, 10
_SHEET_ROWS = 12
_IDENTITIES = 100
_AT_LEAST_1 = click.IntRange(1)
_SIGMA_OF_REFERENCES = "0.2"  # published for vectors of photographs


@click.command()
@click.argument("out", type=options.PATH)
@click.option("--identities", type=int, help=f"Identities to sample.  [default: {_IDENTITIES}]")
@click.option("--images", type=int, default=10, show_default=True, help="Images of each identity.")
@options.seed
@click.option("--reference", type=options.PATH, help="Start from photographs of REAL PEOPLE: an image, folder or tar.")
@click.option("--embedder", help="Embedder for --reference, a name or a file.  [default: the generator's]")
@click.option("--vectors", type=options.PATH, help="Start from a table made by 'nonesuch identities' or 'embed'.")
@options.generator
@options.sampling
@options.statistics_file
@options.max_similarity
@options.fmr
@click.option(
    "--sigma",
    help="Perturbation as sigma:share,...  [default: the generator's; 0.2 for vectors of photographs]",
)
@click.option(
    "--style",
    type=click.FloatRange(0.0, 2.0),
    help="Spread of the style codes (pose, light, background), for a generator that has them.  [default: 1]",
)
@click.option(
    "--steer",
    multiple=True,
    help="What images shall show, as yaw=20, age=30..40, quality>=60, 'yaw=uniform(-30,30)', '20%: smiling=1'; "
    "repeatable.",
)
@click.option("--steer-steps", type=click.IntRange(0), help="Most steps spent on one image.  [default: 40]")
@click.option(
    "--steer-identity",
    type=click.FloatRange(-1.0, 1.0),
    help="Least cosine between a steered image and its identity's vector.  [default: 0.7]",
)
@click.option(
    "--min-age",
    type=click.FloatRange(0.0, 90.0),
    help="Leave out sampled people who look younger, and steer images that do; 25 or more, 30 leaves room for the "
    "perceiver's error. No guarantee.",
)
@click.option("--codec", type=click.Choice(["jpeg", "png"]), default="jpeg", show_default=True, help="Image format.")
@click.option("--quality", type=click.IntRange(1, 100), default=95, show_default=True, help="JPEG quality.")
@click.option(
    "--shard-images",
    type=_AT_LEAST_1,
    help="Images per shard.  [default: 1000 on a CPU, 10000 on a GPU, a fifth of it when steering]",
)
@click.option("--micro-batch", type=_AT_LEAST_1, help="Images per forward pass.  [default: 16 on a CPU, 256 on a GPU]")
@click.option("--workers", type=_AT_LEAST_1, help="Rendering threads.  [default: the CPU's cores]")
@click.option("--plan-only", is_flag=True, help="Write the plan and make no image; the same command without it does.")
@click.option("--summary/--no-summary", default=True, show_default=True, help="Embed a sample at the end and judge it.")
@options.device
@options.dtype
def generate(
    out: Path,
    identities: int | None,
    images: int,
    seed: int,
    reference: Path | None,
    embedder: str | None,
    vectors: Path | None,
    generator: str,
    sampling: str | None,
    statistics_file: Path | None,
    max_similarity: float | None,
    fmr: float | None,
    sigma: str | None,
    style: float | None,
    steer: tuple[str, ...],
    steer_steps: int | None,
    steer_identity: float | None,
    min_age: float | None,
    codec: str,
    quality: int,
    shard_images: int | None,
    micro_batch: int | None,
    workers: int | None,
    plan_only: bool,
    summary: bool,
    device: str,
    dtype: str,
) -> None:
    """Make a labelled dataset of faces in the folder OUT.

    Without --reference or --vectors, identities are sampled: people who don't exist, no two more alike than --fmr or
    --max-similarity allows. OUT then holds plan.parquet, identities.parquet, dataset.json, tar shards with an index
    each (also a valid WebDataset) and contact_sheet.png. Running the same command again resumes what was interrupted.

    --steer changes each image's vector and style code until it shows what is wished for: yaw and pitch (degrees), age
    (years), quality (0..100), gender (1 is female) or one of CelebA's attributes (0 or 1). What was wished for and
    reached stands in OUT/columns/steering; an image that did not get there in time is kept and marked. Only generators
    of mobilefacenet's vectors can be steered.

    \b
    Examples:
      nonesuch generate faces --identities 1000 --images 20 --seed 7
      nonesuch generate faces --steer "yaw=uniform(-30,30)" --steer "quality>=60"
      nonesuch generate faces --vectors people.parquet --images 20
      nonesuch generate me --reference me.jpg --images 50
    """
    started = time.monotonic()
    model = load_generator(generator, device, dtype)
    if style is not None and not model.has_style:
        raise NonesuchError(f"--style: {model.name} has no style code; leave it out")
    if min_age is not None and (reference is not None or vectors is not None):
        raise NonesuchError("--min-age is about sampled identities: leave it out with --reference or --vectors")
    steerer, least_age = make_steerer(model, steer, steer_steps, steer_identity, min_age, device, dtype)
    wishes = SamplingOptions(sampling, statistics_file, max_similarity, fmr)
    if reference is not None or vectors is not None:
        _refuse_sampling_options(identities, wishes)
    if embedder is not None and reference is None:
        raise NonesuchError("--embedder goes with --reference only")
    with progress_bar() as bar:
        if reference is not None and vectors is not None:
            raise NonesuchError("--reference and --vectors: give one of them")
        if reference is not None:
            source = _from_reference(reference, embedder, model, bar)
        elif vectors is not None:
            source = from_table(vectors, model.card)
        else:
            known = shipped_embedder_card(model.card.embedder, model.card.embedder_sha256)
            drawn = identity_source(model.card, weights_path(generator), known, wishes)
            source = sampled(drawn, _IDENTITIES if identities is None else identities, seed, least_age)
        usual_sigma = _SIGMA_OF_REFERENCES if source.shows_real_people else model.card.sigma_mix
        request = DatasetRequest(
            images_per_identity=images,
            sigma_mix=parse_sigma_mix(sigma or usual_sigma),
            seed=seed,
            images_per_shard=shard_images or _shard_images(model, steerer),
            vectors=source,
        )
        settings = RenderSettings(
            device=model.device.type,
            dtype=dtype,
            micro_batch=micro_batch or default_micro_batch(model.device),
            codec=codec,
            quality=quality,
            style=1.0 if style is None else style,
        )
        if plan_only:
            manifest = plan_dataset(out, request, model, settings, bar, steerer)
            click.echo(f"{out}: a plan of {manifest.identities} identities, {manifest.images} images")
            return
        workers = workers or default_workers(model.device)
        manifest, rendered, seconds = create_dataset(out, request, model, settings, workers, bar, steerer)
    speed = f"{rendered / seconds:.0f} images/s" if rendered else "nothing left to render"
    click.echo(f"{out}: {manifest.identities} identities, {manifest.images} images, {speed}")
    if manifest.shows_real_people:
        click.echo(manifest.description)
    if steerer is not None:
        show_steering(out, steerer.wishes, min_age)
    sample = read_identities(out, _SUMMARY_IDENTITIES, _SUMMARY_IMAGES)
    write_contact_sheet([list(identity.images) for identity in sample[:_SHEET_ROWS]], out / "contact_sheet.png")
    click.echo(f"{out / 'contact_sheet.png'}: the first {min(len(sample), _SHEET_ROWS)} identities, a row each")
    if summary:
        _show_summary(sample, model, device, fmr or DEFAULT_FMR)
    click.echo(f"took {time.monotonic() - started:.0f} s in all")


def _shard_images(model: Generator, steerer: Steerer | None) -> int:
    """A few minutes of work: what an interruption costs at most."""
    images = 1_000 if model.device.type == "cpu" else 10_000
    return images if steerer is None else images // 5


def _refuse_sampling_options(identities: int | None, wishes: SamplingOptions) -> None:
    given = {
        "--identities": identities,
        "--sampling": wishes.sampling,
        "--statistics": wishes.statistics_file,
        "--max-similarity": wishes.max_similarity,
        "--fmr": wishes.fmr,
    }
    for name, value in given.items():
        if value is not None:
            raise NonesuchError(f"{name} is about sampled identities: leave it out with --reference or --vectors")


def _from_reference(reference: Path, embedder: str | None, model: Generator, bar: ProgressBar) -> VectorSource:
    device = str(model.device)
    return from_photographs(
        reference,
        model.card,
        load_embedder(embedder or model.card.embedder, device),
        load_detector(device),
        lambda problem: click.echo(f"skipped: {problem}", err=True),
        lambda done, total: bar("reading photographs", done, total),
    )


def _show_summary(sample: list[IdentityImages], model: Generator, device: str, fmr: float) -> None:
    """How the sample looks to the embedder that the vectors come from, and to an independent one."""
    if len(sample) < 2 or len(sample[0].images) < 2:
        return
    shown = Table(title=f"{len(sample)} identities x {len(sample[0].images)} images, as each embedder sees them")
    for heading in ("embedder", "consistency", "mated", "non-mated", "EER", "kept apart"):
        shown.add_column(heading, justify="left" if heading == "embedder" else "right")
    total = len(_JUDGES) * sum(len(identity.images) for identity in sample)
    with progress_bar() as bar:
        for number, name in enumerate(_JUDGES):
            judge = load_embedder(name, device)
            own = judge.card.sha256 == model.card.embedder_sha256
            on_image = partial(_advance, bar, number * total // len(_JUDGES), total)
            found = summarise(sample, judge, own, fmr, on_image)
            shown.add_row(
                name,
                "-" if found.consistency is None else f"{found.consistency:.3f}",
                f"{found.mated:.3f}",
                f"{found.non_mated:.3f}",
                f"{found.eer:.2%}",
                "-" if found.kept_apart is None else f"{found.kept_apart:.1%}",
            )
    console.print(shown)
    click.echo(
        "consistency: mean cosine between an identity's vector and its images; mated, non-mated: mean cosine of two\n"
        f"images of one identity, of two; kept apart: identities that no other matches at FMR {fmr:g}"
    )


def _advance(bar: ProgressBar, before: int, total: int, done: int) -> None:
    bar("summary", before + done, total)


@click.command()
@click.argument("dataset", type=options.PATH)
def verify(dataset: Path) -> None:
    """Check every hash, count and label of DATASET; a non-zero exit status says that something is wrong.

    \b
    Example:
      nonesuch verify faces
    """
    with progress_bar() as bar:
        problems = verification.verify(dataset, lambda done, total: bar("verifying", done, total))
    for problem in problems[:_MOST_PROBLEMS_SHOWN]:
        click.echo(problem, err=True)
    if problems:
        raise NonesuchError(f"{dataset}: {len(problems)} problems")
    click.echo(f"{dataset}: sound, {read(dataset).images} images verified")
