"""Faults that tests really make."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

_VERSION_3, _DAC_OVERRIDE = 0x20080522, 1 << 1  # of capset(2)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Inside the block nothing can be written below a folder by this thread, not even by root."""
    places = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for place in places:
        place.chmod(0o555)
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, twice
    as_root = os.geteuid() == 0
    if as_root:
        assert libc.capget(header, data) == 0
        data[0] &= ~_DAC_OVERRIDE
        assert libc.capset(header, data) == 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        if as_root:
            data[0] |= _DAC_OVERRIDE
            assert libc.capset(header, data) == 0
        for place in places:
            place.chmod(0o755)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Inside the block no file can grow beyond so many bytes, as on a full disk."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def flip_byte(shard: Path, row: int) -> dict[str, Any]:
    """Change one bit in the middle of an image of a shard, whose tar this is; returns the image's row of the index."""
    image: dict[str, Any] = pq.read_table(shard.with_suffix(".parquet")).to_pylist()[row]
    with shard.open("r+b") as file:
        file.seek(image["offset"] + image["size"] // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
    return image
