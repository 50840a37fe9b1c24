"""The shards of a dataset made of images that existed before: those that are missing are written."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from nonesuch.core import files, parquet
from nonesuch.core.images import CODECS
from nonesuch.dataset.collected.contents import Contents
from nonesuch.formats.columns import columns_problem, write_columns
from nonesuch.formats.manifest import LEFT_OUT
from nonesuch.formats.shard_writer import ShardWriter
from nonesuch.formats.shards import COLLECTED_SCHEMA, is_complete, shard_files

_PEOPLE, _KEPT = b"people", b"kept"  # of an index's metadata: which identities it holds, images of unchanged bytes
_LEFT_OUT = pa.schema([("file", pa.string()), ("problem", pa.string())])


class Shards:
    """The shards of one dataset.

    Args:
        folder: of the dataset; has a folder `shards`.
        contents: what they should hold.
        made_from: names the contents: shards made from others count as missing.
        render: settings, with the codec.
        images_per_shard: a shard holds as many whole identities as fit, by their images in the source.

    Attributes:
        total: images of the source.
        count: shards that are there, after `write_missing`.
        kept: images of these whose bytes are the source's.
    """

    def __init__(
        self, folder: Path, contents: Contents, made_from: str, render: dict[str, Any], images_per_shard: int
    ) -> None:
        self._folder, self._contents, self._per_shard = folder, contents, images_per_shard
        self._made_from, self._render = made_from, render
        self._people = contents.people
        self.total = sum(person.images for person in self._people)
        self.count = self.kept = 0

    def write_missing(self, on_image: Callable[[int], None]) -> int:
        """Write every shard that is not there; returns how many images were written.

        Args:
            on_image: told how many images of the source are done.

        Raises:
            NonesuchError: an image cannot be read or taken, or the disk is full; shards that are whole stay.
        """
        start = done = written = 0
        while start < len(self._people):
            stop = self._end_of_complete(start)
            if stop is not None:
                self.count += 1
            else:
                images, stop = self._write(start, done, on_image)
                written += images
                self.count += images > 0
            done += sum(person.images for person in self._people[start:stop])
            on_image(done)
            start = stop
        return written

    def problems(self) -> Iterator[str]:
        """In words, of each image that is left out."""
        for path in sorted((self._folder / LEFT_OUT).glob("*.parquet")):
            yield from parquet.read_table(path)["problem"].to_pylist()

    def _end_of_complete(self, start: int) -> int | None:
        """Where the identities of the next shard end; None where it is to be written."""
        place = shard_files(self._folder, self.count)
        if not is_complete(place, self._made_from):
            return None
        told = parquet.read_schema(place.index).metadata
        first, stop = map(int, told[_PEOPLE].split(b":"))
        if first != start or any(columns_problem(self._folder, group, self.count) for group in self._contents.columns):
            return None
        self.kept += int(told[_KEPT])
        return stop

    def _write(self, start: int, done: int, on_image: Callable[[int], None]) -> tuple[int, int]:
        """Write the next shard; returns its images and where its identities end.

        Identities of which no image can be taken go with those after them; at the end there may be no shard of them.
        """
        number, suffix = self.count, CODECS[self._render["codec"]]
        writer = ShardWriter(self._folder, number, suffix, self._made_from, self._render, COLLECTED_SCHEMA)
        columns: dict[str, list[pa.Table]] = {group: [] for group in self._contents.columns}
        left_out: list[tuple[str, str]] = []
        stop, images, kept = start, 0, 0
        try:
            while stop < len(self._people) and not images:
                first, stop = stop, self._fitting(stop)
                for person in range(first, stop):
                    for block in self._contents.read(person):
                        for one in block.images:
                            writer.add(one.identity, one.image, one.seed, one.sigma, one.data, (one.part, one.file))
                        images, kept = images + len(block.images), kept + block.kept
                        left_out += block.left_out
                        for group, tables in columns.items():
                            tables.append(block.columns[group])
                        on_image(done + images + len(left_out))
            self._write_left_out(number, left_out)
            if images:
                writer.complete({_PEOPLE: f"{start}:{stop}", _KEPT: str(kept)})
        finally:
            writer.abort()
        if images:
            self.kept += kept
            for group, made_by in self._contents.columns.items():
                write_columns(self._folder, group, number, made_by, pa.concat_tables(columns[group]))
        return images, stop

    def _fitting(self, start: int) -> int:
        """Where the identities end that fit into a shard, at least one."""
        stop, images = start + 1, self._people[start].images
        while stop < len(self._people) and images + self._people[stop].images <= self._per_shard:
            images += self._people[stop].images
            stop += 1
        return stop

    def _write_left_out(self, number: int, rows: list[tuple[str, str]]) -> None:
        path = self._folder / LEFT_OUT / f"{number:06d}.parquet"
        path.unlink(missing_ok=True)
        if rows:
            files.make_folder(path.parent)
            with files.replacing(path) as temporary:
                names, problems = zip(*rows, strict=True)
                parquet.write_table(pa.table([pa.array(names), pa.array(problems)], schema=_LEFT_OUT), temporary)
