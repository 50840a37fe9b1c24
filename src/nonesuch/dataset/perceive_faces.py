"""What images show, as columns of a dataset or as a table."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from nonesuch.core import files, parquet
from nonesuch.core.arguments import DTYPE, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path
from nonesuch.dataset.perceived_columns import GROUP, perceive_dataset, perceive_photographs
from nonesuch.formats.columns import read_columns
from nonesuch.formats.labels import FIRST
from nonesuch.formats.manifest import is_dataset
from nonesuch.formats.plan import Plan
from nonesuch.formats.readers import find
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.models import load_detector, load_perceiver


@dataclass(frozen=True)
class PerceivedFaces:
    """What images show.

    Attributes:
        place: the table, or the folder of the dataset's columns.
        images: rows of its columns.
        looked_at: images that this call looked at.
        model: name of the perception heads.
        problems: in words, why nothing is known about an image, for each such image.
    """

    place: Path
    images: int
    looked_at: int
    model: str
    problems: tuple[str, ...]

    @property
    def columns(self) -> pa.Table:
        """Read the columns, a row per image: `file` and `faces` (how many were found, null where none were looked for),
        or `key`; and `nonesuch.perception.perceiver.COLUMNS`. Raises NonesuchError where they have been damaged.
        """
        return self._read(None)

    def column(self, name: str) -> pa.ChunkedArray:
        """Read one of the columns; errors likewise."""
        return self._read([name])[name]

    def _read(self, columns: list[str] | None) -> pa.Table:
        if self.place.is_dir():
            return read_columns(self.place.parents[1], GROUP, columns)
        return parquet.read_table(self.place, columns)


@checked(dtype=DTYPE)
def perceive_faces(
    source: AnyPath,
    *,
    out: AnyPath | None = None,
    align: bool = False,
    model: str = "perceiver",
    device: str = "auto",
    dtype: str = "float32",
    on_progress: OnProgress = no_progress,
) -> PerceivedFaces:
    """Estimate what each image shows: head pose, age, gender, ethnicity, quality, and CelebA's 40 attributes.

    Args:
        source: a dataset of ours, which gets columns, or an image, a folder or a published set, which takes `out`.
        out: Parquet table to write; None adds columns to the dataset.
        align: detect and align 112x112 images too, which otherwise count as aligned.
        model: the shipped perception heads by name, or a file with its card.
        device, dtype: of the networks.
        on_progress: told how many are done.

    Raises:
        NonesuchError: there are no images, none shows a face, the dataset is incomplete, or a place cannot be written.

    Example:
        nonesuch.perceive_faces("holiday", out="attributes.parquet").columns
    """
    folder = as_path(source)
    if out is None and not is_dataset(folder):
        raise NonesuchError(f"{folder}: not a dataset of nonesuch; name the table to write with --out TABLE.parquet")
    if out is None and align:
        raise NonesuchError("--align: a dataset's images are aligned; leave it out")
    if out is None and not files.can_write(folder):
        raise NonesuchError(f"{folder}: cannot be written; name a table to write with --out TABLE.parquet")
    perceiver = load_perceiver(model, device, dtype)
    if out is None:
        looked = perceive_dataset(folder, perceiver, lambda done, total: on_progress("perceiving", done, total))
        place = folder / "columns" / GROUP
        return PerceivedFaces(place, Plan(folder).images, looked, perceiver.card.name, ())
    found = find(folder, label=FIRST)  # labels play no part here
    problems = perceive_photographs(
        found,
        perceiver,
        load_detector(device),
        as_path(out),
        lambda done: on_progress("perceiving", done, len(found)),
        align,
        folder,
    )
    return PerceivedFaces(as_path(out), len(found), len(found), perceiver.card.name, tuple(problems))
