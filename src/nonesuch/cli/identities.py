"""Commands about vectors: sample them, fit their distribution, make them from photographs."""

from pathlib import Path
from typing import Any

import click

from nonesuch.cli import options
from nonesuch.cli.options import section
from nonesuch.identities.embed_photographs import embed_photographs
from nonesuch.identities.fit_statistics import fit_statistics
from nonesuch.identities.pack_identities import pack_identities
from nonesuch.identities.sample_identities import sample_identities
from nonesuch.identities.source import DEFAULT_FMR
from nonesuch.loop.progress import progress_bar
from nonesuch.perception.faces import ALL, CLOSEST, FACE

# Of commands that draw identity vectors.
_drawn = section(
    "How vectors are drawn",
    options.generator,
    options.sampling,
    options.statistics,
    options.max_similarity,
    options.fmr,
    options.seed,
)


@click.command(cls=options.SectionedCommand)
@click.argument("out", type=options.PATH)
@click.option("--identities", type=click.IntRange(1), default=100, show_default=True, help="How many to sample.")
@_drawn
@section(
    "Where else they come from",
    click.option(
        "--from-unconditional",
        metavar="GENERATOR",
        help="Take the vectors of images that this generator draws of nobody in particular: an unconditional "
        "IDiff-Face, or one that learned without identities too.",
    ),
    click.option("--embedder", help="Embedder for --from-unconditional, a name or a file.  [default: the generator's]"),
    click.option(
        "--extend",
        type=options.PATH,
        help="A smaller table of the same options: its identities come first, and only those that are added are "
        "checked.",
    ),
)
@section(
    "Who is taken",
    click.option(
        "--away-from",
        type=options.PATH,
        multiple=True,
        help="Match none of these people: a table of vectors of 'embed' or 'identities', or a dataset; repeatable.",
    ),
    click.option(
        "--away-fmr",
        type=float,
        default=DEFAULT_FMR,
        show_default=True,
        help="False match rate of --away-from's embedder at which two match.",
    ),
    click.option(
        "--quota",
        metavar="SHARE%: CONDITION",
        multiple=True,
        help="Which share of the identities shows what, in the perceiver's eyes; the condition is SQL over the columns "
        "of 'perceive'; repeatable.",
    ),
)
@options.device
def identities(out: Path, **chosen: Any) -> None:
    """Sample identity vectors and store them in the Parquet file OUT.

    No two are more alike than the threshold allows; if that many do not fit, the command says how many do. The
    first n of a larger sample with the same seed are the sample of n. A long sample is saved every minute; after a kill
    the same command goes on.

    \b
    Examples:
      nonesuch identities people.parquet --identities 1000 --fmr 1e-4
      nonesuch identities people.parquet --quota "30%: ethnicity = 'Asian' and gender = 'female' and age < 60"
      nonesuch identities apart.parquet --away-from staff.parquet
      nonesuch identities more.parquet --identities 1200 --fmr 1e-4 --extend people.parquet
      nonesuch generate faces --vectors people.parquet --images 20
      nonesuch identities people.parquet --generator idiff.safetensors --from-unconditional unconditional.safetensors
    """
    with progress_bar() as bar:
        found = sample_identities(out, **chosen, on_progress=bar)
    click.echo(
        f"{out}: {found.identities} identities of width {found.width}, no two above cosine {found.max_similarity:g} "
        f"(the closest two: {found.closest:.6f}), of {found.drawn:,} drawn"
    )


@click.command("pack-identities", cls=options.SectionedCommand)
@click.argument("out", type=options.PATH)
@click.option("--identities", type=click.IntRange(2), default=1000, show_default=True, help="How many; 20,000 at most.")
@_drawn
@options.device
def pack(out: Path, **chosen: Any) -> None:
    """Make identity vectors that lie as far apart as they can, and store them in the Parquet file OUT.

    Each starts as a draw of the distribution; gradient steps push those that are closest apart (HyperFace). Where
    'identities' rejects candidates above a cosine, this lowers the largest cosine. A smaller sample is no part of a
    larger one.

    \b
    Example:
      nonesuch pack-identities people.parquet --identities 10000
      nonesuch generate faces --vectors people.parquet --images 50
    """
    with progress_bar() as bar:
        found = pack_identities(out, **chosen, on_progress=bar)
    click.echo(
        f"{out}: {found.identities} identities of width {found.width}, the closest two at cosine {found.closest:.4f}"
    )


@click.command(cls=options.SectionedCommand)
@click.argument("embeddings", type=options.PATH)
@click.option("--out", type=options.PATH, required=True, help="The .safetensors file to write.")
def statistics(embeddings: Path, out: Path) -> None:
    """Fit the distribution of identity vectors to a table of EMBEDDINGS of photographs.

    Each person counts once, by the mean of their vectors; the table's column `identity` says who is who.

    \b
    Example:
      nonesuch embed photographs.tar --out vectors.parquet
      nonesuch statistics vectors.parquet --out people.safetensors
      nonesuch generate faces --statistics people.safetensors
    """
    found = fit_statistics(embeddings, out)
    click.echo(f"{out}: mean and {found.axes} axes from {found.people} people's {found.embedder} vectors")


@click.command(cls=options.SectionedCommand)
@click.argument("source", metavar="IN", type=options.PATH)
@click.option("--out", type=options.PATH, required=True, help="The Parquet table to write.")
@click.option("--align", is_flag=True, help="Detect and align 112x112 images too, which otherwise count as aligned.")
@options.label
@click.option(
    "--face",
    type=click.Choice(FACE.words),
    default=CLOSEST,
    show_default=True,
    help="Which face of several: the one closest to the other photographs of its identity, the largest, the one "
    "nearest to the middle, or all, a row and a crop each.",
)
@click.option(
    "--crops", type=options.PATH, help="Also write the aligned crops as PNG, in a folder per identity below this one."
)
@click.option(
    "--min-face", type=click.IntRange(12), default=40, show_default=True, help="Side of the smallest face, in pixels."
)
@options.embedder
@options.device
@options.dtype
def embed(source: Path, out: Path, **chosen: Any) -> None:
    """Turn photographs into vectors.

    IN is an image, a folder, a dataset, or a published set (tar, WebDataset, RecordIO, LMDB, Parquet). Photographs may
    have any size: the face is found and aligned. A photograph without a face is reported and gets a row without a
    vector. The table holds `file`, `identity` (the first folder's name, or what the set says), `embedding` (raw
    float32), `detected`, `faces` (how many were found), `face` (which of them this is, 1 for the largest) and `unclear`
    (another may as well be meant).

    \b
    Examples:
      nonesuch embed holiday/ --out vectors.parquet --crops aligned/
      nonesuch embed lfw/ --out vectors.parquet --face central
    """
    with progress_bar() as bar:
        found = embed_photographs(source, out, **chosen, on_progress=bar)
    options.show_problems(found.problems)
    of = "faces of" if chosen["face"] == ALL else "of"
    click.echo(f"{out}: {found.vectors} {of} {found.photographs} photographs embedded by {found.embedder}")
