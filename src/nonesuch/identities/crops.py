"""A folder of aligned crops that says whose they are: a folder per identity, as every reader takes it."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from nonesuch.core import files, images
from nonesuch.core.images import Pixels
from nonesuch.core.notices import notice
from nonesuch.formats.photographs import Photograph, is_hidden

_LONGEST = 200  # bytes of a name; file systems allow 255, and files are written under a longer name first


class CropFolder:
    """Writes crops as FOLDER/IDENTITY/NAME.png.

    NAME is the photograph's path below the folder of its identity, otherwise its whole path; where another crop has it
    already, with the photograph's own suffix or a number. An identity that cannot name a folder is written otherwise,
    and `close` tells of it.

    Args:
        folder: made where it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._identities: dict[str, str] = {}  # by the folder's name
        self._folders: dict[str, str] = {}  # by the identity
        self._taken: dict[str, set[str]] = defaultdict(set)

    def write(self, photograph: Photograph, crop: Pixels, number: int | None = None) -> None:
        """Write one crop as PNG.

        Args:
            photograph: whose identity and name it gets.
            crop: (112, 112, 3) uint8 RGB.
            number: of the face, where several of a photograph are written; the name then ends in it, as in 1_face2.

        Raises:
            NonesuchError: the disk is full, or the place cannot be written or lies outside the folder.
        """
        path = self._path(photograph, "" if number is None else f"_face{number}")
        files.make_folder(path.parent)
        with files.replacing(path) as temporary:
            temporary.write_bytes(images.encode(crop, "png", 100))

    def close(self) -> None:
        """Tell which identities have another name as a folder."""
        renamed = [(identity, name) for name, identity in self._identities.items() if name != identity]
        if renamed:
            identity, name = renamed[0]
            notice(
                f"{self._folder}: {len(renamed)} identities cannot name a folder and got another name, such as "
                f"{identity[:_LONGEST]!r}, now {name!r}"
            )

    def _path(self, photograph: Photograph, ending: str = "") -> Path:
        place = f"{self._folder_of(photograph.identity)}/{self._name(photograph, ending)}"
        return files.inside(self._folder, place)  # a link in the folder may lead elsewhere

    def _folder_of(self, identity: str) -> str:
        if identity not in self._folders:
            name = _shortened(identity.replace("/", "%2F").replace("\0", "%00"))
            if not name or is_hidden(name):  # hidden folders are not read
                name = f"%{name}"
            self._folders[identity] = _free(name, self._identities)
            self._identities[self._folders[identity]] = identity
            files.clear_old(self._folder / self._folders[identity])
        return self._folders[identity]

    def _name(self, photograph: Photograph, ending: str) -> str:
        # A name from an archive may lead out of the folder.
        parts = [part for part in photograph.name.split("/") if part not in ("", ".", "..")]
        if photograph.identity in parts[:-1]:
            parts = parts[parts.index(photograph.identity) + 1 :]
        *folders, file = [part.replace("\0", "%00") for part in parts]
        place = "/".join(_shortened(part) for part in folders)
        taken = self._taken[f"{photograph.identity}\0{place}"]
        stem = _shortened(PurePosixPath(file).stem + ending)
        stem = _shortened(file + ending) if stem.casefold() in taken else stem
        stem = _free(stem, taken)
        taken.add(stem.casefold())
        return f"{place}/{stem}.png" if place else f"{stem}.png"


def check_places(folder: Path, photographs: Iterable[Photograph]) -> None:
    """Raises NonesuchError where a crop would lie outside its folder: before the work, not in the middle of it."""
    crops = CropFolder(folder)
    for photograph in photographs:
        crops._path(photograph)


def _free(name: str, taken: dict[str, str] | set[str]) -> str:
    """The name, with a number where it is taken."""
    free, number = name, 1
    while (free.casefold() if isinstance(taken, set) else free) in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _shortened(part: str) -> str:
    """A name of at most `_LONGEST` bytes; a longer one ends in its hash."""
    data = part.encode("utf-8", "surrogateescape")
    if len(data) <= _LONGEST:
        return part
    return f"{data[: _LONGEST - 17].decode('utf-8', 'ignore')}-{hashlib.sha256(data).hexdigest()[:16]}"
