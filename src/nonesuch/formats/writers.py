"""The table of writers: which function writes a format that others read, and what the format leaves out.

A new format is a file of its own beside these, with a `write` like theirs, and a line in `WRITERS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nonesuch.formats import folder, image_parquet, lmdb_records, packed_pairs, recordio, webdataset
from nonesuch.formats.class_names import CLASS_NAMES
from nonesuch.formats.to_write import ToWrite


@dataclass(frozen=True)
class Writer:
    """A way in which labelled images are written.

    Attributes:
        write: writes the files of a set into a folder that is empty; raises NonesuchError or OSError.
        lacks: in words, what of a source it cannot hold.
    """

    write: Callable[[Path, ToWrite], None]
    lacks: str


BIN = "bin"  # the only one that holds comparisons
_NUMBERS = f"file names and hashes; identities are in {CLASS_NAMES}"
WRITERS = {
    "imagefolder": Writer(folder.write, "hashes, nor any order but that of names"),
    "recordio": Writer(recordio.write, _NUMBERS),
    "lmdb": Writer(lmdb_records.write, _NUMBERS),
    "webdataset": Writer(webdataset.write, ""),
    "parquet": Writer(image_parquet.write, ""),
    BIN: Writer(
        packed_pairs.write, f"hashes, nor images outside the pairs; names and identities are in {packed_pairs.TABLE}"
    ),
}
