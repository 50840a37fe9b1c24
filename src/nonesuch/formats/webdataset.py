"""WebDataset: a folder of tar shards, in which files of one name before the first dot are one sample."""

import hashlib
import io
import tarfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import msgspec

from nonesuch.core import tables
from nonesuch.formats import tar
from nonesuch.formats.packs import packs, without_unlabelled
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.sample_labels import SampleLabels
from nonesuch.formats.to_write import ToWrite

_SHARD = 10_000  # images


def takes(path: Path) -> bool:
    """Folders of tars, with neither images nor folders beside them."""
    return path.is_dir() and bool(packs(path, (".tar",)))


def find(path: Path, split: str | None) -> list[Photograph]:
    """The images of all shards, shard by shard, each as `tar.find` gives them.

    A table beside a shard counts where it has a column `file`; others, such as those of img2dataset, say nothing about
    labels. An image whose name recurs in another shard is named after its shard too.

    Raises:
        NonesuchError: as in `tar.find`.
    """
    found = []
    for shard in packs(path, (".tar",)):
        table = tar.table_beside(shard)
        if table is not None and "file" in tables.column_names(table):
            found += tar.find(shard, split)
        else:
            found += tar.members(shard, SampleLabels())
    kept = without_unlabelled(path, found)
    times = Counter(item.name for item in kept)
    return [
        replace(item, name=f"{item.container.stem}/{item.name}") if times[item.name] > 1 and item.identity else item
        for item in kept
    ]


def write(folder: Path, wanted: ToWrite) -> None:
    """Write shards of 10,000 samples: the image, its class as `.cls`, and identity, name and SHA-256 as `.json`.

    Raises:
        NonesuchError: an image cannot be read.
        OSError: the disk is full.
    """
    images = iter(wanted)
    for number, start in enumerate(range(0, len(wanted), _SHARD)):
        with tarfile.TarFile(folder / f"{number:06d}.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
            for place in range(start, min(start + _SHARD, len(wanted))):
                image = next(images)
                about = {
                    "identity": image.identity,
                    "file": image.name,
                    "sha256": hashlib.sha256(image.data).hexdigest(),
                }
                _add(archive, f"{place:09d}{image.suffix}", image.data)
                _add(archive, f"{place:09d}.cls", str(image.label).encode())
                _add(archive, f"{place:09d}.json", msgspec.json.encode(about))


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = 0o644
    archive.addfile(member, io.BytesIO(data))
