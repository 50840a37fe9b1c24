"""Records of the published LMDB layout for generator training: an image, its vector, its label.

Keys "0".."N-1" hold msgpack of (JPEG bytes, float32 vector as .npy bytes, label, ...); `__len__` holds N. A single
file, not a folder. Nothing in it is unpickled. Needs the `[lmdb]` extra.
"""

import io
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.formats.photographs import Photograph

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_WRONG = (TypeError, ValueError, EOFError, LookupError, OverflowError, RecursionError)  # of records of other things


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
    except (lmdb.Error, msgpack.UnpackException, *_WRONG) as error:
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
        label = label.decode() if isinstance(label, bytes) else label
        if not isinstance(label, int | str) or label == "":
            raise TypeError("its label is neither text nor a whole number")
        return Record(image, _vector(vector), str(label))
    except (lmdb.Error, msgpack.UnpackException, *_WRONG) as error:
        raise NonesuchError(f"{path}: record {key} is not (image, vector, label) ({error})") from error


def _vector(data: Any) -> NDArray[np.float32]:
    """The numbers of .npy bytes. What the header claims must be there: a few bytes could ask for any memory.

    Raises:
        TypeError, ValueError: they are no .npy file of numbers, or hold more or fewer than they claim.
    """
    if not isinstance(data, bytes):
        raise TypeError("its vector is not bytes")
    content = io.BytesIO(data)
    try:
        shape, _, dtype = _HEADERS[np.lib.format.read_magic(content)](content)
    except Exception as error:  # numpy parses the header as Python's literals, which fail in many ways
        raise ValueError(f"its vector is no .npy file: {type(error).__name__}") from error
    if dtype.kind not in "fiu":
        raise ValueError(f"its vector is an array of {dtype.name}")
    if any(side < 0 for side in shape) or math.prod(shape) * dtype.itemsize != len(data) - content.tell():
        raise ValueError(f"its vector claims the shape {shape}, which its bytes do not fill")
    return np.frombuffer(data, dtype, offset=content.tell()).astype(np.float32)


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
