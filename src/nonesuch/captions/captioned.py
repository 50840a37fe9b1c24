"""Captions beside the shards of a dataset, or in a table of their own."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nonesuch.captions.funnel import EVERY, sifted
from nonesuch.captions.known import Labels, steered_truth
from nonesuch.captions.writing import SCHEMA, Captioner
from nonesuch.core import files, parquet, tables
from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.perceived_columns import GROUP as PERCEPTION
from nonesuch.dataset.perceived_columns import perceive_photographs
from nonesuch.formats import manifest as manifests
from nonesuch.formats.columns import columns_file, columns_problem, have_columns, write_columns
from nonesuch.formats.labels import FIRST
from nonesuch.formats.plan import Plan
from nonesuch.formats.readers import find
from nonesuch.formats.shards import read_index, shard_files
from nonesuch.loop.progress import OnProgress
from nonesuch.models import load_detector
from nonesuch.perception.perceiver import COLUMNS, Perceiver
from nonesuch.steering.columns import GROUP as STEERING

GROUP = "captions"
_ROWS = 8192  # of a table, in memory at a time
_SHOWN = 3  # captions that are kept to be shown


@dataclass
class CaptionCounts:
    """What was done.

    Attributes:
        images: of the source.
        captioned: images with a caption; the others have too few facts.
        faceless: images among these others in which no face was found.
        written: images that this call described; the others had been.
        first: the first captions.
    """

    images: int = 0
    captioned: int = 0
    faceless: int = 0
    written: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, captions: pa.Table, faceless: int, written: bool) -> None:
        there = captions["caption"].drop_null()
        self.images += len(captions)
        self.captioned += len(there)
        self.faceless += faceless
        self.written += len(captions) if written else 0
        self.first += there.slice(0, _SHOWN - len(self.first)).to_pylist()


def caption_dataset(
    folder: Path, captioner: Captioner, made_by: str, known: Labels | None, on_progress: OnProgress
) -> CaptionCounts:
    """Add captions to each shard that lacks them; shards that are done stay done."""
    counts, plan = CaptionCounts(), Plan(folder)
    steered = STEERING in manifests.read(folder).brought_columns
    with manifests.locked(folder):
        for shard in range(plan.shards):
            # What a model is asked may go on where it ended; what it answered is remembered.
            done = captioner.rewriter is None and have_columns(folder, GROUP, shard, made_by)
            if done:
                captions = parquet.read_table(columns_file(folder, GROUP, shard))
            else:
                seen = parquet.read_table(columns_file(folder, PERCEPTION, shard))
                index = read_index(shard_files(folder, shard).index)
                truth = _truth(index["key"].to_pylist(), known, _steering(folder, shard) if steered else None)
                captions = captioner.table(_arrays(seen), _seeds(index), truth)
                write_columns(folder, GROUP, shard, made_by, captions)
            counts.add(captions, 0, not done)
            on_progress("writing captions", counts.images, plan.images)
    return counts


def sound_captions(folder: Path, shard: int) -> Path:
    """The file of a shard's captions; raises NonesuchError where it is missing, damaged, or about other images."""
    if problem := columns_problem(folder, GROUP, shard):
        raise NonesuchError(f"{folder}: shard {shard:06d}: {problem}; run 'nonesuch caption {folder}'")
    return columns_file(folder, GROUP, shard)


def _steering(folder: Path, shard: int) -> pa.Table:
    if problem := columns_problem(folder, STEERING, shard):
        raise NonesuchError(f"{folder}: shard {shard:06d}: {problem}; run the command that made it again")
    return parquet.read_table(columns_file(folder, STEERING, shard))


def _seeds(index: pa.Table) -> NDArray[np.uint64]:
    """(N,) the images' seeds; of an image without one the first bytes of its hash."""
    of_hashes = pa.array([int.from_bytes(one[:8], "little") for one in index["sha256"].to_pylist()], pa.uint64())
    return pc.coalesce(index["seed"], of_hashes).to_numpy()


