"""Writing captions in the forms that published sets of captions have."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from nonesuch.captions.exchange.caption_parts import PARTS, table_parts
from nonesuch.captions.exchange.captioned_shards import check_captioned, shard_captions
from nonesuch.captions.exchange.export_shards import export_shards
from nonesuch.captions.exchange.published import BOX, CAPTION, COLUMNS, FILE, LINES, TABLE, TARS, spellings
from nonesuch.core import files, parquet
from nonesuch.core.arguments import Choice, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path
from nonesuch.core.images import CODECS, CROP_SIZE
from nonesuch.formats import manifest as manifests
from nonesuch.formats.manifest import is_dataset
from nonesuch.loop.progress import OnProgress, no_progress

FORM = Choice(tuple(COLUMNS))
_WHOLE = (0, 0, CROP_SIZE, CROP_SIZE)  # left, top, right, bottom of the face in an image of a dataset

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class ExportedCaptions:
    """What was written.

    Attributes:
        place: the file, or the folder of the form `webdataset`.
        images: of the source.
        captioned: images with a caption.
        files: that hold them.
        written: files that this call wrote; the others were there.
    """

    place: Path
    images: int
    captioned: int
    files: int
    written: int


@checked(form=FORM)
def export_captions(
    source: AnyPath,
    out: AnyPath,
    *,
    form: str = TABLE,
    names: str | Mapping[str, str] | None = None,
    on_progress: OnProgress = no_progress,
) -> ExportedCaptions:
    """Write captions in a form that others read.

    Args:
        source: a dataset of ours that has captions, or the table that `caption_faces` wrote.
        out: file to write; a folder for "webdataset".
        form: "facecaption", Parquet as FaceCaption-15M has it; "faceid", JSON lines as FaceID-6M has them; or
            "webdataset", tars of a dataset's images, each with its caption beside it, without images that have none. In
            the other two every image has its row, in the order of the source.
        names: other spellings of columns, published=other, parted by commas, or a mapping.
        on_progress: told how many images are done.

    Raises:
        NonesuchError: the source has no captions or is damaged, the form needs a dataset, a name is no column, or the
            place cannot be written. A file is written whole or not at all; of a folder, files that are whole stay.

    Example:
        nonesuch.export_captions("faces", "captions.parquet").captioned
    """
    place, target = as_path(source), as_path(out)
    spelt = spellings(form, names)
    if not place.exists():
        raise NonesuchError(f"{place}: no such file or folder")
    ours = is_dataset(place)
    if ours:
        check_captioned(place)
    elif place.is_dir():
        raise NonesuchError(f"{place}: neither a dataset of nonesuch nor the table that 'nonesuch caption --out' wrote")
    if form == TARS:
        if not ours:
            raise NonesuchError(f"{place}: --form {TARS} needs a dataset of nonesuch, with its images")
        return ExportedCaptions(target, *export_shards(place, target, on_progress))
    if target.exists() and target.samefile(place):
        raise NonesuchError(f"{target}: --out would write over what is read; name another file")
    parts = _dataset_parts(place) if ours else table_parts(place, "file", "caption")
    counts = _Counts()
    with files.replacing(target) as temporary:
        write = _write_table if form == TABLE else _write_lines
        write(temporary, counts.counted(parts, on_progress), spelt, _WHOLE if ours else None)
        if not counts.captioned:
            raise NonesuchError(f"{place}: none of its {counts.images:,} images has a caption")
    return ExportedCaptions(target, counts.images, counts.captioned, 1, 1)


@dataclass
class _Counts:
    """Images that went through, and those with a caption."""

    images: int = 0
    captioned: int = 0

    def counted(self, parts: Iterator[pa.Table], on_progress: OnProgress) -> Iterator[pa.Table]:
        for part in parts:
            yield part
            self.images += len(part)
            self.captioned += len(part) - part["caption"].null_count
            on_progress("exporting captions", self.images, 0)


def _dataset_parts(folder: Path) -> Iterator[pa.Table]:
    suffix = CODECS[manifests.read(folder).render["codec"]]
    for part in shard_captions(folder):
        names = pc.binary_join_element_wise(part["key"], pa.scalar(suffix), "")
        yield pa.table([names, part["caption"]], schema=PARTS)


def _write_table(out: Path, parts: Iterator[pa.Table], spelt: Mapping[str, str], box: Box | None) -> None:
    boxes = pa.list_(pa.float32())
    kinds = {name: boxes if name == BOX[TABLE] else pa.string() for name in COLUMNS[TABLE]}
    schema = pa.schema([(spelt[name], kind) for name, kind in kinds.items()])
    with parquet.writer(out, schema) as writer:
        for part in parts:
            columns = {name: pa.nulls(len(part), kind) for name, kind in kinds.items()}
            columns[FILE[TABLE]], columns[CAPTION[TABLE]] = part["file"], part["caption"]
            if box is not None:
                columns[BOX[TABLE]] = pa.array([box] * len(part), boxes)
            writer.write_table(pa.table(list(columns.values()), schema=schema))


def _write_lines(out: Path, parts: Iterator[pa.Table], spelt: Mapping[str, str], box: Box | None) -> None:
    line = {spelt[name]: None for name in COLUMNS[LINES]} | {spelt[BOX[LINES]]: box}
    with out.open("wb") as file:
        for part in parts:
            for name, caption in zip(part["file"].to_pylist(), part["caption"].to_pylist(), strict=True):
                told = line | {spelt[FILE[LINES]]: name, spelt[CAPTION[LINES]]: caption}
                file.write(msgspec.json.encode(told) + b"\n")
