"""Names of images in a folder that says whose they are: a folder per identity, as every reader takes it."""

import hashlib
from collections import defaultdict
from pathlib import Path, PurePosixPath

from nonesuch.core import files
from nonesuch.core.notices import notice
from nonesuch.formats.photographs import Photograph, is_hidden

_LONGEST = 200  # bytes of a name; file systems allow 255, and files are written under a longer name first


class FolderNames:
    """Gives each image its place FOLDER/IDENTITY/NAME.

    NAME is the image's path below the folder of its identity, otherwise its whole path; where another image has it
    already, with the image's own suffix or a number. An identity that cannot name a folder is written otherwise, and
    `tell_renamed` tells of it.

    Args:
        folder: it need not be there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._identities: dict[str, str] = {}  # by the folder's name
        self._folders: dict[str, str] = {}  # by the identity
        self._taken: dict[str, set[str]] = defaultdict(set)

    def path(self, photograph: Photograph, suffix: str, ending: str = "") -> Path:
        """The place of one image, which no other gets.

        Args:
            photograph: whose identity and name it gets.
            suffix: of the file.
            ending: of its name, before the suffix.

        Raises:
            NonesuchError: a link in the folder leads out of it.
        """
        place = f"{self._folder_of(photograph.identity)}/{self._name(photograph, ending)}{suffix}"
        return files.inside(self._folder, place)

    def tell_renamed(self, where: object) -> None:
        """Tell which identities have another name as a folder; `where` begins the message."""
        renamed = [(identity, name) for name, identity in self._identities.items() if name != identity]
        if renamed:
            identity, name = renamed[0]
            notice(
                f"{where}: {len(renamed)} identities cannot name a folder and got another name, such as "
                f"{identity[:_LONGEST]!r}, now {name!r}"
            )

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
        *folders, file = [part.replace("\0", "%00") for part in parts] or ["image"]
        place = "/".join(_shortened(part) for part in folders)
        taken = self._taken[f"{photograph.identity}\0{place}"]
        stem = _shortened(PurePosixPath(file).stem + ending)
        stem = _shortened(file + ending) if stem.casefold() in taken else stem
        stem = _free(stem, taken)
        taken.add(stem.casefold())
        return f"{place}/{stem}" if place else stem


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
