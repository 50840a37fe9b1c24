"""Images of datasets of ours, as the contents of another: whole identities, with their seeds, vectors and columns."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nonesuch.core import files, parquet, tables
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CODECS, check_size
from nonesuch.dataset.collected.contents import AT_ONCE, Block, CollectedImage
from nonesuch.dataset.collected.provenance import parts_of
from nonesuch.formats import manifest as manifests
from nonesuch.formats.columns import MADE_BY, columns_file, columns_problem
from nonesuch.formats.manifest import MANIFEST, Manifest
from nonesuch.formats.plan import Plan
from nonesuch.formats.shards import read_index, shard_files

_SHARDS_OPEN = 4  # whose indices and columns are in memory


@dataclass(frozen=True)
class SourceDataset:
    """A dataset of ours that is complete.

    Attributes:
        folder, manifest, plan: of it.
        sha256: of its manifest.
        chosen: (K,) ascending keys of the images that count; None for all.
    """

    folder: Path
    manifest: Manifest
    plan: Plan
    sha256: str
    chosen: NDArray[np.bytes_] | None = None

    @classmethod
    def at(cls, folder: Path) -> "SourceDataset":
        """Raises NonesuchError where there is none, or one that is not complete or has another plan."""
        if not manifests.is_dataset(folder):
            raise NonesuchError(f"{folder}: no dataset of nonesuch; 'nonesuch import' makes one of images")
        manifest = manifests.read(folder)
        if not manifest.complete:
            raise NonesuchError(f"{folder}: not complete; run the command that made it again")
        manifests.check_plan(folder, manifest)
        return cls(folder, manifest, Plan(folder), files.sha256(folder / MANIFEST))

    @property
    def embedder(self) -> str | None:
        """Hash of the embedder of its identities' vectors; None where they have none."""
        made_by = [self.manifest.generator, *(part["generator"] for part in self.manifest.made_from)]
        found = {origin["embedder_sha256"] for origin in made_by if origin}
        return found.pop() if self.plan.has_vectors and len(found) == 1 else None

    def pieces(self, source: int) -> Iterator[tuple["Piece", str]]:
        """Each identity's images of each shard, with the identity's name; `source` is this dataset's number."""
        for shard in range(self.plan.shards):
            index = read_index(shard_files(self.folder, shard).index)
            there = _counts(index, self.chosen)
            labels, images = index["label"].to_numpy()[there], index["image"].to_numpy()[there]
            people = self.plan.tables(shard)[1]
            names = dict(zip(people["identity"].to_pylist(), people["name"].to_pylist(), strict=True))
            order = np.argsort(labels, kind="stable")
            found, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
            last = np.maximum.reduceat(images[order], starts) if len(starts) else starts
            for label, count, top in zip(found.tolist(), counts.tolist(), last.tolist(), strict=True):
                yield Piece(source, shard, label, count, top), names.get(label) or ""


@dataclass(frozen=True, slots=True)
class Piece:
    """Images of an identity in one shard of one dataset.

    Attributes:
        source, shard, label: where they are; the place of the dataset, and its own label.
        images: how many.
        last: greatest number of an image.
        shift: what is added to their numbers in the new dataset.
    """

    source: int
    shard: int
    label: int
    images: int
    last: int
    shift: int = 0


@dataclass(frozen=True, slots=True)
class CopiedPerson:
    """An identity of the new dataset: label, name, and the images that it gets."""

    label: int
    name: str
    pieces: tuple[Piece, ...]

    @property
    def images(self) -> int:
        return sum(piece.images for piece in self.pieces)

    @property
    def numbers(self) -> int:
        return max(piece.last + piece.shift for piece in self.pieces) + 1


