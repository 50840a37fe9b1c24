"""A dataset of any size that was never generated: sound indices, and one tar of real images that all shards share."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa

from nonesuch.core import files, images, listing, parquet
from nonesuch.formats import manifest as manifests
from nonesuch.formats import relabelling
from nonesuch.formats.columns import MADE_BY, columns_file
from nonesuch.formats.plan import IDENTITIES, PLAN, PLAN_SCHEMA, identities_schema
from nonesuch.formats.shards import INDEX_SCHEMA, MADE_FROM, RENDER, TAR_BYTES, TAR_HASH, shard_files

_BLOCK = 512  # of a tar


def make_dataset(folder: Path, count: int, of_each: int = 50, shard_images: int = 10_000) -> None:
    """Write a complete dataset with a group "perception" of two columns, yaw and quality.

    All its images are the same one, but can be read. The tars are hard links to one file, whose members have the names
    of the first shard.

    Args:
        count: images, a multiple of `shard_images`.
        of_each: images of an identity, of which a shard holds a whole number.
        shard_images: images of a shard.
    """
    (folder / "shards").mkdir(parents=True)
    columns_file(folder, "perception", 0).parent.mkdir(parents=True)
    grey = np.add.outer(np.arange(112), np.arange(112)).astype(np.uint8)
    image = images.encode(np.stack([grey] * 3, axis=-1), "jpeg", 95)
    member = _BLOCK + -(-len(image) // _BLOCK) * _BLOCK
    content = (bytes(_BLOCK) + image).ljust(member, b"\0") * shard_images + bytes(2 * _BLOCK)
    told = {
        TAR_HASH: hashlib.sha256(content).hexdigest(),
        TAR_BYTES: str(len(content)),
        MADE_FROM: "made",
        RENDER: json.dumps({"codec": "jpeg"}),
    }
    with (
        parquet.writer(folder / PLAN, PLAN_SCHEMA) as plan,
        parquet.writer(folder / IDENTITIES, identities_schema(None)) as people,
    ):
        for shard in range(count // shard_images):
            place, rows = shard_files(folder, shard), shard * shard_images + np.arange(shard_images)
            if shard:
                os.link(shard_files(folder, 0).tar, place.tar)
            else:
                place.tar.write_bytes(content)
            label, number = rows // of_each, (rows % of_each).astype(np.int32)
            middle = np.full((shard_images, 1), ord("/"), dtype=np.uint8)
            keys = listing.texts(np.concatenate([listing.digits(label, 7), middle, listing.digits(number, 5)], axis=1))
            sigma = np.full(shard_images, 0.5, dtype=np.float32)
            offsets = _BLOCK + member * np.arange(shard_images)
            sizes = np.full(shard_images, len(image))
            hashes = pa.array([hashlib.sha256(image).digest()] * shard_images, pa.binary(32))
            seeds = rows.astype(np.uint64)
            columns = [keys, label, number, seeds, sigma, offsets, sizes, hashes]
            parquet.write_table(pa.table(columns, schema=INDEX_SCHEMA.with_metadata(told)), place.index)
            plan.write_table(pa.table([label, number, seeds, sigma], schema=PLAN_SCHEMA))
            names = [np.unique(label), pa.nulls(len(np.unique(label)), pa.string())]
            people.write_table(pa.table(names, schema=identities_schema(None)))
            seen = {"key": keys, "yaw": (rows % 91).astype(np.float32), "quality": (rows % 101).astype(np.float32)}
            about = {MADE_BY: b"made", TAR_HASH: told[TAR_HASH]}
            parquet.write_table(
                pa.table(seen).replace_schema_metadata(about), columns_file(folder, "perception", shard)
            )
    made_by: manifests.Origin = {"name": "g", "sha256": "1", "embedder": "e", "embedder_sha256": "2", "licence": "l"}
    manifest = manifests.Manifest(
        description="", shows_real_people=False, identities=count // of_each, images=count, options={"sigma": 0.5},
        generator=made_by, render={"codec": "jpeg", "dtype": "float32"}, licence="l", plan_sha256="",
        identities_sha256="", complete=True,
    )  # fmt: skip
    manifests.write(folder, manifest)


def make_cleaned(path: Path, folder: Path, count: int, of_each: int = 50) -> None:
    """Write a manifest of a dataset of `make_dataset`, as if it had been cleaned.

    Images 0, 10, 20, ... go; of the others, images 1, 101, 201, ... are now of identity 0.
    """
    empty = path.with_name(f"empty_{path.name}")
    relabelling.write(empty, folder, [], {})
    schema = parquet.read_schema(empty)  # with the metadata
    empty.unlink()
    with files.replacing(path) as temporary, parquet.writer(temporary, schema) as writer:
        for start in range(0, count, listing.BATCH):
            rows = np.arange(start, min(start + listing.BATCH, count))
            rows = rows[rows % 10 > 0]
            was, number = listing.digits(rows // of_each, 7), listing.digits(rows % of_each, 5)
            now = np.where((rows % 100 == 1)[:, None], listing.digits(rows * 0, 7), was)
            slash, end = (np.tile(np.frombuffer(text, np.uint8), (len(rows), 1)) for text in (b"/", b".jpg"))
            names = np.concatenate([was, slash, number, end], axis=1)
            writer.write_batch(pa.record_batch([*map(listing.texts, (names, now, was))], schema=schema))
