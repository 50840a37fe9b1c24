"""Commands about vectors: sample them, fit their distribution, make them from photographs."""

from pathlib import Path

import click

from nonesuch.cli import options
from nonesuch.core.weights import read_card
from nonesuch.formats.photographs import find
from nonesuch.generators.generator import GeneratorCard
from nonesuch.identities import statistics as identity_statistics
from nonesuch.identities import table
from nonesuch.identities.photographs import embed_photographs, write_embeddings
from nonesuch.identities.sampling import sample_identities
from nonesuch.identities.source import SamplingOptions, identity_source
from nonesuch.loop.progress import progress_bar
from nonesuch.models import load_detector, load_embedder, shipped_embedder_card, weights_path


@click.command()
@click.argument("out", type=options.PATH)
@click.option("--count", type=int, default=100, show_default=True, help="Identities wanted.")
@options.seed
@options.generator
@options.sampling
@options.statistics_file
@options.max_similarity
@options.fmr
def identities(
    out: Path,
    count: int,
    seed: int,
    generator: str,
    sampling: str | None,
    statistics_file: Path | None,
    max_similarity: float | None,
    fmr: float | None,
) -> None:
    """Sample identity vectors and store them in the Parquet file OUT.

    No two are more alike than the threshold allows; if COUNT of them do not fit, the command says how many do. The
    first n of a larger sample with the same seed are the sample of n.

    \b
    Example:
      nonesuch identities people.parquet --count 1000 --fmr 1e-4
      nonesuch generate faces --vectors people.parquet --images 20
    """
    path = weights_path(generator)
    card = read_card(path, GeneratorCard)
    embedder = shipped_embedder_card(card.embedder, card.embedder_sha256)
    wishes = SamplingOptions(sampling, statistics_file, max_similarity, fmr)
    source = identity_source(card, path, embedder, wishes)
    with progress_bar() as bar:
        vectors = sample_identities(
            source.draw, count, seed, source.max_cosine, lambda done: bar("sampling", done, count)
        )
    table.write_sampled(out, vectors, card.embedder, card.embedder_sha256)
    click.echo(f"{out}: {count} identities of width {vectors.shape[1]}, no two above cosine {source.max_cosine:g}")


@click.command()
@click.argument("embeddings", type=options.PATH)
@click.option("--out", type=options.PATH, required=True, help="The .safetensors file to write.")
def statistics(embeddings: Path, out: Path) -> None:
    """Fit where identity vectors lie, on a table of EMBEDDINGS of photographs.

    Each person counts once, by the mean of their vectors; the table's column `identity` says who is who.

    \b
    Example:
      nonesuch embed photographs.tar --out vectors.parquet
      nonesuch statistics vectors.parquet --out people.safetensors
      nonesuch generate faces --statistics people.safetensors
    """
    found = table.read(embeddings)
    fitted = identity_statistics.fit(found.vectors, found.identities, found.embedder_sha256)
    identity_statistics.save(fitted, out)
    click.echo(f"{out}: mean and {len(fitted.spread)} axes from {fitted.people} people's {found.embedder} vectors")


@click.command()
@click.argument("source", metavar="IN", type=options.PATH)
@click.option("--out", type=options.PATH, required=True, help="The Parquet table to write.")
@click.option("--align", is_flag=True, help="Detect and align 112x112 images too, which else count as aligned.")
@click.option("--crops", type=options.PATH, help="Also write the aligned crops into this folder, as PNG.")
@click.option(
    "--min-face", type=click.IntRange(12), default=40, show_default=True, help="Side of the smallest face, in pixels."
)
@options.embedder
@options.device
@options.dtype
def embed(
    source: Path, out: Path, align: bool, crops: Path | None, min_face: int, embedder: str, device: str, dtype: str
) -> None:
    """Turn photographs into vectors.

    IN is an image, a folder, an uncompressed tar or a dataset. In photographs of any size the largest face is found
    and aligned; one without a face is reported and gets a row without a vector. The table holds `file`, `identity`
    (its folder's name), `embedding` (raw float32) and `detected`.

    \b
    Example:
      nonesuch embed holiday/ --out vectors.parquet --crops aligned/
    """
    model = load_embedder(embedder, device, dtype)
    photographs = find(source)
    detector = load_detector(device, min_face)
    with progress_bar() as bar:
        problems = write_embeddings(
            embed_photographs(photographs, model, detector, always_align=align),
            model,
            out,
            crops,
            lambda done: bar("embedding", done, len(photographs)),
        )
    options.show_problems(problems)
    click.echo(f"{out}: {len(photographs) - len(problems)} of {len(photographs)} photographs embedded by {model.name}")
