"""Reading the images of a dataset of ours: as photographs like any other, or by shard and row."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nonesuch.core import images
from nonesuch.core.images import CODECS, Pixels
from nonesuch.formats import manifest as manifests
from nonesuch.formats.plan import Plan, PlanRows
from nonesuch.formats.shard_columns import shard_columns
from nonesuch.formats.shard_rows import ShardRows
from nonesuch.formats.shards import read_index, shard_files


@dataclass(frozen=True)
class IdentityImages:
    """Images of one identity.

    Attributes:
        label: of the identity.
        vector: (D,) float32 raw base vector.
        images: (N, H, W, 3) uint8.
    """

    label: int
    vector: NDArray[np.float32]
    images: Pixels


def find(path: Path, split: str | None) -> ShardRows:
    """The images of all shards that are there, in plan order; there are no splits, so `split` is ignored.

    They are those that the indices name. A shard without an index is not finished: of a dataset that is complete it is
    an error, otherwise it does not count.

    Raises:
        NonesuchError: an index is missing or damaged, or does not fit its tar or the plan.
    """
    manifest = manifests.read(path)
    numbers = {int(tar.stem) for tar in (path / "shards").glob("*.tar") if tar.stem.isdecimal()}
    found = [number for number in numbers if manifest.complete or shard_files(path, number).index.is_file()]
    columns = shard_columns(path, np.sort(np.array(found, dtype=np.int32)))
    return ShardRows(columns, CODECS[manifest.render["codec"]])


def read_identities(folder: Path, most_identities: int, most_images: int) -> list[IdentityImages]:
    """The first images of the first identities, in order of their labels.

    Raises:
        NonesuchError: the plan, an index or an image cannot be read.
    """
    plan = Plan(folder)
    found: list[IdentityImages] = []
    for shard in range(plan.shards):
        rows = plan.read(shard)
        found += _of_shard(folder, shard, rows, most_identities - len(found), most_images)
        if len(found) >= most_identities:
            break
    return found


def _of_shard(folder: Path, shard: int, rows: PlanRows, identities: int, most_images: int) -> list[IdentityImages]:
    found = []
    for label in np.unique(rows.identity)[:identities]:
        chosen = np.flatnonzero(rows.identity == label)[:most_images]
        pixels = np.stack(list(shard_images(folder, shard, chosen)))
        found.append(IdentityImages(int(label), rows.vectors[rows.vector_row[chosen[0]]], pixels))
    return found


def shard_images(folder: Path, shard: int, rows: NDArray[np.int64] | None = None) -> Iterator[Pixels]:
    """Images of a shard, decoded one after the other; all of them, or those of these rows of its index.

    Raises:
        NonesuchError: the index or an image cannot be read.
    """
    place = shard_files(folder, shard)
    index = read_index(place.index)
    offsets, sizes = index["offset"].to_numpy(), index["size"].to_numpy()
    with place.tar.open("rb") as handle:
        for row in np.arange(len(index)) if rows is None else rows:
            images.check_size(int(sizes[row]), str(place.tar))
            handle.seek(offsets[row])
            yield images.decode(handle.read(sizes[row]), f"{place.tar}:{index['key'][int(row)]}")
