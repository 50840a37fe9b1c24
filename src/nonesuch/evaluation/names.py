"""Which image of a set a protocol's file names mean."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import IMAGE_SUFFIXES
from nonesuch.formats.photographs import Photograph, plain_name


class ImageNames:
    """Rows of images by their path, or by any end of it that no other image shares; suffixes of files do not count."""

    def __init__(self, photographs: Sequence[Photograph]) -> None:
        self._rows: dict[str, int] = {}
        for row, photograph in enumerate(photographs):
            parts = PurePosixPath(plain_name(photograph.name)).with_suffix("").parts
            for start in range(len(parts)):
                end = "/".join(parts[start:])
                self._rows[end] = row if end not in self._rows else -1  # -1: several images share it

    def row(self, name: str, named_by: Path) -> int:
        """The row of an image.

        Args:
            name: as the protocol writes it, with or without suffix.
            named_by: the protocol's file, for the error.

        Raises:
            NonesuchError: no image has the name, or several have.
        """
        name = plain_name(name)
        known = name.rsplit(".", 1)[0] if name.lower().endswith(IMAGE_SUFFIXES) else name
        row = self._rows.get(known)
        if row is None:
            raise NonesuchError(f"{named_by}: {name} is not among the images; give the --data that it is about")
        if row < 0:
            raise NonesuchError(f"{named_by}: several images end in {name}; name them by more of their path")
        return row
