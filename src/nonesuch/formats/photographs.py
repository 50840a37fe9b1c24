"""Labelled images in their place, whichever reader found them (`nonesuch.formats.readers`).

Nothing is unpacked: a tar's members are read in place by offset, so that any image can be read in any order and from
any thread.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nonesuch.core import images
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_SIZE, IMAGE_SUFFIXES, Pixels

_NOT_OURS = ("__MACOSX", "@eaDir")  # folders with thumbnails and notes, which archives and network disks add


@dataclass(frozen=True)
class Photograph:
    """The place of one image.

    Attributes:
        name: path inside its source, with forward slashes.
        identity: the person's label; "" where a reader knows none, which `nonesuch.formats.labels` then fills in.
        container: the file that holds the bytes.
        offset, size: which bytes; size -1 for the whole file.
    """

    name: str
    identity: str
    container: Path
    offset: int = 0
    size: int = -1

    def read_bytes(self) -> bytes:
        """The encoded image.

        Raises:
            NonesuchError: the file cannot be read any more, or is shorter than it was.
        """
        try:
            if self.size < 0:
                return self.container.read_bytes()
            handle = os.open(self.container, os.O_RDONLY)
            try:
                data = os.pread(handle, self.size, self.offset)
            finally:
                os.close(handle)
        except OSError as error:
            raise NonesuchError(f"{self.container}: {error.strerror or error}") from error
        if len(data) != self.size:
            raise NonesuchError(f"{self.container}: truncated, {self.name} is cut off; copy the file again")
        return data

    def read(self) -> Pixels:
        """Decode it: (H, W, 3) uint8 RGB; errors as in `nonesuch.core.images.decode`."""
        return images.decode(self.read_bytes(), self.name if self.size < 0 else f"{self.container}:{self.name}")

    def read_crop(self) -> Pixels:
        """Decode an aligned crop: (112, 112, 3) uint8 RGB.

        Raises:
            NonesuchError: unreadable, or of another size.
        """
        pixels = self.read()
        if pixels.shape != (CROP_SIZE, CROP_SIZE, 3):
            height, width = pixels.shape[:2]
            raise NonesuchError(
                f"{self.name}: {width}x{height}, training needs crops aligned at 112x112; "
                "make them with 'nonesuch embed IN --crops FOLDER'"
            )
        return pixels


@dataclass(frozen=True)
class HeldPhotograph(Photograph):
    """An image whose encoded bytes are in memory, such as one of a packed set.

    Attributes:
        data: the encoded image.
    """

    data: bytes = b""

    def read_bytes(self) -> bytes:
        """The encoded image."""
        return self.data


def exclude(photographs: Iterable[Photograph], names: set[str]) -> list[Photograph]:
    """The photographs whose identity, name and file name are not among `names`."""
    return [
        item
        for item in photographs
        if item.identity not in names and item.name not in names and PurePosixPath(item.name).name not in names
    ]


def read_names(path: Path) -> set[str]:
    """The lines of a text file, such as a list of people to leave out.

    Raises:
        NonesuchError: the file cannot be read or names nobody.
    """
    try:
        names = {line.strip() for line in path.read_text(encoding="utf-8").splitlines()} - {""}
    except (OSError, UnicodeDecodeError) as error:
        raise NonesuchError(f"{path}: not a readable list of names ({error})") from error
    if not names:
        raise NonesuchError(f"{path}: the list of names is empty")
    return names


def excluded_names(lists: Iterable[Path], photographs: list[Photograph]) -> set[str]:
    """The names in the lists of --exclude, for `exclude`.

    Raises:
        NonesuchError: a list cannot be read, or together they leave out none of the photographs, or all.
    """
    paths = list(lists)
    names = {name for path in paths for name in read_names(path)}
    left = len(exclude(photographs, names))
    if paths and left == len(photographs):
        raise NonesuchError(f"--exclude {paths[0]}: leaves out none of {left} images; check its names")
    if not left:
        raise NonesuchError("--exclude leaves no photograph to train on")
    return names


def is_image(name: str) -> bool:
    """Whether a path inside a source is that of an image, by its suffix; what is hidden does not count."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not is_hidden(name)


def is_hidden(name: str) -> bool:
    """Whether a path inside a source is that of a hidden file, or one in a hidden folder or a file manager's own."""
    return any(part.startswith(".") or part in _NOT_OURS for part in PurePosixPath(name).parts)


def signature(photographs: Iterable[Photograph]) -> str:
    """A hash of names, labels and sizes in bytes: tells one set of photographs from another without reading them."""
    digest = hashlib.sha256()
    for item in photographs:
        size = item.container.stat().st_size if item.size < 0 else item.size
        digest.update(f"{item.name}\0{item.identity}\0{size}\n".encode())
    return digest.hexdigest()
