"""Reading the pickled test sets of the field without running what a pickle may contain.

A pickle is a program: its opcodes may call anything. Here only lists, tuples, bytes, text, numbers and numpy's array
constructors can come out; whatever else a pickle names is refused before it is called.
"""

import io
import lzma
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nonesuch.core.errors import NonesuchError

_LARGEST = 4 << 30  # bytes that a compressed set may unpack to


def _encode(text: str, encoding: str) -> bytes:
    """What Python 2's `bytes` become when pickled by Python 3; the only two encodings in use."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"text in {encoding}")
    return text.encode("latin-1")


def _dtype(*args: Any) -> np.dtype[Any]:
    dtype = np.dtype(*args)
    if dtype.hasobject:
        raise pickle.UnpicklingError("an array of objects")
    return dtype


def _from_buffer(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], order: str) -> np.ndarray[Any, Any]:
    return np.frombuffer(data, _dtype(dtype)).reshape(shape, order="F" if order == "F" else "C")


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _dtype,
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],  # type: ignore[dict-item]
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],  # type: ignore[dict-item]
    ("numpy.core.multiarray", "scalar"): np.float64(0).__reduce__()[0],
    ("numpy._core.multiarray", "scalar"): np.float64(0).__reduce__()[0],
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to something outside itself")


def load(path: Path) -> Any:
    """The content of a pickle, `.xz` (lzma) or plain.

    Raises:
        NonesuchError: unreadable, damaged, too large, or it names anything beyond plain data and numpy arrays.
    """
    try:
        if path.suffix == ".xz":
            with lzma.open(path) as packed:
                data = packed.read(_LARGEST + 1)
            if len(data) > _LARGEST:
                raise NonesuchError(f"{path}: unpacks to more than {_LARGEST >> 30} GiB")
        else:
            data = path.read_bytes()
        return _Unpickler(io.BytesIO(data), encoding="bytes").load()
    except OSError as error:
        raise NonesuchError(f"{path}: {error.strerror or error}") from error
    except lzma.LZMAError as error:
        raise NonesuchError(f"{path}: damaged ({error}); copy it again") from error
    except pickle.UnpicklingError as error:
        raise NonesuchError(f"{path}: refused, since a pickle can run code: {error}") from error
    except Exception as error:  # a damaged pickle fails in any way its opcodes can
        raise NonesuchError(f"{path}: not a readable pickled set ({error})") from error
