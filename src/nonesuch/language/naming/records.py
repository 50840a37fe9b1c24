"""Records of naming: for each image the faces that it shows and the names that its caption holds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nonesuch.core import parquet
from nonesuch.core.errors import NonesuchError
from nonesuch.identities import table as vector_table
from nonesuch.language.naming.names_text import plain_name
from nonesuch.measures.naming import NOBODY
from nonesuch.measures.similarity import normalised

_TRAIN = "train"
_LONGEST_FILE = 1 << 30  # bytes of JSON lines; these are names, not pictures
_MAKE = '{"image": "a.jpg", "names": ["Ann Lee", "Bo Ek"]}'


@dataclass(frozen=True)
class FaceVectors:
    """The faces that records may refer to.

    Attributes:
        files: (M,) the photograph or crop of each.
        numbers: (M,) which face of its photograph each is, from 1.
        units: (M, D) float32 of length 1.
        embedder, embedder_sha256: what made the vectors.
        empty: files in which no face was found.
    """

    files: list[str]
    numbers: list[int]
    units: NDArray[np.float32]
    embedder: str
    embedder_sha256: str
    empty: frozenset[str]


@dataclass(frozen=True)
class Record:
    """One image.

    Attributes:
        image: its name.
        faces: rows of the faces in `FaceVectors`.
        numbers: what each face is called in the results: its number in the photograph, or its place in the record.
        names: of the caption, each once.
        truth: for each face the number of its name, or `NOBODY`; None where it is not known.
        learned: whether it may be learned from.
    """

    image: str
    faces: tuple[int, ...]
    numbers: tuple[int, ...]
    names: tuple[str, ...]
    truth: tuple[int, ...] | None
    learned: bool


def read_vectors(path: Path) -> FaceVectors:
    """Read the table that `nonesuch embed` wrote.

    Raises:
        NonesuchError: it is missing or damaged, is no table of photographs' vectors, or a vector is zero.
    """
    found = vector_table.read(path)
    if not found.embedder:
        raise NonesuchError(f"{path}: does not name its embedder; make it with 'nonesuch embed'")
    table = parquet.read_checked(path, "Parquet table")
    if "file" not in table.column_names or table["file"].null_count:
        raise NonesuchError(f"{path}: its column file names no photographs; make it with 'nonesuch embed'")
    there = table["embedding"].is_valid().to_numpy()
    files = table["file"].to_pylist()
    faces = table["face"].to_pylist() if "face" in table.column_names else [None] * len(files)
    if not found.vectors.any(1).all():
        raise NonesuchError(f"{path}: a vector is zero; remove it")
    kept = np.flatnonzero(there).tolist()
    return FaceVectors(
        [files[row] for row in kept],
        [faces[row] or 1 for row in kept],
        normalised(found.vectors),
        found.embedder,
        found.embedder_sha256,
        frozenset(files[row] for row in np.flatnonzero(~there).tolist()),
    )


def read_records(path: Path, vectors: FaceVectors) -> list[Record]:
    """Read the records of a Parquet file or of JSON lines, an image each.

    `image`: its name. `names`: the names of its caption. `faces`, where it is not all that the vectors hold of `image`:
    for each a file of the vectors, or a number of a face of the image. `truth`: for each face its name, or null.
    `split`: records whose split is not "train" are named but not learned from.

    Raises:
        NonesuchError: the file is missing, damaged or of another form, a record names a face that has no vector or a
            name without a letter, no record has a name, or none has a face.
    """
    reader = _Reader(vectors)
    records: list[Record] = []
    seen: set[str] = set()
    for where, row in _rows(path):
        record = reader.record(where, row)
        if record.image in seen:
            raise NonesuchError(f"{where}: {record.image} is there twice; give each image one record")
        seen.add(record.image)
        records.append(record)
    if not records:
        raise NonesuchError(f"{path}: holds no records; write a line for each image, such as {_MAKE}")
    if not any(record.names for record in records):
        raise NonesuchError(f"{path}: no record holds a name; take the names out of the captions, such as {_MAKE}")
    if not any(record.faces for record in records):
        raise NonesuchError(
            f"{path}: no image has a face among the vectors ({records[0].image} and {vectors.files[0]} are the first); "
            "name images as the column file does"
        )
    if not any(record.names and record.faces and record.learned for record in records):
        raise NonesuchError(f"{path}: no record to learn from; some need faces, names, and no split but train")
    return records


class _Reader:
    """Turns rows into records."""

    def __init__(self, vectors: FaceVectors) -> None:
        self.vectors = vectors
        self.rows_of: dict[str, list[int]] = {}
        for row, file in enumerate(vectors.files):
            self.rows_of.setdefault(file, []).append(row)

    def record(self, where: str, row: Mapping[str, Any]) -> Record:
        image = row.get("image")
        if not isinstance(image, str) or not image:
            raise NonesuchError(f"{where}: image must be the name of the image")
        if "names" not in row:
            hint = "a caption's names are needed, not its text" if "caption" in row else f"write {_MAKE}"
            raise NonesuchError(f"{where}: lacks names; {hint}")
        names = self._names(where, row["names"])
        faces = self._faces(where, image, row.get("faces"))
        truth = self._truth(where, row.get("truth"), names, len(faces))
        there = [place for place, (face, _) in enumerate(faces) if face >= 0]
        return Record(
            image,
            tuple(faces[place][0] for place in there),
            tuple(faces[place][1] for place in there),
            names,
            None if truth is None else tuple(truth[place] for place in there),
            row.get("split") in (None, _TRAIN),
        )

    def _names(self, where: str, given: object) -> tuple[str, ...]:
        names = _list_of(where, "names", given)
        found: dict[str, str] = {}
        for name in names:
            if not isinstance(name, str) or not plain_name(name):
                raise NonesuchError(f"{where}: {name!r} is no name; a name is text with a letter")
            found.setdefault(plain_name(name), name)
        return tuple(found.values())

    def _faces(self, where: str, image: str, given: object) -> list[tuple[int, int]]:
        """Row and number of each face; the row is -1 for a photograph in which no face was found."""
        own = self.rows_of.get(image, [])
        if given is None:
            return [(row, self.vectors.numbers[row]) for row in own]
        by_number = {self.vectors.numbers[row]: row for row in own}
        found = []
        for place, face in enumerate(_list_of(where, "faces", given), 1):
            if isinstance(face, int) and not isinstance(face, bool):
                if face not in by_number:
                    raise NonesuchError(f"{where}: the vectors hold no face {face} of {image}")
                found.append((by_number[face], face))
            elif isinstance(face, str) and face in self.rows_of:
                if len(self.rows_of[face]) > 1:
                    raise NonesuchError(f"{where}: the vectors hold several faces of {face}; give their numbers")
                found.append((self.rows_of[face][0], place))
            elif isinstance(face, str) and face in self.vectors.empty:
                found.append((-1, place))
            else:
                raise NonesuchError(f"{where}: {face!r} is no file of the vectors; see their column file")
        return found

    def _truth(self, where: str, given: object, names: Sequence[str], faces: int) -> list[int] | None:
        if given is None:
            return None
        truth = _list_of(where, "truth", given)
        if len(truth) != faces:
            raise NonesuchError(f"{where}: truth has {len(truth)} entries for {faces} faces")
        places = {plain_name(name): place for place, name in enumerate(names)}
        found = []
        for name in truth:
            place = NOBODY if name is None else places.get(plain_name(name)) if isinstance(name, str) else None
            if place is None:
                raise NonesuchError(f"{where}: the truth {name!r} is not among the names")
            found.append(place)
        return found


def _list_of(where: str, field: str, given: object) -> list[Any]:
    if not isinstance(given, list):
        raise NonesuchError(f"{where}: {field} must be a list, not {str(given)[:40]!r}")
    return given


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each record of a file, with where it stands."""
    if path.is_dir():
        raise NonesuchError(f"{path}: a folder; records are a file of JSON lines or Parquet, such as {_MAKE}")
    try:
        with path.open("rb") as file:
            is_table = file.read(4) == b"PAR1"
            size = path.stat().st_size
    except OSError as error:
        raise NonesuchError(f"{path}: not readable ({error.strerror or error})") from error
    if is_table:
        for number, row in enumerate(parquet.read_checked(path, "Parquet table").to_pylist(), 1):
            yield f"{path}: row {number:,}", row
        return
    if size > _LONGEST_FILE:
        raise NonesuchError(f"{path}: {size:,} bytes; records are at most {_LONGEST_FILE:,}, so split them")
    for number, line in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        if line.strip():
            yield f"{path}: line {number:,}", _object(f"{path}: line {number:,}", line)


def _object(where: str, line: bytes) -> dict[str, Any]:
    try:
        content = msgspec.json.decode(line)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise NonesuchError(f"{where}: not JSON in UTF-8 ({(str(error).splitlines() or [''])[0]})") from error
    if not isinstance(content, dict):
        raise NonesuchError(f"{where}: no JSON object, which begins with a brace")
    return content
