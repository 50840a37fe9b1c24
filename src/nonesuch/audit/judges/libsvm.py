"""Support-vector regression with a radial kernel, read from libsvm's text files (Chang, Lin, ACM TIST 2(3), 2011)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError

_MOST_BYTES = 50_000_000
_MOST_VECTORS = 100_000
_AT_ONCE = 1024
_WANTED = {"svm_type": ("epsilon_svr", "nu_svr"), "kernel_type": ("rbf",), "nr_class": ("2",)}

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Regression:
    """f(x) = sum_i c_i exp(-gamma |x - v_i|^2) - rho, of features scaled linearly from [low, high] to [lower, upper].

    Attributes:
        vectors: (S, D) float64 v.
        coefficients: (S,) c.
        low, high: (D,) each feature's range in training; what lies beyond it is scaled in the same way, not clipped.
    """

    gamma: float
    rho: float
    vectors: Float64
    coefficients: Float64
    low: Float64
    high: Float64
    lower: float
    upper: float

    def __call__(self, features: Float64) -> Float64:
        """(N, D) features -> (N,); NaN where a feature is."""
        scaled = self.lower + (self.upper - self.lower) * (features - self.low) / (self.high - self.low)
        found = np.empty(len(scaled))
        lengths = (self.vectors**2).sum(1)
        for start in range(0, len(scaled), _AT_ONCE):
            rows = scaled[start : start + _AT_ONCE]
            apart = (rows**2).sum(1, keepdims=True) + lengths - 2.0 * rows @ self.vectors.T
            found[start : start + _AT_ONCE] = np.exp(-self.gamma * apart) @ self.coefficients - self.rho
        return found


def read_regression(model: Path, ranges: Path, width: int) -> Regression:
    """Read a model as `svm-train` writes it and ranges as `svm-scale -s` does.

    Args:
        width: number of features that both files must have.

    Raises:
        NonesuchError: a file is missing, too large, truncated, not text of this form, of another kind of machine or
            another width, or holds numbers that are not finite.
    """
    gamma, rho, coefficients, vectors = _read_model(model, width)
    lower, upper, low, high = _read_ranges(ranges, width)
    return Regression(gamma, rho, vectors, coefficients, low, high, lower, upper)


def _read_model(path: Path, width: int) -> tuple[float, float, Float64, Float64]:
    what = "support-vector regression of libsvm"
    lines = _lines(path, what)
    header: dict[str, str] = {}
    for line in lines:
        if line.strip() == "SV":
            break
        name, _, value = line.partition(" ")
        header[name] = value.strip()
    else:
        raise _bad(path, what, "no line says SV")
    for name, allowed in _WANTED.items():
        if header.get(name) not in allowed:
            raise _bad(path, what, f"its {name} is {header.get(name, 'missing')[:40]}, wanted {' or '.join(allowed)}")
    try:
        gamma, rho = _finite(header["gamma"]), _finite(header["rho"])
        count = int(header["total_sv"])
    except (KeyError, ValueError) as error:
        raise _bad(path, what, f"gamma, rho or total_sv is missing or not a number ({error})") from error
    if not 1 <= count <= _MOST_VECTORS or gamma <= 0:
        raise _bad(path, what, f"total_sv {count} and gamma {gamma:g} make no sense")
    coefficients, vectors = np.zeros(count), np.zeros((count, width))
    row = 0
    for line in lines:
        if row == count:
            raise _bad(path, what, f"it has more than the {count} vectors that it announces")
        try:
            first, *entries = line.split()
            coefficients[row] = _finite(first)
            for entry in entries:
                place, _, value = entry.partition(":")
                vectors[row, _index(place, width)] = _finite(value)
        except ValueError as error:
            raise _bad(path, what, f"vector {row + 1}: {error}") from error
        row += 1
    if row < count:
        raise _bad(path, what, f"{row} of its {count} vectors are there: the file was cut")
    return gamma, rho, coefficients, vectors


def _read_ranges(path: Path, width: int) -> tuple[float, float, Float64, Float64]:
    what = "range file of svm-scale"
    lines = [line.split() for line in _lines(path, what)]
    try:
        if lines[:1] != [["x"]]:
            raise ValueError("it does not begin with x")
        lower, upper = (_finite(word) for word in lines[1])
        low, high = np.full(width, np.nan), np.full(width, np.nan)
        for place, least, most in lines[2:]:
            at = _index(place, width)
            low[at], high[at] = _finite(least), _finite(most)
    except (ValueError, IndexError) as error:
        raise _bad(path, what, str(error)) from error
    if not (high > low).all():
        raise _bad(path, what, f"feature {int(np.argmin(high > low)) + 1} has no range")
    return lower, upper, low, high


def _lines(path: Path, what: str) -> Iterator[str]:
    """The file's lines that are not empty."""
    try:
        with path.open("rb") as handle:
            data = handle.read(_MOST_BYTES + 1)
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise _bad(path, what, "it is not plain text") from error
    except OSError as error:
        raise NonesuchError(f"{path}: {error.strerror or error}") from error
    if len(data) > _MOST_BYTES:
        raise _bad(path, what, f"larger than {_MOST_BYTES // 1_000_000} MB")
    return (line for line in text.splitlines() if line.strip())


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is not finite")
    return value


def _index(text: str, width: int) -> int:
    if not 1 <= (place := int(text)) <= width:
        raise ValueError(f"feature {place}, wanted 1 to {width}")
    return place - 1


def _bad(path: Path, what: str, why: str) -> NonesuchError:
    return NonesuchError(f"{path}: not a readable {what}: {why[:120]}; take the published file again")
