"""What every image shows, as columns of a dataset or as a table of photographs."""

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from nonesuch.core import files, parquet, tables
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import Pixels
from nonesuch.formats import manifest as manifests
from nonesuch.formats.columns import have_columns, write_columns
from nonesuch.formats.dataset import shard_images
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.plan import Plan
from nonesuch.perception.detection import Detector
from nonesuch.perception.faces import BATCH, ELSEWHERE, LARGEST, read_faces, tell_several
from nonesuch.perception.perceiver import COLUMNS, Perceiver

GROUP = "perception"
_TEXT = ("gender", "ethnicity")
_SCHEMA = pa.schema([(name, pa.string() if name in _TEXT else pa.float32()) for name in COLUMNS])


def perceive_dataset(
    folder: Path, perceiver: Perceiver, on_image: Callable[[int, int], None] = lambda done, total: None
) -> int:
    """Add `COLUMNS` to each shard of a dataset that lacks them; returns how many images were looked at.

    Raises:
        NonesuchError: the dataset is incomplete, damaged or being written, or the disk is full; shards that are done
            stay done.
    """
    if not manifests.read(folder).complete:
        raise NonesuchError(f"{folder}: not complete; run the command that made it again")
    plan = Plan(folder)
    with manifests.locked(folder):
        return _add_missing(folder, plan, perceiver, on_image)


def _add_missing(folder: Path, plan: Plan, perceiver: Perceiver, on_image: Callable[[int, int], None]) -> int:
    done = looked = 0
    for shard in range(plan.shards):
        if not have_columns(folder, GROUP, shard, perceiver.card.sha256):
            parts = []
            crops = shard_images(folder, shard)
            while batch := list(islice(crops, BATCH)):
                parts.append(_table(np.stack(batch), perceiver))
                on_image(done + sum(map(len, parts)), plan.images)
            write_columns(folder, GROUP, shard, perceiver.card.sha256, pa.concat_tables(parts))
            looked += plan.shard_images(shard)
        done += plan.shard_images(shard)
        on_image(done, plan.images)
    return looked


def perceive_photographs(
    photographs: Iterable[Photograph],
    perceiver: Perceiver,
    detector: Detector,
    out: Path,
    on_image: Callable[[int], None] = lambda done: None,
    always_align: bool = False,
    where: Path | str = "images",
) -> list[str]:
    """Write a table with `file`, `faces` and `COLUMNS`, which are null where no face was found.

    Args:
        where: the source of the photographs, for the note that some show several faces.

    Returns:
        The problem of each photograph that has none.

    Raises:
        NonesuchError: no photograph shows a face, or the disk is full; nothing is then written to `out`.
    """
    schema = pa.schema(
        [("file", pa.string()), ("faces", pa.int32()), *_SCHEMA], metadata={b"made_by": perceiver.card.sha256.encode()}
    )
    problems: list[str] = []
    counts: list[int | None] = []
    unclear: list[bool] = []
    files.clear_old(out.parent)
    with files.replacing(out) as temporary, parquet.writer(temporary, schema) as writer:
        for faces in read_faces(photographs, detector, always_align, on_image=on_image):
            problems += [problem for problem in faces.problems if problem]
            names = pa.array([photograph.name for photograph in faces.photographs], pa.string())
            found = tables.with_nulls(_table(faces.crops, perceiver), faces.found)
            found = found.add_column(0, "faces", pa.array(faces.counts, pa.int32()))
            writer.write_table(found.add_column(0, "file", names).cast(schema))
            counts += faces.counts
            unclear += faces.unclear
        if len(problems) == len(counts):
            raise NonesuchError(f"none of {len(counts)} photographs shows a face; the first: {problems[0]}")
    tell_several(where, counts, unclear, LARGEST, ELSEWHERE)
    return problems


def _table(crops: Pixels, perceiver: Perceiver) -> pa.Table:
    """`COLUMNS` of (N, 112, 112, 3) crops."""
    if not len(crops):
        return _SCHEMA.empty_table()
    found = perceiver.perceive(crops, BATCH)
    return pa.table([pa.array(found[field.name], field.type) for field in _SCHEMA], schema=_SCHEMA)
