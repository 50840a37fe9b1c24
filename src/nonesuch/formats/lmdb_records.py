"""Records of the published LMDB layout for generator training: an image, its vector, its label.

Keys "0".."N-1" hold msgpack of (JPEG bytes, float32 vector as .npy bytes, label, ...); `__len__` holds N. A single
file, not a folder. Nothing in it is unpickled. Needs the `[lmdb]` extra.
"""

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.formats.photographs import Photograph


@dataclass(frozen=True)
class Record:
    """One image with what is stored with it.

    Attributes:
        image: encoded bytes.
        vector: (D,) float32 raw embedding.
        label: of the person.
    """

    image: bytes
    vector: NDArray[np.float32]
    label: str


@dataclass(frozen=True)
class LmdbPhotograph(Photograph):
    """An image of such a set; its name is its key, its identity its label."""

    def read_bytes(self) -> bytes:
        """The encoded image; raises NonesuchError where the record cannot be read."""
        return self.record().image

    def record(self) -> Record:
        """Image, vector and label; errors as in `read_bytes`."""
        return read(self.container, self.name)


def takes(path: Path) -> bool:
    """Files called `.lmdb` or `.mdb`."""
    return path.suffix.lower() in (".lmdb", ".mdb")


def find(path: Path, split: str | None) -> list[Photograph]:
    """All images, by number; there are no splits, so `split` is ignored.

    Raises:
        NonesuchError: as in `count` and `read`.
    """
    return [LmdbPhotograph(str(key), read(path, str(key)).label, path) for key in range(count(path))]


def count(path: Path) -> int:
    """Number of records.

    Raises:
        NonesuchError: lmdb or msgpack is not installed, or the file is not of this layout.
    """
    lmdb, msgpack = _libraries()
    try:
        with _environment(path).begin() as transaction:
            length = transaction.get(b"__len__")
        return int(msgpack.unpackb(length))
    except (lmdb.Error, TypeError, ValueError, msgpack.UnpackException) as error:
        raise NonesuchError(f"{path}: not an LMDB of the published layout (its __len__ is not a number)") from error


def read(path: Path, key: str) -> Record:
    """One record.

    Raises:
        NonesuchError: it is missing, damaged, or not of this layout.
    """
    lmdb, msgpack = _libraries()
    try:
        with _environment(path).begin() as transaction:
            data = transaction.get(key.encode())
        if data is None:
            raise NonesuchError(f"{path}: record {key} is missing; copy the file again")
        image, vector, label = msgpack.unpackb(data)[:3]
        if not isinstance(image, bytes):
            raise TypeError("its image is not bytes")
        array = np.load(io.BytesIO(vector), allow_pickle=False).astype(np.float32).reshape(-1)
        label = label.decode() if isinstance(label, bytes) else label
        if not isinstance(label, int | str) or label == "":
            raise TypeError("its label is neither text nor a whole number")
        return Record(image, array, str(label))
    except (lmdb.Error, msgpack.UnpackException, TypeError, ValueError, EOFError) as error:
        raise NonesuchError(f"{path}: record {key} is not (image, vector, label) ({error})") from error


def _libraries() -> tuple[Any, Any]:
    try:
        import lmdb
        import msgpack
    except ImportError as error:
        raise NonesuchError("LMDB sets need lmdb and msgpack: pip install 'nonesuch[lmdb]'") from error
    return lmdb, msgpack


@lru_cache(maxsize=8)
def _environment(path: Path) -> Any:
    lmdb, _ = _libraries()
    try:
        opened = lmdb.open(str(path), subdir=False, readonly=True, lock=False, readahead=False, meminit=False)
    except lmdb.Error as error:
        raise NonesuchError(f"{path}: not a readable LMDB file ({error})") from error
    # Pages that a truncated file lacks would end the process with a bus error.
    if (opened.info()["last_pgno"] + 1) * opened.stat()["psize"] > path.stat().st_size:
        raise NonesuchError(f"{path}: the file is cut off; copy it again")
    return opened
