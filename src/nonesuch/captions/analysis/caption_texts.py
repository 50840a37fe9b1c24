"""Captions of any source, with the facts that they are said to state: what a report looks at."""

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nonesuch.captions.captioned import sound_captions
from nonesuch.core import parquet
from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.perceived_columns import GROUP as PERCEPTION
from nonesuch.formats.columns import columns_file, columns_problem
from nonesuch.formats.manifest import is_dataset
from nonesuch.formats.plan import Plan

_COLUMNS = ("caption", "facts", "rewritten_by")
_ROWS = 8192


@dataclass
class CaptionTexts:
    """Captions in the order of their source.

    Attributes:
        name: of the source.
        images: rows of the source, with and without a caption.
        names: of the images with a caption; empty where the source is plain text.
        texts: the captions.
        facts: what each is said to state, by name; empty where the source is plain text.
        rewritten: whether a language model wrote a sentence of each.
        quality: mean quality of the images, 0..100, where perception columns tell; NaN elsewhere.
    """

    name: str
    images: int = 0
    names: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    facts: list[frozenset[str]] = field(default_factory=list)
    rewritten: list[bool] = field(default_factory=list)
    quality: float = float("nan")


def read_captions(source: Path, most: int) -> CaptionTexts:
    """The first captions of a dataset of ours, of the table that `caption --out` wrote, or of a text file, one a line.

    Args:
        most: captions to read.

    Raises:
        NonesuchError: there are none, or the source cannot be read.
    """
    found = CaptionTexts(source.name)
    if not source.exists():
        raise NonesuchError(f"{source}: no such file or folder")
    if source.suffix == ".parquet" or is_dataset(source):
        if source.is_file():
            _add_table(found, source, most)
        else:
            for shard in range(Plan(source).shards):
                _add_table(found, sound_captions(source, shard), most)
            found.quality = _quality(source)
    elif source.is_file():
        for line in _lines(source):
            if line.strip() and len(found.texts) < most:
                found.images += 1
                found.texts.append(line.strip())
                found.rewritten.append(False)
    else:
        raise NonesuchError(f"{source}: neither a dataset of nonesuch, nor a table of captions, nor a text file")
    if not found.texts:
        raise NonesuchError(f"{source}: holds no captions; 'nonesuch caption' makes some")
    return found


def _quality(folder: Path) -> float:
    shards = range(Plan(folder).shards)
    if any(columns_problem(folder, PERCEPTION, shard) for shard in shards):
        return float("nan")
    files = [columns_file(folder, PERCEPTION, shard) for shard in shards]
    return float(np.concatenate([parquet.read_table(path, ["quality"])["quality"].to_numpy() for path in files]).mean())


def _add_table(found: CaptionTexts, path: Path, most: int) -> None:
    for name, row in caption_rows(path, _COLUMNS):
        found.images += 1
        if row["caption"] is None or len(found.texts) >= most:
            continue
        found.names.append(name)
        found.texts.append(row["caption"])
        found.facts.append(frozenset(row["facts"] or ()))
        found.rewritten.append(row["rewritten_by"] is not None)


def caption_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The image's name and these columns of each row of a table of captions, some thousand in memory at a time.

    Raises:
        NonesuchError: it cannot be read, names no images or lacks a column.
    """
    try:
        with parquet.reader(path) as table:
            there = table.schema_arrow.names
            key = next((name for name in ("file", "key") if name in there), None)
            if key is None or not set(columns) <= set(there):
                raise NonesuchError(f"{path}: not a table of captions; it has {', '.join(there)}")
            for batch in parquet.batches(table, _ROWS, [key, *columns]):
                for row in batch.to_pylist():
                    yield row[key], row
    except parquet.UNREADABLE as error:
        raise NonesuchError(f"{path}: not readable as Parquet ({error})") from error


def _lines(path: Path) -> Iterator[str]:
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig") as handle
        ):
            yield from handle
    except (OSError, EOFError) as error:
        raise NonesuchError(f"{path}: not readable ({error})") from error
    except UnicodeDecodeError as error:
        raise NonesuchError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error
