"""Captions as tars for trainers of text-to-image models: each image with its label and its caption beside it.

A tar has its final name only when it is whole, and then a line in the record beside it. One whose line names the same
images and captions is not written again.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from nonesuch.captions.exchange.captioned_shards import shard_captions
from nonesuch.core import files, locks
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CODECS
from nonesuch.formats import manifest as manifests
from nonesuch.formats.plan import Plan
from nonesuch.formats.shards import TAR_HASH, read_index, shard_files
from nonesuch.loop.progress import OnProgress

RECORD = "export.json"
_NAMES = "exported_captions"  # of the content of the record


@dataclass(frozen=True)
class _Tar:
    """A tar as the record has it: the hash of what it was made from, its images, its size in bytes."""

    made_from: str
    images: int
    bytes: int


def export_shards(folder: Path, out: Path, on_progress: OnProgress) -> tuple[int, int, int, int]:
    """Write a tar for each shard that has a caption.

    Returns:
        Images of the dataset, images with a caption, tars, tars that this call wrote.

    Raises:
        NonesuchError: the dataset has no captions or is damaged, `out` holds something else, or the disk is full; tars
            that are whole stay.
    """
    suffix = CODECS[manifests.read(folder).render["codec"]]
    # All captions are read before anything is written, so that a damaged shard is told at once.
    wanted = [_made_from(folder, shard, captions) for shard, captions in enumerate(shard_captions(folder))]
    total = Plan(folder).images
    captioned = sum(images for _, images in wanted)
    if not captioned:
        raise NonesuchError(f"{folder}: none of its {total:,} images has a caption")
    written = done = 0
    with files.made_folder(out, locks.LOCK):
        record = _read_record(out, len(wanted))
        with locks.exclusive(out):
            _write_record(out, record)
            for shard, (captions, (made_from, images)) in enumerate(zip(shard_captions(folder), wanted, strict=True)):
                tar = out / _name(shard)
                if not images:
                    tar.unlink(missing_ok=True)
                    record.pop(tar.name, None)
                elif not _is_whole(tar, record.get(tar.name), made_from):
                    with files.replacing(tar) as temporary:
                        _write_tar(temporary, _members(folder, shard, captions, suffix))
                        size = temporary.stat().st_size
                    record[tar.name] = _Tar(made_from, images, size)
                    _write_record(out, record)
                    written += 1
                done += images
                on_progress("exporting captions", done, captioned)
    return total, captioned, sum(images > 0 for _, images in wanted), written


def _name(shard: int) -> str:
    return f"{shard:06d}.tar"


def _made_from(folder: Path, shard: int, captions: pa.Table) -> tuple[str, int]:
    """A hash of a shard's images and captions, and how many have one."""
    metadata = read_index(shard_files(folder, shard).index).schema.metadata
    texts = captions["caption"].to_pylist()
    told = msgspec.json.encode([metadata[TAR_HASH].decode(), texts])
    return hashlib.sha256(told).hexdigest(), sum(text is not None for text in texts)


def _is_whole(tar: Path, known: _Tar | None, made_from: str) -> bool:
    return known is not None and known.made_from == made_from and tar.is_file() and tar.stat().st_size == known.bytes


def _read_record(out: Path, shards: int) -> dict[str, _Tar]:
    """What an earlier run wrote; raises NonesuchError where the folder holds anything else."""
    path = out / RECORD
    if not path.is_file():
        if held := sorted(item.name for item in out.iterdir() if not item.name.startswith(".")):
            raise NonesuchError(f"{out}: holds {held[0]}, which is no export of captions; name another folder")
        return {}
    content = files.read_json(path).get(_NAMES)
    try:
        record = msgspec.convert(content, dict[str, _Tar])
    except msgspec.ValidationError as error:
        raise NonesuchError(f"{path}: not the record of an export of captions; name another folder") from error
    if not set(record) <= {_name(shard) for shard in range(shards)}:
        raise NonesuchError(f"{out}: holds the captions of another dataset; name another folder")
    return record


def _write_record(out: Path, record: dict[str, _Tar]) -> None:
    files.write_json(out / RECORD, {_NAMES: {name: asdict(tar) for name, tar in record.items()}})


def _members(folder: Path, shard: int, captions: pa.Table, suffix: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents of what a tar holds."""
    place = shard_files(folder, shard)
    rows = read_index(place.index).select(["key", "label", "offset", "size", "sha256"]).to_pylist()
    for row, caption in zip(rows, captions["caption"].to_pylist(), strict=True):
        if caption is not None:
            yield row["key"] + suffix, _image(place.tar, row)
            yield row["key"] + ".cls", str(row["label"]).encode()
            yield row["key"] + ".txt", caption.encode()


def _image(tar: Path, row: dict[str, Any]) -> bytes:
    try:
        with tar.open("rb") as file:
            file.seek(row["offset"])
            data = file.read(row["size"])
    except OSError as error:
        raise NonesuchError(f"{tar}: not readable ({error.strerror or error})") from error
    if hashlib.sha256(data).digest() != row["sha256"]:
        raise NonesuchError(f"{tar}: {row['key']} is not what its index says; 'nonesuch verify' tells what is damaged")
    return data


def _write_tar(path: Path, members: Iterator[tuple[str, bytes]]) -> None:
    with tarfile.TarFile(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mode = 0o644
            archive.addfile(info, io.BytesIO(data))
