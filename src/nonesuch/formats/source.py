"""Labelled images and the place where they were found, which the stages hand on."""

import hashlib
from collections.abc import Sequence
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
        columns_in: folder for the columns of a source that is not a dataset of ours, or that cannot be written; None
            where no columns are made.
        is_sample: whether `photographs` are few of many, so that their columns are kept in `columns_in` alone.
    """

    path: Path
    photographs: Sequence[Photograph]
    columns_in: Path | None = None
    is_sample: bool = False

    @classmethod
    def at(cls, path: Path, split: str | None = None, columns_in: Path | None = None) -> "Source":
        """Find the images of a path; arguments and errors as in `nonesuch.formats.readers.find`."""
        return cls(path, find(path, split), columns_in)

    @property
    def is_dataset(self) -> bool:
        """Whether it is a dataset of ours."""
        return manifests.is_dataset(self.path)

    @property
    def is_whole_dataset(self) -> bool:
        """Whether it is a dataset of ours and no sample of one: what was seen in it may then be kept in it."""
        return self.is_dataset and not self.is_sample

    @property
    def shows_real_people(self) -> bool | None:
        """What the manifest of a dataset of ours says, or an error where it is damaged; None where it is not known."""
        return manifests.read(self.path).shows_real_people if self.is_dataset else None

    @cached_property
    def columns(self) -> ColumnStore:
        """The place for columns of the images: beside the shards of a dataset of ours, otherwise below `columns_in`.

        Columns that are to be added to a dataset of ours which cannot be written go below `columns_in` too.

        Raises:
            NonesuchError: a dataset of ours is not complete, or its files are not in the order of its plan.
        """
        apart = None
        if self.columns_in is not None:
            place = self.path.resolve()
            apart = self.columns_in / f"{place.name}-{hashlib.sha256(str(place).encode()).hexdigest()[:8]}"
            apart = apart.with_name(f"{apart.name}-sample") if self.is_sample else apart
        if self.is_whole_dataset:
            return ColumnStore(self.photographs, self.path, apart)
        if apart is None:
            raise ValueError(f"{self.path}: columns_in names no place for columns")
        return ColumnStore(self.photographs, None, apart)
