"""Chosen images of a dataset, as a dataset."""

import hashlib
from dataclasses import replace

from nonesuch.core.arguments import AT_LEAST_1, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path
from nonesuch.dataset.collected.collecting import CollectedDataset, check_apart
from nonesuch.dataset.collected.copied import SourceDataset
from nonesuch.dataset.collected.copying import carried_columns, write_copy
from nonesuch.dataset.collected.people import with_own_labels
from nonesuch.dataset.selection import chosen_keys
from nonesuch.loop.progress import OnProgress, no_progress


@checked(identities=AT_LEAST_1, images=AT_LEAST_1, shard_images=AT_LEAST_1)
def subset_dataset(
    dataset: AnyPath,
    out: AnyPath,
    *,
    where: str | None = None,
    identities: int | None = None,
    images: int | None = None,
    shard_images: int = 10_000,
    on_progress: OnProgress = no_progress,
) -> CollectedDataset:
    """Make a dataset of chosen images of another, or go on with one that was interrupted.

    Keys, labels, bytes, seeds, vectors and columns stay as they are.

    Args:
        dataset: a dataset of ours.
        out: folder: new, empty, or of the same subset.
        where: a condition in SQL over the columns of its index and all that were added, such as "quality > 40".
        identities: of those that this leaves, only the first so many.
        images: of each of these, only the first so many.
        shard_images: images per shard.
        on_progress: told how many images are done.

    Raises:
        NonesuchError: no complete dataset, nothing to choose by, a condition that cannot be read or that no image
            meets, a folder that holds something else, a damaged image, or a full disk. Complete shards stay as they
            are.

    Example:
        nonesuch.subset_dataset("faces", "good", where="sigma < 0.5", images=10).manifest.images
    """
    place, folder = as_path(dataset), as_path(out)
    if where is None and identities is None and images is None:
        raise NonesuchError("subset: say which images, with --where, --identities or --images")
    check_apart(folder, [place])
    source = SourceDataset.at(place)
    options = {
        "made_by": "subset",
        "source_sha256": source.sha256,
        "where": where,
        "identities": identities,
        "images": images,
        "shard_images": shard_images,
    }
    if where is not None:
        chosen = chosen_keys(place, where)
        source = replace(source, chosen=chosen)
        # Columns may be made again by another model while the dataset stays: then others are chosen.
        options["where_keys_sha256"] = hashlib.sha256(chosen.tobytes()).hexdigest()
    people, columns = with_own_labels(source, identities, images), carried_columns(folder, [source])
    return write_copy(folder, [source], people, columns, options, "choosing", on_progress)
