"""Shards: tar files of whole identities, each with a Parquet index, readable as WebDataset."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc

from nonesuch.core import parquet
from nonesuch.core.errors import NonesuchError

INDEX_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("label", pa.int64()),
        ("image", pa.int32()),
        ("seed", pa.uint64()),
        ("sigma", pa.float32()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("sha256", pa.binary(32)),
    ]
)
# Of a dataset made of images that existed before: also which entry of the manifest's `made_from` an image comes from,
# and its name there. Seed and sigma are null where it was not generated from a plan of ours.
COLLECTED_SCHEMA = pa.schema([*INDEX_SCHEMA, ("part", pa.int32()), ("file", pa.string())])
_OF_PLANS = ("seed", "sigma")
LABEL_DIGITS, IMAGE_DIGITS = 7, 5  # at least, of a key
TAR_HASH, TAR_BYTES, MADE_FROM, RENDER = b"tar_sha256", b"tar_bytes", b"made_from", b"render"  # metadata of the index


@dataclass(frozen=True)
class ShardFiles:
    """The files of shard `number` of a dataset folder: the index is written last, so it marks the shard as complete."""

    tar: Path
    index: Path


def shard_files(folder: Path, number: int) -> ShardFiles:
    """Places of a shard's two files."""
    stem = folder / "shards" / f"{number:06d}"
    return ShardFiles(stem.with_suffix(".tar"), stem.with_suffix(".parquet"))


def image_key(identity: int, image: int) -> str:
    """A WebDataset key that unpacks to one folder per identity."""
    return f"{identity:0{LABEL_DIGITS}d}/{image:0{IMAGE_DIGITS}d}"


def key_of(name: str) -> str:
    """The key of an image by its name in the tar."""
    return PurePosixPath(name).with_suffix("").as_posix()


def read_index(path: Path) -> pa.Table:
    """A shard's index, of `INDEX_SCHEMA` or `COLLECTED_SCHEMA`.

    Raises:
        NonesuchError: the file is missing, damaged, or not an index.
    """
    table = parquet.read_checked(path, "shard index")
    collected = table.schema.equals(COLLECTED_SCHEMA, check_metadata=False)
    if not collected and not table.schema.equals(INDEX_SCHEMA, check_metadata=False):
        raise NonesuchError(f"{path}: its columns are not those of a shard index")
    whole = not any(table[name].null_count for name in table.column_names if not collected or name not in _OF_PLANS)
    whole = whole and all((pc.min(table[name]).as_py() or 0) >= 0 for name in ("offset", "size"))
    if not whole or TAR_HASH not in (table.schema.metadata or {}):
        raise NonesuchError(f"{path}: lacks a value or the hash of its tar, or names a place before it")
    return table


def read_told(path: Path) -> dict[bytes, bytes]:
    """What an index tells of its tar, by TAR_HASH and the other names, without its rows.

    Raises:
        NonesuchError: the index is missing or damaged.
    """
    try:
        return parquet.read_schema(path).metadata or {}
    except parquet.UNREADABLE as error:
        raise NonesuchError(f"{path}: damaged; remove it and run the same command again") from error


def is_complete(files: ShardFiles, made_from: str) -> bool:
    """Whether a shard's files are both there, made from this plan and generator, the tar of its stated size.

    Raises:
        NonesuchError: the index is damaged.
    """
    if not files.index.is_file() or not files.tar.is_file():
        return False
    metadata = read_told(files.index)
    size_fits = metadata.get(TAR_BYTES) == str(files.tar.stat().st_size).encode()
    return size_fits and metadata.get(MADE_FROM) == made_from.encode()
