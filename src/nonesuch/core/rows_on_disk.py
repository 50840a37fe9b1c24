"""Rows of numbers that lie on the disk while a command works with them, for more than memory should hold."""

import tempfile
from pathlib import Path
from typing import IO, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from nonesuch.core import files

Kind = TypeVar("Kind", bound=np.generic)


class RowsOnDisk(Generic[Kind]):
    """Rows of one width, appended to a file without a name, which is gone when its process ends, however it ends.

    Args:
        folder: where the file lies; None for the system's folder of temporary files.
        width: numbers in a row.
        dtype: of the numbers.
    """

    def __init__(self, folder: Path | None, width: int, dtype: type[Kind]) -> None:
        self._folder = Path(tempfile.gettempdir()) if folder is None else folder
        self._width, self._dtype, self._count = width, np.dtype(dtype), 0
        try:
            self._file: IO[bytes] = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  it lives as long as the rows
        except OSError as error:
            raise files.write_error(self._folder, error) from error

    def append(self, row: NDArray[Kind]) -> None:
        """Add a row (width,); raises NonesuchError where the disk is full."""
        if row.shape != (self._width,):
            raise ValueError(f"a row of {row.shape}, not of {self._width} numbers")
        try:
            self._file.write(np.ascontiguousarray(row, dtype=self._dtype).data)
        except OSError as error:
            raise files.write_error(self._folder, error) from error
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def mapped(self) -> NDArray[Kind]:
        """(N, width) all rows, read-only: the system keeps in memory what is used, as far as there is room.

        Raises:
            NonesuchError: the disk is full.
        """
        if not self._count:
            return np.empty((0, self._width), dtype=self._dtype)
        try:
            self._file.flush()
            mapped = np.memmap(self._file, self._dtype, "r", shape=(self._count, self._width))
        except OSError as error:
            raise files.write_error(self._folder, error) from error
        return mapped.view(np.ndarray)
