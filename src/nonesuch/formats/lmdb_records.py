"""LMDB sets of the published layouts: an image and its label, or an image, its vector and its label.

Keys "0".."N-1" hold msgpack of (JPEG bytes, label), for training recognisers, or of (JPEG bytes, float32 vector as .npy
bytes, label, ...), for training generators; `__len__` holds N, `__keys__` the keys, `__classnum__` the number of
labels. A single file; of a folder its `data.mdb`. Nothing in it is unpickled. Needs the `[lmdb]` extra.
"""

import errno
import io
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.formats.class_names import write_class_names
from nonesuch.formats.packs import one_pack, packs
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.to_write import ToWrite

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_BLOCK = 1 << 28  # bytes by which a file may grow
_PAGE = 4096
_AT_ONCE = 1000  # images in a transaction
_OPENED: dict[Path, tuple[tuple[int, int], Any]] = {}  # with the time and size of the file
_OPENING = Lock()
_WRONG = (TypeError, ValueError, EOFError, LookupError, OverflowError, RecursionError)  # of records of other things


@dataclass(frozen=True)
class Record:
    """One image with what is stored with it.

    Attributes:
        image: encoded bytes.
        label: of the person.
    """

    image: bytes
    label: str


@dataclass(frozen=True)
class VectorRecord(Record):
    """One image with its vector.

    Attributes:
        vector: (D,) float32 raw embedding.
    """

    vector: NDArray[np.float32]


@dataclass(frozen=True)
class LmdbPhotograph(Photograph):
    """An image of such a set; its name is its key, its identity its label."""

    @property
    def is_packed(self) -> bool:
        """Whether its file holds other images, too."""
        return True

    def read_bytes(self) -> bytes:
        """The encoded image; raises NonesuchError where the record cannot be read."""
        return read(self.container, self.name).image


@dataclass(frozen=True)
class VectorPhotograph(LmdbPhotograph):
    """An image of a set that has vectors."""

    def record(self) -> VectorRecord:
        """Image, vector and label; errors as in `read_bytes`."""
        found = read(self.container, self.name)
        if not isinstance(found, VectorRecord):
            raise NonesuchError(f"{self.container}: record {self.name} has no vector any more; copy the file again")
        return found


def takes(path: Path) -> bool:
    """Files called `.lmdb` or `.mdb`, or a folder that holds one and neither images nor folders beside it."""
    return bool(_files(path))


def _files(path: Path) -> list[Path]:
    return [file for file in packs(path, (".lmdb", ".mdb")) if file.name != "lock.mdb"]


def find(path: Path, split: str | None) -> list[Photograph]:
    """All images, in the order of their keys' list; there are no splits, so `split` is ignored.

    Raises:
        NonesuchError: as in `keys` and `read`, or a folder holds several sets.
    """
    file = one_pack(path, _files(path))
    found: list[Photograph] = []
    for key in keys(file):
        record = read(file, key)
        kind = VectorPhotograph if isinstance(record, VectorRecord) else LmdbPhotograph
        found.append(kind(key, record.label, file))
    return found


def keys(path: Path) -> list[str]:
    """The keys of all records: those that `__keys__` lists, otherwise 0 .. N - 1.

    Raises:
        NonesuchError: lmdb or msgpack is not installed, or the file is not of this layout.
    """
    lmdb, msgpack = _libraries()
    try:
        with _environment(path).begin() as transaction:
            length, listed = transaction.get(b"__len__"), transaction.get(b"__keys__")
        count = int(msgpack.unpackb(length))
        if listed is None:
            return [str(number) for number in range(count)]
        found = [key.decode() if isinstance(key, bytes) else key for key in msgpack.unpackb(listed)]
    except (lmdb.Error, msgpack.UnpackException, *_WRONG) as error:
        raise NonesuchError(
            f"{path}: not an LMDB of the published layout (its __len__ is not a number, or its __keys__ are no list)"
        ) from error
    if len(found) != count or not all(isinstance(key, str) for key in found):
        raise NonesuchError(f"{path}: __len__ says {count} records, __keys__ lists {len(found)}; copy the file again")
    return found


