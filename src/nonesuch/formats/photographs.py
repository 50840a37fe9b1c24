"""Reading images from where users keep them: a folder, a tar file, a single file, or a dataset of ours.

Nothing is unpacked: a tar's members are read in place by offset, so that any image can be read in any order and from
any thread.
"""

import hashlib
import os
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from nonesuch.core import images, tables
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_SIZE, IMAGE_SUFFIXES, Pixels
from nonesuch.formats import lmdb_records, relabelling
from nonesuch.formats.lmdb_records import Record

_TABLE_SUFFIXES = (".parquet", ".csv", ".csv.gz")


@dataclass(frozen=True)
class Photograph:
    """Where one image is.

    Attributes:
        name: path inside its source, with forward slashes.
        identity: the person's label: from the source's table, else the folder's name, else the image's own name.
        container: the file that holds the bytes.
        offset, size: which bytes; size -1 for the whole file.
    """

    name: str
    identity: str
    container: Path
    offset: int = 0
    size: int = -1

    def read_bytes(self) -> bytes:
        """The encoded image.

        Raises:
            NonesuchError: the file cannot be read any more, or is shorter than it was.
        """
        try:
            if self.size < 0:
                return self.container.read_bytes()
            handle = os.open(self.container, os.O_RDONLY)
            try:
                data = os.pread(handle, self.size, self.offset)
            finally:
                os.close(handle)
        except OSError as error:
            raise NonesuchError(f"{self.container}: {error.strerror or error}") from error
        if len(data) != self.size:
            raise NonesuchError(f"{self.container}: truncated, {self.name} is cut off; copy the file again")
        return data

    def read(self) -> Pixels:
        """Decode it: (H, W, 3) uint8 RGB; errors as in `nonesuch.core.images.decode`."""
        return images.decode(self.read_bytes(), self.name if self.size < 0 else f"{self.container}:{self.name}")

    def read_crop(self) -> Pixels:
        """Decode an aligned crop: (112, 112, 3) uint8 RGB.

        Raises:
            NonesuchError: unreadable, or of another size.
        """
        pixels = self.read()
        if pixels.shape != (CROP_SIZE, CROP_SIZE, 3):
            height, width = pixels.shape[:2]
            raise NonesuchError(
                f"{self.name}: {width}x{height}, training takes crops aligned at 112x112; "
                "make them with 'nonesuch embed IN --crops FOLDER'"
            )
        return pixels


@dataclass(frozen=True)
class LmdbPhotograph(Photograph):
    """An image of an LMDB set (`nonesuch.formats.lmdb_records`); its name is its key, its identity its label."""

    def read_bytes(self) -> bytes:
        """The encoded image; raises NonesuchError where the record cannot be read."""
        return self.record().image

    def record(self) -> Record:
        """Image, vector and label; errors as in `read_bytes`."""
        return lmdb_records.read(self.container, self.name)


@dataclass(frozen=True)
class HeldPhotograph(Photograph):
    """An image whose encoded bytes are in memory, such as one of a packed set.

    Attributes:
        data: the encoded image.
    """

    data: bytes = b""

    def read_bytes(self) -> bytes:
        """The encoded image."""
        return self.data


def find(source: Path, split: str | None = None) -> list[Photograph]:
    """All images of a source, in name order.

    A source is an image file, a folder (searched through), an uncompressed tar, a dataset of ours, an LMDB set
    (`.lmdb`, `.mdb`), or a manifest of any of these after cleaning (`.parquet`, see `nonesuch.formats.relabelling`). A
    tar may have a table of the same name beside it (`.parquet`, `.csv`, `.csv.gz`) with a column `file`, and optionally
    `identity` (the labels) and `split`.

    Args:
        source: where to look.
        split: where the table names splits, only the images of this one.

    Raises:
        NonesuchError: nothing is there, the tar is damaged or empty, or no image is found; the images of a manifest
            have moved, or are other ones.
    """
    if (source / "dataset.json").is_file():
        shards = sorted((source / "shards").glob("*.tar"))
        found = [photograph for shard in shards for photograph in _in_tar(shard)]
    elif source.is_dir():
        found = _in_folder(source)
    elif not source.exists():
        raise NonesuchError(f"{source}: no such file or folder")
    elif source.suffix.lower() in IMAGE_SUFFIXES:
        found = [Photograph(source.name, source.stem, source)]
    elif source.suffix.lower() in (".lmdb", ".mdb"):
        records = range(lmdb_records.count(source))
        found = [LmdbPhotograph(str(key), lmdb_records.read(source, str(key)).label, source) for key in records]
    elif source.suffix.lower() == ".parquet":
        found = _relabelled(source, split)
    else:
        found = _apply_table(source, _in_tar(source), split)
    if not found:
        raise NonesuchError(f"{source}: holds no images ({', '.join(IMAGE_SUFFIXES)})")
    return found