class DatasetContents:
    """Images of datasets, see `Contents`.

    Args:
        sources: all of one codec.
        people: in ascending order of their labels.
        columns: groups that every shard of every source has, and what made each.
    """

    def __init__(
        self, sources: Sequence[SourceDataset], people: Sequence[CopiedPerson], columns: Mapping[str, str]
    ) -> None:
        self.people, self.columns, self._sources = people, columns, sources
        parts = [len(parts_of(source.folder, source.manifest)) for source in sources]
        self._first_part = np.cumsum([0, *parts]).tolist()
        embedders = {source.embedder for source in sources}
        self._have_vectors = len(embedders) == 1 and None not in embedders
        self._shard = lru_cache(_SHARDS_OPEN)(self._open_shard)
        self._vectors = lru_cache(_SHARDS_OPEN)(self._read_vectors)

    def read(self, person: int) -> Iterator[Block]:
        """As `Contents.read`; each image is checked against its hash."""
        one = self.people[person]
        for piece in one.pieces:
            shard = self._shard(piece.source, piece.shard)
            rows = np.flatnonzero(shard.labels == piece.label)[: piece.images]
            for start in range(0, len(rows), AT_ONCE):
                some = rows[start : start + AT_ONCE]
                images = shard.images(some, one.label, piece.shift, self._first_part[piece.source])
                columns = {group: table.take(pa.array(some)) for group, table in shard.columns.items()}
                yield Block(images, len(images), columns)

    def vectors(self, people: Sequence[int]) -> NDArray[np.float32] | None:
        """As `Contents.vectors`; None unless all sources have vectors of one embedder."""
        if not self._have_vectors:
            return None
        found = []
        for person in people:
            piece = self.people[person].pieces[0]
            labels, vectors = self._vectors(piece.source, piece.shard)
            found.append(vectors[labels[piece.label]])
        return np.stack(found)

    def _open_shard(self, source: int, shard: int) -> "_Shard":
        return _Shard(self._sources[source], shard, self.columns)

    def _read_vectors(self, source: int, shard: int) -> tuple[dict[int, int], NDArray[np.float32]]:
        people = self._sources[source].plan.tables(shard)[1]
        rows = {label: row for row, label in enumerate(people["identity"].to_pylist())}
        return rows, tables.embeddings(people["embedding"])


class _Shard:
    """One shard of a source: the rows of its index that count, and its columns."""

    def __init__(self, source: SourceDataset, shard: int, groups: Mapping[str, str]) -> None:
        self._tar = shard_files(source.folder, shard).tar
        index = read_index(shard_files(source.folder, shard).index)
        there = pa.array(_counts(index, source.chosen))
        self._index = index.filter(there)
        self._suffix = CODECS[source.manifest.render["codec"]]
        parts = self._index["part"].to_numpy() if "part" in index.column_names else np.zeros(0)
        if len(parts) and not 0 <= parts.min() <= parts.max() < len(source.manifest.made_from):
            raise NonesuchError(f"{self._tar}: its index names parts that the manifest lacks; see 'nonesuch verify'")
        self.labels: NDArray[np.int64] = self._index["label"].to_numpy()
        self.columns: dict[str, pa.Table] = {}
        for group in groups:
            table = parquet.read_table(columns_file(source.folder, group, shard)).replace_schema_metadata(None)
            self.columns[group] = table.filter(there).drop_columns(["key"])

    def images(self, rows: NDArray[np.int64], label: int, shift: int, first_part: int) -> list[CollectedImage]:
        found = []
        try:
            with self._tar.open("rb") as handle:
                for row in self._index.take(pa.array(rows)).to_pylist():
                    check_size(row["size"], f"{self._tar}:{row['key']}")
                    handle.seek(row["offset"])
                    data = handle.read(row["size"])
                    if hashlib.sha256(data).digest() != row["sha256"]:
                        raise NonesuchError(
                            f"{self._tar}: {row['key']} is not what its index says; see 'nonesuch verify'"
                        )
                    found.append(
                        CollectedImage(
                            label,
                            row["image"] + shift,
                            row["seed"],
                            row["sigma"],
                            data,
                            first_part + row.get("part", 0),
                            row.get("file", row["key"] + self._suffix),
                        )
                    )
        except OSError as error:
            raise NonesuchError(f"{self._tar}: not readable ({error.strerror or error})") from error
        return found


def _counts(index: pa.Table, chosen: NDArray[np.bytes_] | None) -> NDArray[np.bool_]:
    """Which rows of an index count."""
    if chosen is None:
        return np.ones(len(index), dtype=bool)
    keys = np.array([key.encode() for key in index["key"].to_pylist()])
    place = np.minimum(np.searchsorted(chosen, keys), len(chosen) - 1)
    return chosen[place] == keys


def common_columns(sources: Sequence[SourceDataset]) -> tuple[dict[str, str], list[str]]:
    """Groups of columns that can come along, with what made them; and why others cannot, a line each.

    A group must be sound in every shard of every source, of the same columns, and made by the same thing.
    """
    groups = sorted(
        {path.name for source in sources for path in (source.folder / "columns").glob("*") if path.is_dir()}
    )
    found, others = {}, []
    for group in groups:
        kinds: set[tuple[str, pa.Schema]] = set()
        problem = ""
        for source in sources:
            for shard in range(source.plan.shards):
                if told := columns_problem(source.folder, group, shard):
                    problem = problem or f"{source.folder.name}, shard {shard:06d}: {told}"
                    break
                schema = parquet.read_schema(columns_file(source.folder, group, shard))
                kinds.add((schema.metadata[MADE_BY].decode(), schema.remove_metadata()))
        if not problem and len(kinds) > 1:
            problem = "made by different models, or in different runs"
        if problem:
            others.append(f"{group} ({problem})")
        else:
            found[group] = kinds.pop()[0]
    return found, others
