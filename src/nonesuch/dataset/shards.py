"""The shards of a dataset that is being made: which are missing, and which are this process's to make."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from nonesuch.core import files, locks
from nonesuch.core.locks import Claim
from nonesuch.core.notices import notice
from nonesuch.formats import manifest as manifests
from nonesuch.formats.columns import columns_file, have_columns, write_columns
from nonesuch.formats.manifest import Manifest, ShardRecord
from nonesuch.formats.plan import Plan
from nonesuch.formats.shard_writer import ShardWriter
from nonesuch.formats.shards import RENDER, TAR_HASH, is_complete, read_told, shard_files
from nonesuch.generators.generator import Generator
from nonesuch.steering.columns import GROUP as STEERING
from nonesuch.steering.steerer import Steerer


class Shards:
    """The planned shards of a dataset folder, which several processes may make together.

    Args:
        folder, manifest: the dataset.
        generator, steerer: what makes its images; shards made by others, or of another plan, count as missing.
            A steered dataset has the columns `steering`.

    Raises:
        NonesuchError: the plan cannot be read.
    """

    def __init__(self, folder: Path, manifest: Manifest, generator: Generator, steerer: Steerer | None) -> None:
        self.folder, self.plan = folder, Plan(folder)
        self._steered = steerer is not None
        self._made_from = f"{manifest.plan_sha256} {manifest.identities_sha256} {generator.card.sha256}"
        self._made_from += f" {json.dumps(steerer.record())}" if steerer else ""
        self._claims: dict[int, Claim] = {}

    def missing(self, among: Iterable[int]) -> list[int]:
        """Those that are not there, or not whole; raises NonesuchError where an index is damaged."""
        return [shard for shard in among if not self._is_done(shard)]

    def images(self, shards: Iterable[int]) -> int:
        """How many images they hold or will hold."""
        return sum(map(self.plan.shard_images, shards))

    def claimed(self, missing: Iterable[int]) -> Iterator[int]:
        """Claims shards, each when it is asked for, until `give_back`.

        Those are passed over that another process has, or has made in the meantime.

        Raises:
            NonesuchError: the folder cannot be written, or an index is damaged.
        """
        for shard in missing:
            claim = locks.claim(self.folder, f"{shard:06d}")
            if claim is None:
                continue
            self._claims[shard] = claim
            if self._is_done(shard):
                self.give_back(shard)
                continue
            if claim.is_sure:  # what lies there half-written is of a killed process
                for place in (shard_files(self.folder, shard).tar, columns_file(self.folder, STEERING, shard)):
                    files.clear_half_written(place.parent, f"{shard:06d}.")
            yield shard

    def writer(self, shard: int, suffix: str, render: dict[str, Any]) -> ShardWriter:
        """Begin to write a shard; arguments and errors as `ShardWriter`."""
        files.make_folder(shard_files(self.folder, shard).tar.parent)
        return ShardWriter(self.folder, shard, suffix, self._made_from, render)

    def add_columns(self, shard: int, records: Sequence[pa.Table]) -> None:
        """Write the record of steering beside a shard that is steered; errors as `write_columns`."""
        if self._steered:
            write_columns(self.folder, STEERING, shard, self._made_from, pa.concat_tables(records))

    def give_back(self, shard: int) -> None:
        """Let others have a shard that was claimed."""
        self._claims.pop(shard).give_back()

    def give_back_all(self) -> None:
        """The same for all that are still claimed."""
        for shard in list(self._claims):
            self.give_back(shard)

    def _is_done(self, shard: int) -> bool:
        return is_complete(shard_files(self.folder, shard), self._made_from) and (
            not self._steered or have_columns(self.folder, STEERING, shard, self._made_from)
        )


def finish(shards: Shards) -> Manifest:
    """Write into the manifest what the shards are, if all are there: whoever finds them all completes the dataset.

    Returns:
        The manifest as it is now.

    Raises:
        NonesuchError: an index is damaged, or the manifest cannot be written.
    """
    folder, plan = shards.folder, shards.plan
    manifest = manifests.read(folder)
    if manifest.complete or shards.missing(range(plan.shards)):
        return manifest
    records: list[ShardRecord] = []
    environments: list[dict[str, Any]] = []
    for shard in range(plan.shards):
        place = shard_files(folder, shard)
        told = read_told(place.index)
        records.append(
            {
                "tar": f"shards/{place.tar.name}",
                "images": plan.shard_images(shard),
                "identities": plan.shard_identities(shard),
                "sha256": told[TAR_HASH].decode(),
            }
        )
        if (environment := json.loads(told[RENDER])) not in environments:
            environments.append(environment)
    if len(environments) > 1:
        notice(f"{folder}: its shards were rendered in different ways: {'; '.join(differences(environments))}")
    with manifests.locked_briefly(folder):
        manifest = manifests.read(folder)
        if not manifest.complete:
            manifest = replace(manifest, shards=records, environments=environments, complete=True)
            manifests.write(folder, manifest)
    return manifest


def differences(environments: Sequence[Mapping[str, Any]]) -> list[str]:
    """What differs between render environments, in words, such as "torch 2.6.0, 2.13.0"."""
    found = []
    for name in sorted({name for environment in environments for name in environment}):
        values = list(dict.fromkeys(str(environment.get(name, "not stated")) for environment in environments))
        if len(values) > 1:
            found.append(f"{name.replace('_', ' ')} {', '.join(values)}")
    return found