def _truth(keys: list[str], known: Labels | None, steering: pa.Table | None) -> NDArray[np.float64] | None:
    """What is known of images by labels and by steering; labels come first."""
    parts = [known.of(keys)] if known else []
    parts += [steered_truth(steering)] if steering is not None else []
    if len(parts) == 2:
        return np.where(np.isfinite(parts[0]), parts[0], parts[1])
    return parts[0] if parts else None


def caption_table(
    seen: Path, out: Path, captioner: Captioner, known: Labels | None, on_progress: OnProgress
) -> CaptionCounts:
    """Write captions of a table of `perceive_faces`, part by part; nothing is written where it fails."""
    counts = CaptionCounts()
    schema = pa.schema([("file", pa.string()), *SCHEMA], metadata={b"made_by": captioner.signature().encode()})
    with parquet.reader(seen) as table, files.replacing(out) as temporary:
        total = table.metadata.num_rows
        with parquet.writer(temporary, schema) as writer:
            for batch in parquet.batches(table, _ROWS, ["file", *COLUMNS]):
                part = pa.Table.from_batches([batch])
                captions, faceless = _rows(part, captioner, known)
                writer.write_table(captions.add_column(0, "file", part["file"]).cast(schema))
                counts.add(captions, faceless, True)
                on_progress("writing captions", counts.images, total)
    return counts


def _rows(part: pa.Table, captioner: Captioner, known: Labels | None) -> tuple[pa.Table, int]:
    """Captions of photographs, and how many of these show no face; a photograph's seed is that of its name."""
    names_ = part["file"].to_pylist()
    seeds = [int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") for name in names_]
    found = captioner.table(_arrays(part), np.array(seeds, dtype=np.uint64), known.of(names_) if known else None)
    face = ~np.isnan(part["quality"].to_numpy(zero_copy_only=False))
    return tables.with_nulls(found.filter(pa.array(face)), face), int((~face).sum())


def _arrays(table: pa.Table) -> dict[str, NDArray[np.float64]]:
    numbers = [name for name in table.column_names if name in COLUMNS and pa.types.is_floating(table[name].type)]
    return {name: table[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in numbers}


@dataclass(frozen=True)
class Look:
    """How photographs are looked at: by what device, whether those of 112x112 are aligned too, and through which
    funnel."""

    device: str
    align: bool
    funnel: str


@contextmanager
def perceived_table(
    source: Path, out: Path, perceiver: Perceiver, look: Look, on_progress: OnProgress
) -> Iterator[tuple[Path, dict[str, int]]]:
    """The table of what photographs show: the source itself, or one beside `out` that is removed again.

    With it comes what a funnel left, step by step.
    """
    made_by = _made_by(source)
    if made_by is not None:
        if made_by != perceiver.card.sha256:
            raise NonesuchError(
                f"{source}: perceived by other heads than {perceiver.card.name}; name them with --model"
            )
        if look.funnel != EVERY:
            raise NonesuchError(f"--funnel: {source} is a table; name the photographs")
        yield source, {}
        return
    found = find(source, label=FIRST)  # labels play no part here
    left: dict[str, int] = {}
    detector = load_detector(look.device)
    if look.funnel != EVERY:
        total = len(found)
        found, left = sifted(found, detector, look.funnel, lambda done: on_progress("sifting", done, total))
    seen = files.temporary_beside(out.with_name(f"perceived_for_{out.name}"))
    try:
        perceive_photographs(
            found,
            perceiver,
            detector,
            seen,
            lambda done: on_progress("perceiving", done, len(found)),
            look.align,
            source,
        )
        yield seen, left
    finally:
        seen.unlink(missing_ok=True)


def _made_by(source: Path) -> str | None:
    """Which heads made a table of `perceive_faces`; None where the source is none."""
    if source.suffix != ".parquet" or not source.is_file():
        return None
    try:
        schema = parquet.read_schema(source)
    except parquet.UNREADABLE as error:
        raise NonesuchError(f"{source}: not readable as Parquet") from error
    if not {"file", *COLUMNS} <= set(schema.names):
        return None  # the manifest of a cleaned source, which `find` reads
    return (schema.metadata or {}).get(b"made_by", b"").decode()
