"""Several datasets as one."""

from collections.abc import Sequence

from nonesuch.core.arguments import AT_LEAST_1, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path, as_paths
from nonesuch.dataset.collected.collecting import CollectedDataset, check_apart
from nonesuch.dataset.collected.copied import SourceDataset
from nonesuch.dataset.collected.copying import carried_columns, write_copy
from nonesuch.dataset.collected.people import side_by_side
from nonesuch.loop.progress import OnProgress, no_progress


@checked(shard_images=AT_LEAST_1)
def merge_datasets(
    out: AnyPath,
    sources: AnyPath | Sequence[AnyPath],
    *,
    same_names: bool = False,
    shard_images: int = 10_000,
    on_progress: OnProgress = no_progress,
) -> CollectedDataset:
    """Make one dataset of several, or go on with a merge that was interrupted.

    Bytes, seeds and sigmas stay. Identities of the first keep their labels, those of the others get the next free ones:
    two datasets' label 0 are two people. Columns and vectors come along where all parts have them from one model. The
    manifest keeps each part's hash, generator and licence; if one may show real people, so may the whole.

    Args:
        out: folder: new, empty, or of the same merge.
        sources: two or more datasets of ours.
        same_names: identities that have one name (as imported ones have) are one person.
        shard_images: images per shard.
        on_progress: told how many images are done.

    Raises:
        NonesuchError: a source is no complete dataset or is there twice, they hold images of different kinds, a folder
            that holds something else, a damaged image, or a full disk. Complete shards stay as they are.

    Example:
        nonesuch.merge_datasets("all", ["faces", "more_faces"]).manifest.identities
    """
    folder, places = as_path(out), as_paths(sources)
    if len(places) < 2:
        raise NonesuchError("merge: name two datasets or more")
    check_apart(folder, places)
    parts = [SourceDataset.at(place) for place in places]
    first: dict[str, SourceDataset] = {}
    for part in parts:
        if (same := first.setdefault(part.sha256, part)) is not part:
            raise NonesuchError(f"{part.folder}: is the same dataset as {same.folder}; name it once")
    people, columns = side_by_side(parts, same_names), carried_columns(folder, parts)
    options = {
        "made_by": "merge",
        "sources_sha256": [part.sha256 for part in parts],
        "same_names": same_names,
        "shard_images": shard_images,
    }
    return write_copy(folder, parts, people, columns, options, "merging", on_progress)
