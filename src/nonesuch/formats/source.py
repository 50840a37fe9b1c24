"""Labelled images and the place where they were found, which the stages hand on."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nonesuch.formats import manifest as manifests
from nonesuch.formats.column_store import ColumnStore
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.readers import find


@dataclass(frozen=True)
class Source:
    """Labelled images of one place.

    Attributes:
        path: the file or folder.
        photographs: its images, or the wanted ones among them.
        columns_in: folder for the columns of a source that is not a dataset of ours; None where no columns are made.
    """

    path: Path
    photographs: list[Photograph]
    columns_in: Path | None = None

    @classmethod
    def at(cls, path: Path, split: str | None = None, columns_in: Path | None = None) -> "Source":
        """Find the images of a path; arguments and errors as in `nonesuch.formats.readers.find`."""
        return cls(path, find(path, split), columns_in)

    @property
    def is_dataset(self) -> bool:
        """Whether it is a dataset of ours."""
        return manifests.is_dataset(self.path)

    @property
    def shows_real_people(self) -> bool | None:
        """What the manifest of a dataset of ours says, or an error where it is damaged; None where it is not known."""
        return manifests.read(self.path).shows_real_people if self.is_dataset else None

    @cached_property
    def columns(self) -> ColumnStore:
        """The place for columns of the images: beside the shards of a dataset of ours, otherwise below `columns_in`.

        Raises:
            NonesuchError: a dataset of ours is not complete, or its files are not in the order of its plan.
        """
        if self.is_dataset:
            return ColumnStore(self.photographs, self.path, in_dataset=True)
        if self.columns_in is None:
            raise ValueError(f"{self.path}: columns_in names no place for columns")
        place = self.path.resolve()
        name = f"{place.name}-{hashlib.sha256(str(place).encode()).hexdigest()[:8]}"
        return ColumnStore(self.photographs, self.columns_in / name, in_dataset=False)
