"""The table of readers: which reader takes which file or folder.

A new format is a file of its own beside these, with a `takes` and a `find` like theirs, and a line in `READERS`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import IMAGE_SUFFIXES
from nonesuch.formats import (
    dataset,
    folder,
    image_file,
    image_parquet,
    lmdb_records,
    manifest,
    packed_pairs,
    recordio,
    relabelling,
    tar,
    webdataset,
)
from nonesuch.formats.labels import labelled
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.shard_rows import ShardRows


@dataclass(frozen=True)
class Reader:
    """A way in which labelled images are kept.

    Attributes:
        takes: whether a path that exists is of this kind, by its name or by the folder's content.
        find: its images, of one split or of all (None), in an order that is the same each time; raises NonesuchError
            where it is damaged. A reader without splits ignores them; one without labels leaves them to `labelled`.
    """

    takes: Callable[[Path], bool]
    find: Callable[[Path, str | None], Sequence[Photograph]]


def find(path: Path, split: str | None = None, label: str | None = None) -> Sequence[Photograph]:
    """All images of a source, in name order; those of a dataset of ours, in plan order, as `ShardRows`.

    A source is an image file, a folder (searched through), a dataset of ours, a published set (an uncompressed tar,
    WebDataset, RecordIO, LMDB, Parquet with images, a packed set; each is a file or a folder of its files), or a
    manifest of any of these after cleaning (`.parquet`, see `nonesuch.formats.relabelling`). Each has a file in
    `nonesuch.formats` that says how it is read.

    Args:
        path: where to look.
        split: where the table names splits, only the images of this one.
        label: which folder names the identity, see `nonesuch.formats.labels`.

    Raises:
        NonesuchError: nothing is there, the tar is damaged or empty, no image is found, the images of a manifest
            have moved or changed, or the folders are not those of people.
    """
    if not path.exists():
        raise NonesuchError(f"{path}: no such file or folder")
    found = next(reader for reader in READERS if reader.takes(path)).find(path, split)
    if not found:
        raise NonesuchError(f"{path}: holds no images ({', '.join(IMAGE_SUFFIXES)})")
    return found if isinstance(found, ShardRows) else labelled(found, path, label)


# The first that takes a path reads it: a dataset of ours is a folder too, a manifest is a Parquet file without images,
# and a tar is what no other reader takes.
READERS = (
    Reader(manifest.is_dataset, dataset.find),
    Reader(recordio.takes, recordio.find),
    Reader(lmdb_records.takes, lmdb_records.find),
    Reader(image_parquet.takes, image_parquet.find),
    Reader(webdataset.takes, webdataset.find),
    Reader(folder.takes, folder.find),
    Reader(image_file.takes, image_file.find),
    Reader(packed_pairs.takes, packed_pairs.find),
    Reader(relabelling.takes, lambda path, split: relabelling.find(path, split, find)),
    Reader(tar.takes, tar.find),
)
