"""Identity contexts as IDiff-Face's authors save them: a dictionary, name -> (D,) numbers, in a file of `torch.save`.

Nothing in such a file is run, and numpy's own makers are not called (see `nonesuch.formats.safe_pickle`).
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.core.errors import NonesuchError
from nonesuch.core.weights import read_foreign
from nonesuch.formats import safe_pickle

_BEGINNINGS = (b"PK\x03\x04", b"\x80\x02")  # a zip, or before torch 1.6 a pickle
_SHOWN = 60  # characters of a name in a message


def is_saved_by_torch(path: Path) -> bool:
    """Whether a file begins as those of `torch.save` do, whatever its name says: published contexts end in .npy."""
    with path.open("rb") as file:
        return file.read(4).startswith(_BEGINNINGS)


def read(path: Path) -> dict[str, NDArray[np.float32]]:
    """The vector of each name, (D,) float32, all of one width.

    Raises:
        NonesuchError: the file is damaged, would run code, or holds other than one finite vector above 0 for each name.
    """
    content = read_foreign(
        path, safe_pickle.NUMPY, "contexts saved by torch", "save them again as numpy arrays by name"
    )
    if not isinstance(content, dict) or not content:
        raise NonesuchError(f"{path}: holds no contexts, which are a dictionary of one vector for each name")
    found = {_name(name, path): _vector(value, f"{path}: {_shown(name)}") for name, value in content.items()}
    width = len(next(iter(found.values())))
    for name, vector in found.items():
        if len(vector) != width:
            raise NonesuchError(f"{path}: {_shown(name)} has {len(vector)} numbers, the first vector {width}")
    return found


def _shown(name: object) -> str:
    return ascii(name)[:_SHOWN]


def _name(name: Any, path: Path) -> str:
    try:
        if isinstance(name, str) and name.encode():
            return name
    except UnicodeEncodeError:
        pass
    raise NonesuchError(f"{path}: {_shown(name)} is no name of an identity; names are text that is not empty")


def _vector(value: Any, where: str) -> NDArray[np.float32]:
    held = safe_pickle.plain(value)
    if isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized:
        held = (value.float() if value.is_floating_point() else value).detach().numpy()
    if not isinstance(held, np.ndarray):
        raise NonesuchError(f"{where} is no vector of numbers, but {type(held).__name__}")
    if held.dtype.kind != "f" or held.ndim != 1 or not len(held):
        what = f"shape {held.shape}" if held.dtype.kind == "f" else str(held.dtype)
        raise NonesuchError(f"{where} is no vector of numbers, but of {what}")
    with np.errstate(over="ignore"):
        vector = held.astype(np.float32)
    if not np.isfinite(vector).all() or not vector.any():
        raise NonesuchError(f"{where} is zero or holds NaN or infinity")
    return vector
