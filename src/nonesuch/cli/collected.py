"""Commands that make datasets of images which exist already."""

from pathlib import Path
from typing import Any

import click

from nonesuch.cli import options
from nonesuch.dataset.collected.collecting import CollectedDataset
from nonesuch.dataset.collected.import_images import import_images as make_imported
from nonesuch.dataset.collected.merge_datasets import merge_datasets
from nonesuch.dataset.collected.split_dataset import split_dataset
from nonesuch.dataset.collected.subset_dataset import subset_dataset
from nonesuch.loop.progress import progress_bar

_AT_LEAST_1 = click.IntRange(1)
_shard_images = click.option(
    "--shard-images", type=_AT_LEAST_1, default=10_000, show_default=True, help="Images per shard."
)


@click.command(cls=options.SectionedCommand)
@click.argument("source", type=options.PATH)
@click.argument("out", type=options.PATH)
@click.option(
    "--align", is_flag=True, help="Find and align the face of images that are not 112x112, which are refused otherwise."
)
@options.label
@click.option("--licence", help="Licence of the images, as text for the manifest.  [default: not stated]")
@click.option(
    "--codec",
    type=click.Choice(["jpeg", "png"]),
    help="Format of all images; those that have it keep their bytes.  [default: jpeg, or a dataset's own]",
)
@click.option(
    "--quality", type=click.IntRange(1, 100), default=95, show_default=True, help="Of JPEG that is encoded anew."
)
@_shard_images
@options.device
def import_images(source: Path, out: Path, **chosen: Any) -> None:
    """Make the labelled images of SOURCE a dataset in the folder OUT.

    SOURCE is an image, a folder, an uncompressed tar, an LMDB set, or a manifest of `clean`. A 112x112 JPEG keeps its
    bytes. Every command then works on OUT as on a generated dataset. Identities keep their names, and their numbers as
    labels where all names are numbers; the index keeps the name of each file. Images that are damaged or show no face
    are left out, and OUT/left_out names them. A dataset is copied with its seeds and columns.

    OUT says that it may show real people, unless SOURCE is a dataset that does not. Running the same command again
    resumes what was interrupted.

    \b
    Examples:
      nonesuch import crops/ people
      nonesuch import photographs.tar people --align --licence "CC BY 4.0"
    """
    with progress_bar() as bar:
        made = make_imported(source, out, **chosen, on_progress=bar)
    options.show_problems(made.problems, f"see {made.folder / 'left_out'}")
    _show(made)
    left_out = f"; {len(made.problems):,} were left out" if made.problems else ""
    click.echo(f"{made.kept:,} images kept their bytes, {made.manifest.images - made.kept:,} did not{left_out}")


@click.command(cls=options.SectionedCommand)
@click.argument("out", type=options.PATH)
@click.argument("sources", metavar="SOURCE SOURCE...", type=options.PATH, nargs=-1, required=True)
@click.option("--same-names", is_flag=True, help="Identities of one name, such as imported ones have, are one person.")
@_shard_images
def merge(out: Path, sources: tuple[Path, ...], **chosen: Any) -> None:
    """Make one dataset, in the folder OUT, of several datasets.

    Identities of the first SOURCE keep their labels; those of the others get the next free ones, as label 0 of two
    datasets is two people. Bytes and seeds stay as they are. Columns come along where every part has them from one
    model. OUT's manifest keeps each part's hash, generator and licence; if one may show real people, so may OUT.
    Running the same command again resumes what was interrupted.

    \b
    Example:
      nonesuch merge all faces more_faces
    """
    with progress_bar() as bar:
        made = merge_datasets(out, list(sources), **chosen, on_progress=bar)
    _show(made)
    for part in made.manifest.made_from:
        click.echo(f"  {part['name']}: {part['identities']:,} identities, {part['images']:,} images, {part['licence']}")


@click.command(cls=options.SectionedCommand)
@click.argument("dataset", type=options.PATH)
@click.argument("out", type=options.PATH)
@click.argument("parts", metavar="NAME=SHARE...", nargs=-1, required=True)
@options.seed
@_shard_images
def split(dataset: Path, out: Path, parts: tuple[str, ...], **chosen: Any) -> None:
    """Split DATASET into parts that share no identity, datasets in the folders OUT/NAME.

    A SHARE is of the identities; together they are 1. Every image lands in one part, with its label, key, bytes, seed
    and columns. The same seed gives the same parts. Running the same command again resumes what was interrupted.

    \b
    Example:
      nonesuch split faces parts train=0.9 test=0.1
      nonesuch recognize train run --data parts/train
    """
    with progress_bar() as bar:
        made = split_dataset(dataset, out, list(parts), **chosen, on_progress=bar)
    for one in made.values():
        _show(one)


@click.command(cls=options.SectionedCommand)
@click.argument("dataset", type=options.PATH)
@click.argument("out", type=options.PATH)
@options.where
@click.option("--identities", type=_AT_LEAST_1, help="Of those that --where leaves, only the first so many.")
@click.option("--images", type=_AT_LEAST_1, help="Of each identity, only the first so many.")
@_shard_images
def subset(dataset: Path, out: Path, **chosen: Any) -> None:
    """Make a dataset, in the folder OUT, of chosen images of DATASET.

    --where takes a condition in SQL over the columns of the index (key, label, image, sigma, ...) and all that were
    added. Images keep label, key, bytes, seed and columns. Running the same command again resumes what was interrupted.

    \b
    Examples:
      nonesuch subset faces good --where "quality > 40 and abs(yaw) < 30"
      nonesuch subset faces small --identities 1000 --images 20
    """
    with progress_bar() as bar:
        made = subset_dataset(dataset, out, **chosen, on_progress=bar)
    _show(made)


def _show(made: CollectedDataset) -> None:
    manifest = made.manifest
    click.echo(f"{made.folder}: {manifest.identities:,} identities, {manifest.images:,} images")
    click.echo(manifest.description)
