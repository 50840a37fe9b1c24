"""Photographs of any source, as the contents of a dataset: crops as they are, or faces that are found and aligned."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nonesuch.core import images
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CODECS, CROP_SIZE
from nonesuch.dataset.collected.contents import AT_ONCE, MOST_IDENTITIES, Block, CollectedImage
from nonesuch.formats.photographs import HeldPhotograph, Photograph
from nonesuch.perception.detection import Detector
from nonesuch.perception.faces import take_faces


@dataclass(frozen=True, slots=True)
class ImportedPerson:
    """An identity: its label, the name that the source gives it, and its photographs."""

    label: int
    name: str
    photographs: tuple[Photograph, ...]

    @property
    def images(self) -> int:
        return len(self.photographs)

    @property
    def numbers(self) -> int:
        return len(self.photographs)


class PhotographContents:
    """Photographs, see `Contents`. An image that is no readable image, or shows no face, is left out.

    Args:
        source: where they were found, for messages.
        photographs: in the order in which an identity's images are numbered.
        detector: finds and aligns the face of images that are no 112x112 crops; None refuses these.
        codec: "jpeg" or "png"; a crop that is already of this kind keeps its bytes.
        quality: of JPEG that is encoded anew.

    Attributes:
        faces: of each image that was looked at, how many the detector found; None where it did not look.
        unclear: of each, whether another face may as well be the one that is meant.
    """

    columns: Mapping[str, str] = {}

    def __init__(
        self, source: Path, photographs: Sequence[Photograph], detector: Detector | None, codec: str, quality: int
    ) -> None:
        self.people: Sequence[ImportedPerson] = _people(photographs)
        self._source, self._detector, self._codec, self._quality = source, detector, codec, quality
        self.faces: list[int | None] = []
        self.unclear: list[bool] = []

    def vectors(self, people: Sequence[int]) -> NDArray[np.float32] | None:
        """None: photographs come without vectors."""
        return None

    def read(self, person: int) -> Iterator[Block]:
        """As `Contents.read`.

        Raises:
            NonesuchError: a file cannot be read any more; or without a detector, an image has another size.
        """
        one, number = self.people[person], 0
        for start in range(0, one.images, AT_ONCE):
            block = Block([], 0)
            kept = 0
            for photograph in one.photographs[start : start + AT_ONCE]:
                name, source = _text(photograph.name), photograph.read_bytes()
                data, problem = self._crop(photograph, source)
                if data is None:
                    block.left_out.append((name, problem))
                    continue
                kept += data is source
                block.images.append(CollectedImage(one.label, number, None, None, data, 0, name))
                number += 1
            yield Block(block.images, kept, {}, block.left_out)

    def _crop(self, photograph: Photograph, data: bytes) -> tuple[bytes | None, str]:
        """The encoded crop, or None and in words why there is none."""
        try:
            pixels = images.decode(data, photograph.name)
        except NonesuchError as error:
            return None, str(error)
        if photograph.landmarks is None and pixels.shape == (CROP_SIZE, CROP_SIZE, 3):
            if images.begins_as(data, CODECS[self._codec]):
                return data, ""
            return images.encode(pixels, self._codec, self._quality), ""
        if self._detector is None and photograph.landmarks is None:
            height, width = pixels.shape[:2]
            raise NonesuchError(
                f"{self._source}: {photograph.name} is {width}x{height}, no aligned {CROP_SIZE}x{CROP_SIZE} crop; "
                "give --align, which finds and aligns its face"
            )
        held = HeldPhotograph(photograph.name, "", photograph.container, landmarks=photograph.landmarks, data=data)
        taken = take_faces(held, self._detector)
        self.faces.append(taken.count)
        self.unclear.append(any(face.rivalled for face in taken.faces))
        if not taken.faces:
            return None, taken.problem
        return images.encode(taken.faces[0].crop, self._codec, self._quality), ""


def _people(photographs: Sequence[Photograph]) -> list[ImportedPerson]:
    """Identities with labels: their names where these are different numbers, otherwise by first appearance."""
    found: dict[str, list[Photograph]] = {}
    for item in photographs:
        found.setdefault(item.identity, []).append(item)
    numbers = {int(name) for name in found if name.isascii() and name.isdecimal() and len(name) < 20}
    if len(numbers) == len(found) and max(numbers) < MOST_IDENTITIES:
        named = sorted((int(name), name) for name in found)
    else:
        named = list(enumerate(found))
    return [ImportedPerson(label, _text(name), tuple(found[name])) for label, name in named]


def _text(name: str) -> str:
    """A name as UTF-8 can hold it."""
    return name.encode(errors="backslashreplace").decode()
