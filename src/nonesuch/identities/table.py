"""Tables of vectors: Parquet files that say which embedder made them and whether they come from real people."""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nonesuch.core import files, parquet
from nonesuch.core.errors import NonesuchError
from nonesuch.core.tables import read_embeddings, text
from nonesuch.identities import contexts
from nonesuch.identities.sampling import KeptApart
from nonesuch.measures.grouping import group_means

SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("identity", pa.string()),
        ("embedding", pa.list_(pa.float32())),
        ("detected", pa.bool_()),
    ]
)
OF_PHOTOGRAPHS = pa.schema(
    [*SCHEMA, ("faces", pa.int32()), ("face", pa.int32()), ("unclear", pa.bool_())]  # see `EmbeddedPhotograph`
)
OF_SAMPLES = pa.schema([*SCHEMA, ("seed", pa.uint64())])  # what each vector was drawn from
_ROWS = 1 << 17  # written or looked at at once: a list's 32-bit offsets end at 2^31 numbers
SAMPLED, PHOTOGRAPHS = "sampled", "photographs"


@dataclass(frozen=True)
class VectorTable:
    """Raw vectors with their labels.

    Attributes:
        identities: (N,) label of each vector.
        vectors: (N, D) float32.
        embedder, embedder_sha256: the embedder that made them; "" where the file does not say, as contexts do not.
        origin: "sampled" or "photographs".
        sampled: what determines a sample, as `write_sampled` was told; empty for other tables.
    """

    identities: list[str]
    vectors: NDArray[np.float32]
    embedder: str
    embedder_sha256: str
    origin: str
    sampled: dict[str, Any] = field(default_factory=dict)


def table_metadata(embedder: str, embedder_sha256: str, origin: str) -> dict[bytes, bytes]:
    """What a table says about itself."""
    fields = {"embedder": embedder, "embedder_sha256": embedder_sha256, "origin": origin}
    return {name.encode(): value.encode() for name, value in fields.items()}


def write_sampled(
    path: Path, sample: KeptApart, embedder: str, embedder_sha256: str, record: Mapping[str, Any]
) -> None:
    """Write sampled identity vectors; row i is identity "i".

    Args:
        record: what determines the sample besides the embedder, JSON-ready; kept in the table's metadata as `sampled`,
            with how many candidates were drawn and the largest cosine of two.

    Raises:
        NonesuchError: the place cannot be written.
    """
    told = {**record, "drawn": sample.drawn, "closest": sample.closest}
    about = table_metadata(embedder, embedder_sha256, SAMPLED) | {b"sampled": json.dumps(told).encode()}
    schema = OF_SAMPLES.with_metadata(about)
    with files.replacing(path) as temporary, parquet.writer(temporary, schema) as parts:
        for first in range(0, len(sample.vectors), _ROWS):
            vectors = sample.vectors[first : first + _ROWS]
            count, width = vectors.shape
            columns = [
                pa.nulls(count, pa.string()),
                pa.array([str(row) for row in range(first, first + count)]),
                pa.ListArray.from_arrays(np.arange(0, (count + 1) * width, width, dtype=np.int32), vectors.ravel()),
                pa.nulls(count, pa.bool_()),
                pa.array(sample.seeds[first : first + count]),
            ]
            parts.write_table(pa.table(columns, schema=schema))


def read_sampled(path: Path) -> tuple[KeptApart, dict[str, Any]]:
    """What `write_sampled` wrote, and the record without what belongs to the sample.

    Raises:
        NonesuchError: errors as in `read`; or the table is no such sample, or of a version that did not say how many
            candidates it drew.
    """
    found = read(path)
    record = dict(found.sampled)
    has_seeds = "seed" in parquet.read_schema(path).names
    if found.origin != SAMPLED or not has_seeds or not {"drawn", "closest"} <= set(record):
        raise NonesuchError(f"{path}: no sample that can grow; sample it anew with 'nonesuch identities'")
    seeds = parquet.read_table(path, ["seed"])["seed"].to_numpy()
    if len(seeds) != len(found.vectors):
        raise NonesuchError(f"{path}: rows without a vector; sample it anew with 'nonesuch identities'")
    return KeptApart(found.vectors, seeds, record.pop("drawn"), record.pop("closest")), record


def read(path: Path) -> VectorTable:
    """Read a table of vectors, or contexts (see `nonesuch.identities.contexts`).

    Rows without a vector (no face found) are left out.

    Raises:
        NonesuchError: the file is missing or damaged, is not a table of vectors, holds no vector, vectors of several
            widths or of nobody, or does not name the embedder.
    """
    if not path.is_file():
        raise NonesuchError(f"{path}: no such table of vectors")
    if contexts.is_saved_by_torch(path):
        found = contexts.read(path)
        # They do not say who they are of, and may show anyone.
        return VectorTable(list(found), np.stack(list(found.values())), "", "", PHOTOGRAPHS)
    table = parquet.read_checked(path, "Parquet table", ["identity"])
    schema = parquet.read_schema(path)
    if missing := {"identity", "embedding"} - set(schema.names):
        raise NonesuchError(f"{path}: lacks the column {min(missing)}; make it with 'nonesuch embed' or 'identities'")
    fields = {
        name.decode(errors="replace"): value.decode(errors="replace") for name, value in (schema.metadata or {}).items()
    }
    if "embedder" not in fields:
        raise NonesuchError(f"{path}: does not name its embedder; make it with 'nonesuch embed' or 'identities'")
    try:
        there, vectors = read_embeddings(path, "embedding")
        if not len(vectors):
            raise NonesuchError("holds no vectors")
        identities = text(table["identity"].filter(pa.array(there))).to_pylist()
    except (NonesuchError, pa.ArrowException) as error:
        raise NonesuchError(f"{path}: {error}") from error
    blocks = (vectors[row : row + _ROWS] for row in range(0, len(vectors), _ROWS))
    if bad := sum(int((~np.isfinite(block).all(1)).sum()) for block in blocks):
        raise NonesuchError(f"{path}: {bad} vectors hold NaN or infinity; remove them")
    if None in identities:
        raise NonesuchError(f"{path}: {identities.count(None)} vectors have no identity; name them or remove them")
    return VectorTable(
        identities,
        vectors,
        fields["embedder"],
        fields.get("embedder_sha256", ""),
        # A table that does not say it was sampled may show anyone.
        fields.get("origin", PHOTOGRAPHS),
        _sampled(fields.get("sampled", "{}"), path),
    )


def _sampled(told: str, path: Path) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        if isinstance(found := json.loads(told), dict):
            return found
    raise NonesuchError(f"{path}: damaged: what it says of its sample is no JSON; copy it again")


def per_identity(table: VectorTable) -> tuple[list[str], NDArray[np.float32]]:
    """Mean vector of each identity, in order of first appearance."""
    names = list(dict.fromkeys(table.identities))
    if len(names) == len(table.identities):
        return names, table.vectors
    position = {name: row for row, name in enumerate(names)}
    rows = np.array([position[name] for name in table.identities])
    return names, group_means(table.vectors, rows, np.float32)
