"""What a writer of a format is given: the images of a source, one after the other, with their classes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from nonesuch.core import images
from nonesuch.core.images import IMAGE_SUFFIXES
from nonesuch.formats.photographs import Photograph


@dataclass(frozen=True)
class ImageToWrite:
    """One image.

    Attributes:
        photograph: its place in the source.
        data: its encoded bytes, as they are there.
        label: number of its class.
    """

    photograph: Photograph
    data: bytes
    label: int

    @property
    def name(self) -> str:
        """Its path in the source."""
        return self.photograph.name

    @property
    def identity(self) -> str:
        """Whose image it is, as in the source."""
        return self.photograph.identity

    @property
    def suffix(self) -> str:
        """For a file of it: that of its name, otherwise that of its content; errors as in `images.suffix_of`."""
        suffix = PurePosixPath(self.name).suffix.lower()
        return suffix if suffix in IMAGE_SUFFIXES else images.suffix_of(self.data, self.name)


class ToWrite:
    """The images of a source in its order, read when they are asked for.

    Args:
        photographs: of the source.
        read: gives the encoded bytes of one.
        pairs: for a format of comparisons: (P, 2) int64 rows of the photographs that it compares.

    Attributes:
        photographs, pairs: the same; no pairs where none are given.
        people: the identity of each class. Classes are numbered from 0 in order of identity: by number where all
            identities are numbers, otherwise as text.
        labels: (N,) int64, the class of each photograph.
    """

    def __init__(
        self,
        photographs: Sequence[Photograph],
        read: Callable[[Photograph], bytes],
        pairs: NDArray[np.int64] | None = None,
    ) -> None:
        self.photographs = photographs
        self.pairs = np.empty((0, 2), dtype=np.int64) if pairs is None else pairs
        self._read = read
        identities = {item.identity for item in photographs}
        numbers = all(name.isascii() and name.isdecimal() for name in identities)
        self.people = sorted(identities, key=_by_number if numbers else None)
        classes = {name: number for number, name in enumerate(self.people)}
        self.labels: NDArray[np.int64] = np.array([classes[item.identity] for item in photographs], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.photographs)

    def __iter__(self) -> Iterator[ImageToWrite]:
        """Each image; raises NonesuchError where one cannot be read."""
        for photograph, label in zip(self.photographs, self.labels.tolist(), strict=True):
            yield ImageToWrite(photograph, self._read(photograph), label)

    @property
    def are_numbered(self) -> bool:
        """Whether each identity is the number of its class already."""
        return all(name == str(number) for number, name in enumerate(self.people))


def _by_number(name: str) -> tuple[int, str, str]:
    digits = name.lstrip("0")
    return len(digits), digits, name