def read(path: Path, key: str) -> Record:
    """One record, a `VectorRecord` where it has a vector.

    Raises:
        NonesuchError: it is missing, damaged, or not of this layout.
    """
    lmdb, msgpack = _libraries()
    try:
        with _environment(path).begin() as transaction:
            data = transaction.get(key.encode())
        if data is None:
            raise NonesuchError(f"{path}: record {key} is missing; copy the file again")
        image, *vector, label = msgpack.unpackb(data)[:3]
        if not isinstance(image, bytes):
            raise TypeError("its image is not bytes")
        label = label.decode() if isinstance(label, bytes) else label
        if isinstance(label, bool) or not isinstance(label, int | str) or label == "":
            raise TypeError("its label is neither text nor a whole number")
        return VectorRecord(image, str(label), _vector(*vector)) if vector else Record(image, str(label))
    except (lmdb.Error, msgpack.UnpackException, *_WRONG) as error:
        raise NonesuchError(
            f"{path}: record {key} is not (image, label) or (image, vector, label) ({error})"
        ) from error


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


def _environment(path: Path) -> Any:
    """The opened file: opened again where it has been replaced; one process cannot open a file twice."""
    lmdb, _ = _libraries()
    try:
        told = path.stat()
        with _OPENING:
            version, opened = _OPENED.get(path, (None, None))
            if version == (told.st_mtime_ns, told.st_size):
                return opened
            _close(path)
            opened = lmdb.open(str(path), subdir=False, readonly=True, lock=False, readahead=False, meminit=False)
            _OPENED[path] = (told.st_mtime_ns, told.st_size), opened
    except (OSError, lmdb.Error) as error:
        raise NonesuchError(f"{path}: not a readable LMDB file ({error})") from error
    # Pages that a truncated file lacks would end the process with a bus error.
    if (opened.info()["last_pgno"] + 1) * opened.stat()["psize"] > told.st_size:
        _close(path)
        raise NonesuchError(f"{path}: the file is cut off; copy it again")
    return opened


def _close(path: Path) -> None:
    if path in _OPENED:
        _OPENED.pop(path)[1].close()


def write(folder: Path, wanted: ToWrite) -> None:
    """Write `train.lmdb`, of the layout (image, label), and the identity of each class beside it.

    Raises:
        NonesuchError: an image cannot be read, or lmdb or msgpack is not installed.
        OSError: the disk is full.
    """
    lmdb, _ = _libraries()
    path = folder / "train.lmdb"
    try:
        with lmdb.open(str(path), subdir=False, lock=False, map_size=_BLOCK, sync=False, meminit=False) as environment:
            images = enumerate(wanted)
            while block := list(itertools.islice(images, _AT_ONCE)):
                _put(environment, {str(number): (image.data, image.label) for number, image in block})
            numbers = [str(number) for number in range(len(wanted))]
            _put(environment, {"__keys__": numbers, "__len__": len(wanted), "__classnum__": len(wanted.people)})
            environment.sync(True)
    except lmdb.Error as error:
        # It calls a write that was cut short an input/output error, whatever the reason.
        raise OSError(errno.EIO, f"{error}; is the disk full?") from error
    write_class_names(folder, wanted)


def _put(environment: Any, values: Mapping[str, Any]) -> None:
    """Add values in one transaction; the file may grow as far as they need."""
    lmdb, msgpack = _libraries()
    packed = {key.encode(): msgpack.packb(value) for key, value in values.items()}
    needed = sum(len(value) + _PAGE for value in packed.values())
    while True:
        try:
            with environment.begin(write=True) as transaction:
                for key, value in packed.items():
                    transaction.put(key, value)
            return
        except lmdb.MapFullError:
            environment.set_mapsize(environment.info()["map_size"] + _BLOCK + 2 * needed)
