"""Writing one shard: a tar and its index, each moved to its final name only when whole."""

import contextlib
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from nonesuch.core import files, parquet
from nonesuch.formats.shards import INDEX_SCHEMA, MADE_FROM, RENDER, TAR_BYTES, TAR_HASH, image_key, shard_files


class ShardWriter:
    """Collects a shard's images in order; `complete` or `abort` it.

    Each image is followed by a `.cls` member with its label, as WebDataset's loaders expect.

    Args:
        folder: of the dataset.
        number: of the shard.
        suffix: of the images, such as ".jpg".
        made_from: hashes of the plan and the generator, kept in the index.
        render: render settings, kept in the index.
        schema: of the index; `COLLECTED_SCHEMA` where images have an origin.
    """

    def __init__(
        self,
        folder: Path,
        number: int,
        suffix: str,
        made_from: str,
        render: dict[str, Any],
        schema: pa.Schema = INDEX_SCHEMA,
    ) -> None:
        self._files = shard_files(folder, number)
        self._schema = schema
        self._suffix, self._made_from, self._render = suffix, made_from, render
        self._temporary = files.temporary_beside(self._files.tar)
        self._rows: list[tuple[Any, ...]] = []
        try:
            self._archive = tarfile.TarFile(self._temporary, "w", format=tarfile.USTAR_FORMAT)
        except OSError as error:
            raise files.write_error(self._files.tar, error) from error

    def add(
        self,
        identity: int,
        image: int,
        seed: int | None,
        sigma: float | None,
        data: bytes,
        origin: tuple[int, str] | None = None,
    ) -> None:
        """Append one encoded image; `origin` is its part and file where the schema has these.

        Raises:
            NonesuchError: the disk is full; nothing is left under the shard's final names.
        """
        key = image_key(identity, image)
        try:
            offset = self._member(key + self._suffix, data)
            self._member(key + ".cls", str(identity).encode())
        except OSError as error:
            self.abort()
            raise files.write_error(self._files.tar, error) from error
        digest = hashlib.sha256(data).digest()
        self._rows.append((key, identity, image, seed, sigma, offset, len(data), digest, *(origin or ())))

    def complete(self, told: Mapping[bytes, str] | None = None) -> None:
        """Close the files and move them to their names: the tar first, so that the index vouches for it.

        Args:
            told: what else the index's metadata should say.

        Raises:
            NonesuchError: the disk is full; nothing is left under the index's name.
        """
        try:
            self._archive.close()
            metadata = {
                TAR_HASH: files.sha256(self._temporary),
                TAR_BYTES: str(self._temporary.stat().st_size),
                MADE_FROM: self._made_from,
                RENDER: json.dumps(self._render),
                **(told or {}),
            }
            files.publish(self._temporary, self._files.tar)
        except OSError as error:
            self.abort()
            raise files.write_error(self._files.tar, error) from error
        rows = [dict(zip(self._schema.names, row, strict=True)) for row in self._rows]
        table = pa.Table.from_pylist(rows, self._schema.with_metadata(metadata))
        with files.replacing(self._files.index) as temporary:
            parquet.write_table(table, temporary)

    def abort(self) -> None:
        """Remove what was written so far."""
        # Closing writes tar's end blocks, which fails again where the disk is full.
        with contextlib.suppress(OSError):
            self._archive.close()
        self._temporary.unlink(missing_ok=True)

    def _member(self, name: str, data: bytes) -> int:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        info.mode = 0o644
        offset = self._archive.offset + tarfile.BLOCKSIZE
        self._archive.addfile(info, io.BytesIO(data))
        return offset
