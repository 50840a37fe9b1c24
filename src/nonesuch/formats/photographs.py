"""Labelled images in their place, whichever reader found them (`nonesuch.formats.readers`).

Nothing is unpacked: a tar's members are read in place by offset, so that any image can be read in any order and from
any thread.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nonesuch.core import images
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import read_text
from nonesuch.core.images import CROP_SIZE, IMAGE_SUFFIXES, Pixels
from nonesuch.core.notices import notice

_OTHER_PICTURES = (
    *(
        ".heic",
        ".heif",
        ".avif",
        ".gif",
        ".jp2",
        ".jxl",
        ".jfif",
        ".jpe",
        ".tga",
        ".ppm",
        ".pgm",
        ".psd",
        ".svg",
        ".eps",
    ),
    *(".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".mp4", ".mov", ".avi", ".webm"),
)
_NOT_OURS = ("__MACOSX", "@eaDir")  # folders with thumbnails and notes, which archives and network disks add


@dataclass(frozen=True)
class Photograph:
    """The place of one image.

    Attributes:
        name: path inside its source, with forward slashes.
        identity: the person's label; "" where a reader knows none, which `nonesuch.formats.labels` then fills in.
        container: the file that holds the bytes.
        offset, size: which bytes; size -1 for the whole file.
        landmarks: of the face that is meant, where the photograph shows several and a manifest of 'nonesuch clean'
            knows which: five pairs of x and y in pixels of the image that `read` gives.
    """

    name: str
    identity: str
    container: Path
    offset: int = 0
    size: int = -1
    landmarks: tuple[tuple[float, float], ...] | None = None

    @property
    def is_packed(self) -> bool:
        """Whether its file holds other images, too."""
        return self.size >= 0

    def read_bytes(self) -> bytes:
        """The encoded image.

        Raises:
            NonesuchError: the file cannot be read any more, is too large, or is shorter than it was.
        """
        try:
            images.check_size(self.container.stat().st_size if self.size < 0 else self.size, self.name)
            if self.size < 0:
                return self.container.read_bytes()
            with self.container.open("rb") as handle:
                handle.seek(self.offset)
                data = handle.read(self.size)
        except OSError as error:
            raise NonesuchError(f"{self.container}: {error.strerror or error}") from error
        if len(data) != self.size:
            raise NonesuchError(f"{self.container}: truncated, {self.name} is cut off; copy the file again")
        return data

    def read(self, whole: bool = False) -> Pixels:
        """Decode it: (H, W, 3) uint8 RGB; `whole` and errors as in `nonesuch.core.images.decode`."""
        return images.decode(self.read_bytes(), self.name if self.size < 0 else f"{self.container}:{self.name}", whole)

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

    @property
    def is_packed(self) -> bool:
        """Whether its file holds other images, too."""
        return True

    def read_bytes(self) -> bytes:
        """The encoded image."""
        return self.data


def names_of(item: Photograph) -> tuple[str, str, str]:
    """How a list may name a photograph: its identity, its path, its file's name."""
    name = plain_name(item.name)
    return plain_name(item.identity), name, PurePosixPath(name).name


def read_names(path: Path) -> set[str]:
    """The lines of a text file, such as a list of people to leave out, as `plain_name`; of a line its first column.

    Raises:
        NonesuchError: the file cannot be read or names nobody.
    """
    names = {plain_name(line.strip().partition("\t")[0]) for line in read_text(path).splitlines()} - {""}
    if not names:
        raise NonesuchError(f"{path}: the list of names is empty")
    return names


def check_known(option: str, names: set[str], known: set[str], allow_unknown: bool) -> None:
    """A name that is not known may be a misspelt one, so it ends the command, or is told.

    Raises:
        NonesuchError: unless `allow_unknown`, one of the `names` is not `known`.
    """
    if not (unknown := sorted(names - known)):
        return
    told = f"{option}: {len(unknown)} of {len(names)} names match nothing, the first is {unknown[0]!r}"
    if not allow_unknown:
        raise NonesuchError(f"{told}; correct the list, or give --allow-unknown")
    notice(told)


def readable(name: str) -> str:
    r"""A file's name as text: bytes that are no UTF-8, which no table could hold, are written as \xe9."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def tell_skipped(path: Path, skipped: Mapping[str, int]) -> None:
    """Say how many things in a source were not read, by the reason."""
    told = "; ".join(f"{count} {why}" for why, count in sorted(skipped.items()) if count)
    if told:
        notice(f"{path}: not read: {told}")


def why_not_read(name: str) -> str:
    """Why the file of a name is not read, "" where it is or shows nothing."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in IMAGE_SUFFIXES and suffix not in _OTHER_PICTURES:
        return ""
    if is_hidden(name):
        return "hidden images"
    return "" if suffix in IMAGE_SUFFIXES else f"{suffix} images, a format that is not read"


def plain_name(name: str) -> str:
    """A name as lists and tables are compared by: composed Unicode, no "./" before and no "/" behind it."""
    return unicodedata.normalize("NFC", name.strip()).removeprefix("./").rstrip("/")


def is_image(name: str) -> bool:
    """Whether a path inside a source is that of an image, by its suffix; what is hidden does not count."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not is_hidden(name)


def is_hidden(name: str) -> bool:
    """Whether a path inside a source is that of a hidden file, or one in a hidden folder or a file manager's own."""
    return any(part.startswith(".") or part in _NOT_OURS for part in PurePosixPath(name).parts)
