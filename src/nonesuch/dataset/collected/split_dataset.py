"""A dataset in parts that share no identity."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nonesuch.core.arguments import AT_LEAST_1, SEED, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path, as_texts
from nonesuch.core.seeding import Stream, permutation
from nonesuch.dataset.collected.collecting import CollectedDataset, check_apart
from nonesuch.dataset.collected.copied import SourceDataset
from nonesuch.dataset.collected.copying import carried_columns, write_copy
from nonesuch.dataset.collected.people import with_own_labels
from nonesuch.loop.progress import OnProgress, no_progress


@checked(seed=SEED, shard_images=AT_LEAST_1)
def split_dataset(
    dataset: AnyPath,
    out: AnyPath,
    parts: Sequence[str] | Mapping[str, float],
    *,
    seed: int = 0,
    shard_images: int = 10_000,
    on_progress: OnProgress = no_progress,
) -> dict[str, CollectedDataset]:
    """Split a dataset by identities, or go on with a split that was interrupted.

    Each part is a dataset of its own in a folder of its name below `out`. Every image lands in one part, all images of
    an identity in the same. Keys, labels, bytes, seeds, vectors and columns stay as they are.

    Args:
        dataset: a dataset of ours.
        out: folder of the parts.
        parts: share of the identities by name: {"train": 0.9, "test": 0.1}, or "train=0.9", "test=0.1". Together 1.
        seed: which identities go where.
        shard_images: images per shard.
        on_progress: told how many images are done.

    Returns:
        The parts, by name.

    Raises:
        NonesuchError: no complete dataset, shares that are not 1 together or that leave a part empty, a folder that
            holds something else, a damaged image, or a full disk. Complete shards stay as they are.

    Example:
        nonesuch.split_dataset("faces", "parts", {"train": 0.75, "test": 0.25})
    """
    place, folder = as_path(dataset), as_path(out)
    shares = _shares(parts)
    check_apart(folder, [place])
    source = SourceDataset.at(place)
    people = with_own_labels(source)
    ends = _ends(shares, len(people), place)
    order = permutation(seed, Stream.SPLIT, len(people))
    columns = carried_columns(folder, [source])
    made, start = {}, 0
    for (name, share), end in zip(shares.items(), ends, strict=True):
        chosen = [people[row] for row in np.sort(order[start:end])]
        options = {
            "made_by": "split",
            "source_sha256": source.sha256,
            "parts": shares,
            "part": name,
            "share": share,
            "seed": seed,
            "shard_images": shard_images,
        }
        what = f"splitting off {name}"
        made[name] = write_copy(folder / name, [source], chosen, columns, options, what, on_progress)
        start = end
    return made


def _shares(parts: Sequence[str] | Mapping[str, float]) -> dict[str, float]:
    """The share of each part; raises NonesuchError where they are none, or not 1 together."""
    told = "write parts as NAME=SHARE, such as train=0.9 test=0.1"
    if not isinstance(parts, Mapping):
        pairs = [text.partition("=") for text in as_texts(parts)]
        names = [name for name, _, _ in pairs]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise NonesuchError(f"{twice}: is there twice; {told}")
        parts = {name: _number(share, told) for name, _, share in pairs}
    if len(parts) < 2:
        raise NonesuchError(f"split: two parts or more; {told}")
    for name, share in parts.items():
        if not isinstance(name, str) or not name or name.startswith(".") or Path(name).name != name or "\0" in name:
            raise NonesuchError(f"{name!r}: not the name of a folder; {told}")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
            raise NonesuchError(f"{name}={share}: not a share between 0 and 1; {told}")
    if not math.isclose(total := sum(parts.values()), 1.0, abs_tol=1e-6):
        raise NonesuchError(f"the shares are {total:g} together, not 1; every identity goes into one part")
    return {name: float(share) for name, share in parts.items()}


def _number(text: str, told: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise NonesuchError(f"{text!r}: not a share; {told}") from error


def _ends(shares: Mapping[str, float], identities: int, place: Path) -> list[int]:
    """Where each part ends among the shuffled identities; raises NonesuchError where one would be empty."""
    ends = [round(share * identities) for share in np.cumsum(list(shares.values()))[:-1].tolist()] + [identities]
    for name, start, end in zip(shares, [0, *ends], ends, strict=False):
        if start >= end:
            raise NonesuchError(f"{place}: {identities} identities leave none for {name}; give it a larger share")
    return ends
