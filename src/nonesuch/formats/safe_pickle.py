"""Reading the pickled test sets of the field without running what a pickle may contain.

A pickle is a program: its opcodes may call anything, and numpy's own constructors can be made to read foreign memory.
So nothing that a pickle names is ever called. The few names that such sets hold (numpy's array, dtype and scalar
constructors, Python 2's bytes) stand for makers of this module, which take plain bytes and check their sizes.
"""

import io
import lzma
import math
import pickle
import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError

_LARGEST = 4 << 30  # bytes that a compressed set may unpack to
_PLAIN_DTYPE = re.compile(r"[<>=|]?(?:[iuf][1248]|b1|\?|[bBhHiIlLqQfd]|S\d{1,9})")

_OPCODES = (
    "PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING "
    "BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 UNICODE BINUNICODE SHORT_BINUNICODE "
    "BINUNICODE8 EMPTY_LIST LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 GET BINGET LONG_BINGET PUT "
    "BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL REDUCE BUILD"
)


def _refuse(what: str) -> pickle.UnpicklingError:
    return pickle.UnpicklingError(what)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii")
    if not isinstance(value, str):
        raise _refuse(f"{type(value).__name__} where text should be")
    return value


class _Dtype:
    """A plain numeric or bytes type, as a pickle describes it."""

    __slots__ = ("value",)

    def __init__(self, code: Any, *_: Any) -> None:
        if _PLAIN_DTYPE.fullmatch(_text(code)) is None:
            raise _refuse(f"an array of {_text(code)[:40]}")
        self.value: np.dtype[Any] = np.dtype(_text(code))

    def __setstate__(self, state: Any) -> None:
        # (version, byte order, subarray, names, fields, ...): only the order may have a value.
        if not isinstance(state, tuple) or len(state) < 5 or any(part is not None for part in state[2:5]):
            raise _refuse("an array of records")
        order = _text(state[1])
        if order in ("<", ">"):
            self.value = np.dtype(order + self.value.str[1:])


class _Array:
    """An array, as a pickle describes it: its state is bytes of the stated shape and type."""

    __slots__ = ("value",)
    value: NDArray[Any]

    def __new__(cls, *_: Any) -> "_Array":  # a pickle can leave out __init__
        made = super().__new__(cls)
        made.value = np.empty(0, dtype=np.uint8)
        return made

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise _refuse("an array in a form that numpy does not write")
        shape, dtype, fortran, data = state[-4:]
        self.value = _from_bytes(data, dtype, shape, "F" if fortran else "C")


def _from_bytes(data: Any, dtype: Any, shape: Any, order: Any = "C") -> NDArray[Any]:
    plain = isinstance(dtype, _Dtype) and isinstance(shape, tuple) and isinstance(data, bytes | bytearray)
    if not plain or any(type(side) is not int or side < 0 for side in shape):
        raise _refuse("an array in a form that numpy does not write")
    if math.prod(shape) * dtype.value.itemsize != len(data):
        raise _refuse("an array whose bytes do not fill its shape")
    return np.frombuffer(data, dtype.value).reshape(shape, order="F" if order == "F" else "C")


def _made_from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    made = _Array()
    made.value = _from_bytes(data, dtype, shape, order)
    return made


def _scalar(dtype: Any, data: Any) -> Any:
    return _from_bytes(data, dtype, ()).item()


def _encode(text: Any, encoding: Any) -> bytes:
    """What Python 2's `bytes` become when pickled by Python 3."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise _refuse("text in an encoding that is not in use")
    return text.encode("latin-1")


class _Maker:
    """What a name in a pickle stands for: it can only be called."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise _refuse("it changes what it names")


def _nothing(*_: Any) -> Any:
    raise _refuse("it makes an array by itself")


_MAKERS = {
    ("numpy", "ndarray"): _Maker(_nothing),
    ("numpy", "dtype"): _Maker(_Dtype),
    ("_codecs", "encode"): _Maker(_encode),
    **{
        (f"numpy.{core}.{module}", name): _Maker(make)
        for core in ("core", "_core")
        for module, name, make in (
            ("multiarray", "_reconstruct", _Array),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _made_from_buffer),
        )
    },
}

# For torch's own reader of checkpoints, which takes what stands for a name, and the name.
NUMPY: list[tuple[Callable[..., Any], str]] = [
    (_Array, "numpy.core.multiarray._reconstruct"),
    (_Array, "numpy._core.multiarray._reconstruct"),
    (_scalar, "numpy.core.multiarray.scalar"),
    (_scalar, "numpy._core.multiarray.scalar"),
    (_Dtype, "numpy.dtype"),
    (_nothing, "numpy.ndarray"),
]


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="bytes")
        self._left = len(data)  # bytes that may still be made of text: one text could be encoded a thousand times

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _MAKERS:
            raise _refuse(f"it names {module}.{name}"[:100])
        return _Maker(self._encode) if name == "encode" else _MAKERS[module, name]

    def _encode(self, text: Any, encoding: Any) -> bytes:
        made = _encode(text, encoding)
        self._left -= len(made)
        if self._left < 0:
            raise _refuse("it unpacks to more than itself")
        return made

    def persistent_load(self, pid: Any) -> Any:
        raise _refuse("it refers to something outside itself")


def _check_opcodes(data: bytes) -> None:
    """Only what the sets need. Without sets and dictionaries nothing is hashed, which takes twice as long with each
    level of tuples in tuples. The memo is as long as the largest place that is written to, which could be gigabytes.
    """
    needed = frozenset(_OPCODES.split())
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name not in needed:
            raise _refuse(f"it holds more than lists, numbers and bytes ({opcode.name})")
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > len(data):
            raise _refuse("it asks for a memo longer than itself")


def load(path: Path) -> Any:
    """The content of a pickle, `.xz` (lzma) or plain; `plain` gives the content of a part of it.

    Raises:
        NonesuchError: the file cannot be read, is damaged or too large, or names more than plain data and numpy arrays.
    """
    try:
        if path.suffix.lower() == ".xz":
            with lzma.open(path) as packed:
                data = packed.read(_LARGEST + 1)
            if len(data) > _LARGEST:
                raise NonesuchError(f"{path}: unpacks to more than {_LARGEST >> 30} GiB")
        else:
            data = path.read_bytes()
        _check_opcodes(data)
        return _Unpickler(data).load()
    except NonesuchError:
        raise
    except OSError as error:
        raise NonesuchError(f"{path}: {error.strerror or error}") from error
    except lzma.LZMAError as error:
        raise NonesuchError(f"{path}: damaged ({error}); copy it again") from error
    except pickle.UnpicklingError as error:
        raise NonesuchError(f"{path}: refused, since a pickle can run code: {error}") from error
    except Exception as error:  # a damaged pickle fails in any way its opcodes can
        raise NonesuchError(f"{path}: not a readable pickled set ({error})") from error


def plain(part: Any) -> Any:
    """A part of a loaded pickle as it is, an array as numpy's."""
    return part.value if isinstance(part, _Array) else part