def exclude(photographs: Iterable[Photograph], names: set[str]) -> list[Photograph]:
    """Those whose identity, name and file name are none of `names`."""
    return [
        item
        for item in photographs
        if item.identity not in names and item.name not in names and PurePosixPath(item.name).name not in names
    ]


def read_names(path: Path) -> set[str]:
    """The lines of a text file, such as a list of people to leave out.

    Raises:
        NonesuchError: the file cannot be read or names nobody.
    """
    try:
        names = {line.strip() for line in path.read_text(encoding="utf-8").splitlines()} - {""}
    except (OSError, UnicodeDecodeError) as error:
        raise NonesuchError(f"{path}: not a readable list of names ({error})") from error
    if not names:
        raise NonesuchError(f"{path}: the list of names is empty")
    return names


def excluded_names(lists: Iterable[Path], photographs: list[Photograph]) -> set[str]:
    """What the lists of --exclude name, for `exclude`.

    Raises:
        NonesuchError: a list cannot be read, or together they leave out none of the photographs, or all.
    """
    paths = list(lists)
    names = {name for path in paths for name in read_names(path)}
    left = len(exclude(photographs, names))
    if paths and left == len(photographs):
        raise NonesuchError(f"--exclude {paths[0]}: leaves out none of {left} images; check its names")
    if not left:
        raise NonesuchError("--exclude leaves no photograph to train on")
    return names


def _label(name: str) -> str:
    path = PurePosixPath(name)
    return path.parent.name or path.stem


def _is_image(name: str) -> bool:
    file = PurePosixPath(name).name
    return file.lower().endswith(IMAGE_SUFFIXES) and not file.startswith(".")


def _in_folder(folder: Path) -> list[Photograph]:
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return [Photograph(name, _label(name), folder / name) for name in names if _is_image(name)]


def _in_tar(path: Path) -> list[Photograph]:
    if path.stat().st_size == 0:
        raise NonesuchError(f"{path}: the file is empty; copy it again")
    try:
        with tarfile.open(path, "r:") as archive:
            members = [member for member in archive if member.isfile() and _is_image(member.name)]
    except (tarfile.TarError, OSError, EOFError) as error:
        raise NonesuchError(f"{path}: not an image and not a readable uncompressed tar ({error})") from error
    found = [
        Photograph(member.name.removeprefix("./"), _label(member.name), path, member.offset_data, member.size)
        for member in members
    ]
    if found and max(item.offset + item.size for item in found) > path.stat().st_size:
        raise NonesuchError(f"{path}: truncated; copy it again")
    return sorted(found, key=lambda item: item.name)


def signature(photographs: Iterable[Photograph]) -> str:
    """A hash of names, labels and sizes in bytes: tells one set of photographs from another without reading them."""
    digest = hashlib.sha256()
    for item in photographs:
        size = item.container.stat().st_size if item.size < 0 else item.size
        digest.update(f"{item.name}\0{item.identity}\0{size}\n".encode())
    return digest.hexdigest()


def table_beside(tar: Path) -> Path | None:
    """The table that describes a tar's images: of the same name, in the same folder; None where there is none."""
    tar = tar.resolve()
    beside = [tar.with_name(tar.name.removesuffix(".tar") + suffix) for suffix in _TABLE_SUFFIXES]
    return next((path for path in beside if path.is_file()), None)


def _relabelled(path: Path, split: str | None) -> list[Photograph]:
    """The images that a manifest keeps, under its labels."""
    manifest = relabelling.read(path)
    found = find(manifest.source, split)
    missing = set(manifest.labels) - {item.name for item in found}
    if missing and split is not None:
        missing -= {item.name for item in find(manifest.source)}
    mend = f"make {path.name} again with 'nonesuch clean'"
    if missing:
        raise NonesuchError(
            f"{path}: {manifest.source} lacks {len(missing)} of its images, the first is {min(missing)}; {mend}"
        )
    kept = []
    for item in found:
        if (label := manifest.labels.get(item.name)) is None:
            continue
        if label.was != item.identity:
            raise NonesuchError(f"{path}: {item.name} was of {label.was}, and is of {item.identity} now; {mend}")
        kept.append(replace(item, identity=label.identity))
    if found and not kept:
        raise NonesuchError(f"{path}: keeps none of the images of {manifest.source} in the split {split}")
    return kept


def _apply_table(tar: Path, found: list[Photograph], split: str | None) -> list[Photograph]:
    table = table_beside(tar)
    if table is None:
        return found
    columns = tables.read_columns(table, ["file"], optional=["identity", "split"])
    rows = {name: index for index, name in enumerate(columns["file"])}
    labels, splits = columns.get("identity"), columns.get("split")
    kept = []
    for item in found:
        row = rows.get(item.name)
        if row is None or (split is not None and splits is not None and splits[row] != split):
            continue
        identity = item.identity if labels is None else str(labels[row])
        kept.append(replace(item, identity=identity))
    if found and not kept:
        which = f" in the split {split}" if split else ""
        raise NonesuchError(f"{table}: names none of the images of {tar.name}{which}")
    return kept
