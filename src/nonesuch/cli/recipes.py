"""Commands for a dataset's small form: writing it, and making the images again."""

from pathlib import Path
from typing import Any

import click

from nonesuch.cli import options
from nonesuch.cli.options import section
from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.rebuild_dataset import OtherShard, RebuiltDataset, rebuild_dataset
from nonesuch.dataset.write_recipe import write_recipe
from nonesuch.loop.progress import progress_bar

_MOST_SHOWN = 20
_MEGABYTE = 1e6


@click.command(cls=options.SectionedCommand)
@click.argument("dataset", type=options.PATH)
@click.argument("out", type=options.PATH)
def recipe(dataset: Path, out: Path) -> None:
    """Write the recipe of DATASET into the new or empty folder OUT: its manifest, plan and identities, no images.

    The manifest names the hash of every shard, so that 'nonesuch rebuild' can make the images again, anywhere the
    weights are, and tell whether they are the same. Columns that were added are left out, but for those of steering,
    which are made again.

    \b
    Example:
      nonesuch recipe faces faces_recipe
    """
    with progress_bar() as bar:
        found = write_recipe(dataset, out, on_progress=bar)
    click.echo(
        f"{out}: {found.bytes / _MEGABYTE:.1f} MB for {found.manifest.images} images, "
        f"whose shards take {found.shard_bytes / _MEGABYTE:.1f} MB"
    )
    if found.manifest.shows_real_people:
        click.echo(found.manifest.description)


@click.command(cls=options.SectionedCommand)
@click.argument("dataset", type=options.PATH)
@click.argument("out", type=options.PATH, required=False)
@section(
    "The work",
    click.option("--generator", help="File of the weights, with its card.  [default: the shipped ones that it names]"),
    click.option("--workers", type=click.IntRange(1), help="Rendering threads.  [default: the CPU's cores]"),
    options.processes,
    options.ray,
    options.shards,
    options.device,
)
def rebuild(dataset: Path, out: Path | None, **chosen: Any) -> None:
    """Make the shards that the manifest of DATASET names and its folder lacks, there or in the folder OUT.

    Every hash is compared with the manifest's, and a non-zero exit status says that some are others. Equal render
    settings, torch and CPU features give equal bits; otherwise float32 pixels agree within one grey level before the
    codec. With OUT and the original images in DATASET, shards with other bits are compared pixel by pixel.

    \b
    Examples:
      nonesuch rebuild faces_recipe faces
      nonesuch rebuild faces --generator mine.safetensors --processes 8
    """
    with progress_bar() as bar:
        made = rebuild_dataset(dataset, out, **chosen, on_progress=bar)
    speed = f"{made.rendered / made.seconds:.0f} images/s" if made.rendered else "nothing left to render"
    click.echo(f"{made.folder}: {made.rendered} images made, {speed}")
    if made.missing:
        click.echo(f"{made.missing} shards are left to other parts")
    if not made.others:
        click.echo("every hash is the manifest's")
        return
    for shard in made.others[:_MOST_SHOWN]:
        click.echo(_words(shard), err=True)
    raise NonesuchError(_verdict(made))


def _words(shard: OtherShard) -> str:
    if shard.largest is None:
        return f"shard {shard.number:06d}: other bits than the manifest's; the original is not here to compare with"
    side = "" if shard.within is None else " within the tolerance" if shard.within else " OUTSIDE the tolerance"
    return (
        f"shard {shard.number:06d}: other bits than the manifest's,{side}: pixels differ by at most "
        f"{shard.largest} grey levels, by {shard.mean:.3f} in the mean of the worst image"
    )


def _verdict(made: RebuiltDataset) -> str:
    count = f"{made.folder}: {len(made.others)} shards have other bits than the manifest's"
    if outside := [shard.number for shard in made.others if shard.within is False]:
        return f"{count}, {len(outside)} of them outside the tolerance; remove these, and check the weights"
    if made.differences:
        why = f"rendered in another way ({'; '.join(made.differences)})"
        known = "float32 pixels then agree within one grey level before the codec; " if made.in_float32 else ""
        return f"{count}: {why}; {known}the shards are kept"
    if made.manifest.environments:
        return f"{count}, though rendered in the same way; remove them, or check the weights and this machine's memory"
    return f"{count}; how those were rendered is not recorded, and the shards are kept"
