"""What every image shows, as columns of a dataset or as a table of photographs."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import Pixels
from nonesuch.dataset import manifest as manifests
from nonesuch.dataset.columns import have_columns, write_columns
from nonesuch.dataset.reader import shard_images
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.plan import Plan
from nonesuch.perception.detection import Detector
from nonesuch.perception.faces import aligned_face
from nonesuch.perception.perceiver import COLUMNS, Perceiver

Item = TypeVar("Item")

GROUP = "perception"
_BATCH = 64
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
            for crops in _batches(shard_images(folder, shard)):
                parts.append(_table(list(crops), perceiver))
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
) -> list[str]:
    """Write a table with `file` and `COLUMNS`, which are null where no face was found.

    Returns:
        The problem of each photograph that has none.

    Raises:
        NonesuchError: no photograph shows a face, or the disk is full; nothing is then written to `out`.
    """
    schema = pa.schema([("file", pa.string()), *_SCHEMA], metadata={b"made_by": perceiver.card.sha256.encode()})
    problems: list[str] = []
    total = 0
    with files.replacing(out) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for batch in _batches(photographs):
            faces = [aligned_face(photograph, detector, always_align) for photograph in batch]
            problems += [problem for _, problem in faces if problem]
            names = pa.array([photograph.name for photograph in batch], pa.string())
            writer.write_table(_table([crop for crop, _ in faces], perceiver).add_column(0, "file", names).cast(schema))
            total += len(batch)
            on_image(total)
        if len(problems) == total:
            raise NonesuchError(f"none of {total} photographs shows a face; the first: {problems[0]}")
    return problems


def _table(crops: list[Pixels | None], perceiver: Perceiver) -> pa.Table:
    """A row per crop, null for None."""
    there = [crop for crop in crops if crop is not None]
    if not there:
        return pa.table({field.name: pa.nulls(len(crops), field.type) for field in _SCHEMA}, schema=_SCHEMA)
    found = perceiver.perceive(np.stack(there), _BATCH)
    numbers = iter(range(len(there)))
    rows = pa.array([None if crop is None else next(numbers) for crop in crops], pa.int64())
    columns = [pa.array(found[field.name], field.type).take(rows) for field in _SCHEMA]
    return pa.table(columns, schema=_SCHEMA)


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
