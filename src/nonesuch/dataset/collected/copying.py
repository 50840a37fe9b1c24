"""Writing images of datasets of ours into another dataset."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nonesuch.core.errors import NonesuchError
from nonesuch.core.notices import notice
from nonesuch.dataset.collected.collecting import CollectedDataset, collect
from nonesuch.dataset.collected.copied import CopiedPerson, DatasetContents, SourceDataset, common_columns
from nonesuch.dataset.collected.provenance import draft, parts_of
from nonesuch.loop.progress import OnProgress


def write_copy(
    folder: Path,
    sources: Sequence[SourceDataset],
    people: Sequence[CopiedPerson],
    columns: Mapping[str, str],
    options: dict[str, Any],
    what: str,
    on_progress: OnProgress,
) -> CollectedDataset:
    """Write identities of datasets as one dataset; bytes, seeds and columns are theirs.

    Args:
        folder: new, empty, or holding the same dataset.
        sources: all of one codec.
        people: in ascending order of their labels.
        columns: groups that come along, from `carried_columns`.
        options: what was asked for, with `made_by` and `shard_images`.
        what: is being done, for `on_progress`.

    Raises:
        NonesuchError: the sources have different codecs; otherwise as `collect`.
    """
    codecs = [source.manifest.render["codec"] for source in sources]
    if other := next((number for number, codec in enumerate(codecs) if codec != codecs[0]), None):
        one, two = sources[0].folder, sources[other].folder
        raise NonesuchError(
            f"{two}: holds {codecs[other]} images and {one} {codecs[0]}; a dataset is of one kind, make one with "
            f"'nonesuch import {two} OUT --codec {codecs[0]}'"
        )
    parts = [part for source in sources for part in parts_of(source.folder, source.manifest)]
    manifest = draft(parts, {**options, "columns": sorted(columns)}, {"codec": codecs[0]})
    contents = DatasetContents(sources, people, columns)
    return collect(folder, manifest, contents, options["shard_images"], what, on_progress)


def carried_columns(out: Path, sources: Sequence[SourceDataset]) -> dict[str, str]:
    """Groups of columns that come along into `out`, with what made them; a notice tells what does not come along."""
    found, others = common_columns(sources)
    if others:
        notice(f"{out}: these columns do not come along: {'; '.join(others)}")
    embedders = {source.embedder for source in sources}
    if len(embedders) > 1:
        notice(f"{out}: the identities' vectors do not come along: not all parts have them, from one embedder")
    return found
