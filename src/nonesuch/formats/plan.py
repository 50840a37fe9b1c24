"""The plan of a dataset: one row per image, written before any image is made.

`plan.parquet` holds identity, image, seed and sigma; `identities.parquet` the identities' vectors. Row group i of
both belongs to shard i, so a shard is read without reading the rest, whatever the size of the dataset.

The plan of a dataset made of images that existed before lists these: seed and sigma are null where an image was not
generated from a plan, and `identities.parquet` has no vectors unless all parts have them from one embedder.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nonesuch.core import parquet
from nonesuch.core.errors import NonesuchError
from nonesuch.core.tables import embeddings

PLAN, IDENTITIES = "plan.parquet", "identities.parquet"

PLAN_SCHEMA = pa.schema(
    [("identity", pa.int64()), ("image", pa.int32()), ("seed", pa.uint64()), ("sigma", pa.float32())]
)


_PEOPLE = pa.schema([("identity", pa.int64()), ("name", pa.string())])


def identities_schema(width: int | None) -> pa.Schema:
    """Schema of `identities.parquet`: the label, the name it was given, and the raw vector; None for no vectors."""
    return _PEOPLE if width is None else _PEOPLE.append(pa.field("embedding", pa.list_(pa.float32(), width)))


@dataclass(frozen=True)
class PlanRows:
    """The images of one shard.

    Attributes:
        identity, image: (N,) label and number within the identity.
        seed: (N,) uint64.
        sigma: (N,) float32.
        vectors: (identities, D) float32 raw base vectors of the shard's identities.
        vector_row: (N,) row of `vectors` of each image.
    """

    identity: NDArray[np.int64]
    image: NDArray[np.int32]
    seed: NDArray[np.uint64]
    sigma: NDArray[np.float32]
    vectors: NDArray[np.float32]
    vector_row: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.identity)

    def part(self, rows: slice | NDArray[np.int64]) -> "PlanRows":
        """Some rows, with the same table of vectors."""
        return PlanRows(
            self.identity[rows],
            self.image[rows],
            self.seed[rows],
            self.sigma[rows],
            self.vectors,
            self.vector_row[rows],
        )


def _kinds(schema: pa.Schema) -> tuple[list[str], list[pa.DataType]]:
    """Names of columns and their types, but for the vectors, whose width varies."""
    return schema.names, schema.types[:2]


class Plan:
    """Reads the plan of a dataset folder, shard by shard.

    Raises:
        NonesuchError: a file is missing or damaged, or the two do not belong together.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self._images = parquet.reader(folder / PLAN)
            self._identities = parquet.reader(folder / IDENTITIES)
            images, people = self._images.schema_arrow, self._identities.schema_arrow
            known = [_kinds(identities_schema(width)) for width in (1, None)]
            fits = images.equals(PLAN_SCHEMA) and _kinds(people) in known
        except parquet.UNREADABLE as error:
            raise NonesuchError(f"{folder}: no readable plan ({error})") from error
        if not fits:
            raise NonesuchError(f"{folder}: the columns of {PLAN} or {IDENTITIES} are not those of a plan")
        if self._images.num_row_groups != self._identities.num_row_groups:
            raise NonesuchError(f"{folder}: {PLAN} and {IDENTITIES} do not belong together")

    @property
    def shards(self) -> int:
        """Number of shards."""
        return int(self._images.num_row_groups)

    @property
    def images(self) -> int:
        """Number of images."""
        return int(self._images.metadata.num_rows)

    @property
    def identities(self) -> int:
        """Number of identities."""
        return int(self._identities.metadata.num_rows)

    @property
    def has_vectors(self) -> bool:
        """Whether the identities have vectors."""
        return "embedding" in self._identities.schema_arrow.names

    def shard_images(self, shard: int) -> int:
        """Number of images of one shard."""
        return int(self._images.metadata.row_group(shard).num_rows)

    def shard_identities(self, shard: int) -> int:
        """Number of identities of one shard."""
        return int(self._identities.metadata.row_group(shard).num_rows)

    def every_vector(self) -> NDArray[np.float32]:
        """The (identities, D) raw vectors of all shards, in their order; errors as in `read`."""
        row = 0
        for shard in range(self.shards):
            part = self.read(shard).vectors
            if not row:
                found = np.empty((self.identities, part.shape[1]), dtype=np.float32)
            found[row : row + len(part)] = part
            row += len(part)
        return found

    def people(self, most: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Labels (K,), ascending, and raw vectors (K, D) of the first identities, K at most `most`.

        Raises:
            NonesuchError: the plan is damaged.
        """
        labels, vectors = [], []
        for shard in range(self.shards):
            rows = self.read(shard)
            first = np.unique(rows.vector_row, return_index=True)[1]
            labels.append(rows.identity[first])
            vectors.append(rows.vectors[rows.vector_row[first]])
            if sum(map(len, labels)) >= most:
                break
        every = np.concatenate(labels)
        order = np.argsort(every, kind="stable")[:most]
        return every[order], np.concatenate(vectors)[order]

    def tables(self, shard: int) -> tuple[pa.Table, pa.Table]:
        """The rows of one shard as they are in the two files: images, identities; errors as at opening."""
        try:
            images = self._images.read_row_group(shard)
            identities = self._identities.read_row_group(shard)
        except parquet.UNREADABLE as error:
            raise NonesuchError(f"{self.folder}: the plan is damaged at shard {shard} ({error})") from error
        if any(column.null_count for column in (images["identity"], images["image"], identities["identity"])):
            raise NonesuchError(f"{self.folder}: the plan lacks a value at shard {shard}")
        if not len(identities):
            raise NonesuchError(f"{self.folder}: {IDENTITIES} names nobody at shard {shard}")
        if not np.isin(images["identity"].to_numpy(), identities["identity"].to_numpy()).all():
            raise NonesuchError(f"{self.folder}: {PLAN} names identities that {IDENTITIES} lacks, at shard {shard}")
        return images, identities

    def read(self, shard: int) -> PlanRows:
        """The rows of one shard that is generated.

        Raises:
            NonesuchError: as at opening, or an image has no seed, or there are no vectors.
        """
        images, identities = self.tables(shard)
        if any(column.null_count for column in images.columns):
            raise NonesuchError(f"{self.folder}: the plan lacks a value at shard {shard}")
        if not self.has_vectors:
            raise NonesuchError(f"{self.folder}: {IDENTITIES} holds no vectors")
        labels = identities["identity"].to_numpy()
        identity = images["identity"].to_numpy()
        order = np.argsort(labels, kind="stable")
        vector_row = order[np.searchsorted(labels[order], identity)]
        return PlanRows(
            identity,
            images["image"].to_numpy(),
            images["seed"].to_numpy(),
            images["sigma"].to_numpy(),
            embeddings(identities["embedding"]),
            vector_row,
        )
