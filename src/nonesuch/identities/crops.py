"""A folder of aligned crops that says whose they are: a folder per identity, as every reader takes it."""

from collections.abc import Iterable
from pathlib import Path

from nonesuch.core import files, images
from nonesuch.core.images import Pixels
from nonesuch.formats.folder_names import FolderNames
from nonesuch.formats.photographs import Photograph


class CropFolder:
    """Writes crops as FOLDER/IDENTITY/NAME.png, see `FolderNames`.

    Args:
        folder: made where it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = FolderNames(folder)

    def write(self, photograph: Photograph, crop: Pixels, number: int | None = None) -> None:
        """Write one crop as PNG.

        Args:
            photograph: whose identity and name it gets.
            crop: (112, 112, 3) uint8 RGB.
            number: of the face, where several of a photograph are written; the name then ends in it, as in 1_face2.

        Raises:
            NonesuchError: the disk is full, or the place cannot be written or lies outside the folder.
        """
        path = self._names.path(photograph, ".png", "" if number is None else f"_face{number}")
        files.make_folder(path.parent)
        with files.replacing(path) as temporary:
            temporary.write_bytes(images.encode(crop, "png", 100))

    def close(self) -> None:
        """Tell which identities have another name as a folder."""
        self._names.tell_renamed(self._folder)


def check_places(folder: Path, photographs: Iterable[Photograph]) -> None:
    """Raises NonesuchError where a crop would lie outside its folder: before the work, not in the middle of it."""
    names = FolderNames(folder)
    for photograph in photographs:
        names.path(photograph, ".png")
