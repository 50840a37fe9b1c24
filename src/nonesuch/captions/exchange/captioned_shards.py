"""The captions of a dataset of ours, shard by shard."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from nonesuch.captions.captioned import GROUP, sound_captions
from nonesuch.core import parquet
from nonesuch.core.errors import NonesuchError
from nonesuch.formats import manifest as manifests
from nonesuch.formats.columns import MADE_BY, columns_file
from nonesuch.formats.plan import Plan


def check_captioned(folder: Path) -> None:
    """Raises NonesuchError unless a dataset is complete and each of its shards has captions, sound or not."""
    if not manifests.read(folder).complete:
        raise NonesuchError(f"{folder}: not complete; run the command that made it again")
    for shard in range(Plan(folder).shards):
        if not columns_file(folder, GROUP, shard).is_file():
            raise NonesuchError(f"{folder}: shard {shard:06d} has no captions; run 'nonesuch caption {folder}'")


def shard_captions(folder: Path) -> Iterator[pa.Table]:
    """`key` and `caption` of the images of each shard, in plan order.

    Raises:
        NonesuchError: a shard's captions are missing, damaged, about other images, or made in another way than those
            before them.
    """
    makers: set[bytes] = set()
    for shard in range(Plan(folder).shards):
        table = parquet.read_table(sound_captions(folder, shard))
        makers.add(table.schema.metadata[MADE_BY])
        if len(makers) > 1:
            raise NonesuchError(
                f"{folder}: its captions were made in different ways; run 'nonesuch caption {folder}' again"
            )
        yield table.select(["key", "caption"]).replace_schema_metadata(None)
