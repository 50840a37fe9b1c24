"""Small pictures inside a page, as JPEG data URIs."""

from collections.abc import Iterable

import numpy as np
from PIL import Image

from nonesuch.core.errors import NonesuchError
from nonesuch.formats.photographs import Photograph
from nonesuch.pages.page import picture_uri

_SIDE = 80


class Thumbnails:
    """Thumbnails of the images that may be shown, by dataset and name; None for any other."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Photograph] = {}
        self._of: dict[tuple[str, str], list[Photograph]] = {}

    def allow(self, dataset: str, photographs: Iterable[tuple[str, str, Photograph]]) -> None:
        """Let these be shown: name of the image, person, place."""
        for name, identity, photograph in photographs:
            self._known[dataset, name] = photograph
            self._of.setdefault((dataset, identity), []).append(photograph)

    def of_image(self, dataset: str, name: str) -> str | None:
        """A data URI, at most 80 pixels wide and high; None where it may not be shown or cannot be read."""
        photograph = self._known.get((dataset, name))
        return None if photograph is None else _thumbnail(photograph)

    def of_identity(self, dataset: str, identity: str, most: int) -> list[str]:
        """The same for the first images of a person."""
        photographs = self._of.get((dataset, identity), [])[:most]
        return [uri for uri in map(_thumbnail, photographs) if uri is not None]

    def identities(self, dataset: str, most: int) -> list[str]:
        """The first people of a dataset who have images that may be shown."""
        return [identity for source, identity in self._of if source == dataset][:most]


def _thumbnail(photograph: Photograph) -> str | None:
    try:
        picture = Image.fromarray(photograph.read())
    except NonesuchError:
        return None
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    return picture_uri(np.asarray(picture))
