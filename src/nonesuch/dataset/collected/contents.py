"""What a dataset made of images that existed before is to hold."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError

AT_ONCE = 4096  # images of a block: what is in memory of the images
MOST_IDENTITIES, MOST_IMAGES = 10_000_000, 100_000  # keys of more digits would not be in the order of their numbers


@dataclass(frozen=True)
class CollectedImage:
    """An image with its place in the new dataset.

    Attributes:
        identity, image: label and number within the identity.
        seed, sigma: of the plan that it was generated from; None where there is none.
        data: the encoded image.
        part, file: which entry of the manifest's `made_from` it comes from, and its name there.
    """

    identity: int
    image: int
    seed: int | None
    sigma: float | None
    data: bytes
    part: int
    file: str


@dataclass(frozen=True)
class Block:
    """Some images of one identity, at most `AT_ONCE`.

    Attributes:
        images: N of them.
        kept: how many of these have the very bytes of their source.
        columns: by group, a table of N rows.
        left_out: file and problem of each image that is left out.
    """

    images: list[CollectedImage]
    kept: int
    columns: dict[str, pa.Table] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)


class Person(Protocol):
    """An identity of the new dataset: its label, its name, how many images the source has of it, their numbers."""

    @property
    def label(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def images(self) -> int: ...
    @property
    def numbers(self) -> int:
        """Number above those of all its images."""


class Contents(Protocol):
    """Identities in ascending order of their labels, and their images.

    Attributes:
        columns: groups of columns that come with the images, and what made each.
    """

    columns: Mapping[str, str]

    @property
    def people(self) -> Sequence[Person]: ...

    def read(self, person: int) -> Iterator[Block]:
        """The images of an identity, by its place in `people`; they are the same each time.

        Raises:
            NonesuchError: an image cannot be read, or cannot be taken.
        """

    def vectors(self, people: Sequence[int]) -> NDArray[np.float32] | None:
        """(K, D) raw vectors of identities; None where they have none."""


def check_counts(people: Sequence[Person]) -> None:
    """Raises NonesuchError where there are more identities, or images of one, than keys have digits for."""
    if people and people[-1].label >= MOST_IDENTITIES:
        raise NonesuchError(f"{len(people):,} identities; a dataset holds at most {MOST_IDENTITIES:,}, make several")
    for person in people:
        if person.numbers > MOST_IMAGES:
            raise NonesuchError(
                f"identity {person.name or person.label} has {person.numbers:,} images; at most {MOST_IMAGES:,} have a "
                "place, leave some out"
            )
