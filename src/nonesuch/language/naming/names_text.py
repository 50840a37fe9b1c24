"""Names -> vectors, by the characters that they are written with: nothing is learned and nothing is fetched.

Runs of two to four characters and whole words are hashed into a fixed number of places (feature hashing: Weinberger et
al., ICML 2009). So "Bush" lies near "George W. Bush", and first names that share an ending share places.
"""

import re
import unicodedata
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError

TEXT_WIDTH = 2049  # the last place is the null name's, which no character reaches
SCHEME = 1  # of hashing: another number makes other vectors, and runs of before are not resumed
_PLACES = TEXT_WIDTH - 1
_RUNS = (2, 3, 4)
_WORD = re.compile(r"\w+")


def plain_name(name: str) -> str:
    """A name without case, accents and marks between its words: "Gérard  O'Neil" is "gerard o neil"."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    return " ".join(_WORD.findall("".join(one for one in letters if not unicodedata.combining(one))))


def name_vectors(names: Sequence[str]) -> NDArray[np.float32]:
    """(N, TEXT_WIDTH) vectors of length 1; equal for names that `plain_name` makes equal.

    Raises:
        NonesuchError: a name holds no letter and no digit.
    """
    found = np.zeros((len(names), TEXT_WIDTH))
    for row, name in enumerate(names):
        words = plain_name(name).split()
        if not words:
            raise NonesuchError(f"{name!r}: a name needs a letter; leave it out")
        for word in words:
            for part, weight in _parts(word):
                # The lowest bit is the sign, so that what falls into one place cancels as often as it adds up.
                place, sign = divmod(zlib.crc32(part.encode()), 2)
                found[row, place % _PLACES] += weight * (2 * sign - 1)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return (found / np.maximum(lengths, 1e-12)).astype(np.float32)


def null_name() -> NDArray[np.float32]:
    """(TEXT_WIDTH,) vector of nobody in the caption, at right angles to every name's."""
    vector = np.zeros(TEXT_WIDTH, dtype=np.float32)
    vector[-1] = 1.0
    return vector


def _parts(word: str) -> list[tuple[str, float]]:
    """A word whole, and its runs of characters, which weigh as much together."""
    marked = f"<{word}>"
    runs = [marked[start : start + count] for count in _RUNS for start in range(len(marked) - count + 1)]
    return [(f"={word}", 1.0), *((run, len(runs) ** -0.5) for run in runs)]
