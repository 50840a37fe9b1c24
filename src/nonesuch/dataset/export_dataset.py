"""Writing labelled images in a format that others read."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.arguments import SEED, Choice, Number, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path
from nonesuch.core.new_folder import check_new_folder, new_folder
from nonesuch.core.notices import notice
from nonesuch.core.tables import read_columns
from nonesuch.dataset.verification_pairs import STEP, draw_pairs
from nonesuch.formats import manifest as manifests
from nonesuch.formats.labels import LABEL
from nonesuch.formats.photograph_lists import chosen, classes_of
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.plan import IDENTITIES
from nonesuch.formats.readers import find
from nonesuch.formats.shards import key_of, read_index
from nonesuch.formats.to_write import ToWrite
from nonesuch.formats.writers import BIN, WRITERS
from nonesuch.loop.progress import OnProgress, no_progress

FORMAT = Choice(tuple(WRITERS))
_PAIRS = 6000  # as LFW has


@dataclass(frozen=True)
class ExportedDataset:
    """What was written.

    Attributes:
        place: the folder.
        images: how many it holds, of a verification set those that its pairs show.
        identities: of how many people.
        shows_real_people: what the manifest of a dataset of ours says; None where it is not known.
        description: the same in words; empty where it is not known.
    """

    place: Path
    images: int
    identities: int
    shows_real_people: bool | None
    description: str


@checked(label=LABEL, pairs=Number(STEP, whole=True), seed=SEED, format=FORMAT)
def export_dataset(
    dataset: AnyPath,
    out: AnyPath,
    *,
    format: str,
    label: str | None = None,
    pairs: int | None = None,
    seed: int = 0,
    on_progress: OnProgress = no_progress,
) -> ExportedDataset:
    """Write labelled images in a format that others read. No image is encoded again: its bytes stay as they are.

    Classes are numbered from 0 in order of identity: by number where all identities are numbers, otherwise as text. A
    notice says what the format cannot hold. "bin", insightface's verification set, holds pairs of images drawn as LFW's
    are: ten folds that share no identity, in each half of the pairs mated, no pair twice.

    Args:
        dataset: a dataset of ours, or any other source of images.
        out: folder to make; it appears whole or not at all.
        format: "imagefolder", "recordio", "lmdb", "webdataset", "parquet" or "bin".
        label: the folder that names the identity where images lie several folders deep: "first", "second", or "last",
            the innermost; None for the first, unless that is called train or the like, or is a letter.
        pairs: for "bin": how many to draw, a multiple of 20; None for 6,000.
        seed: for "bin": which pairs; the same seed gives the same ones.
        on_progress: told how many images are written.

    Raises:
        NonesuchError: the source is damaged or not complete, an image differs from its hash, `out` holds something, the
            disk is full, or there are too few identities or images for so many pairs.

    Example:
        nonesuch.export_dataset("faces", "faces_recordio", format="recordio").images
    """
    source, target = as_path(dataset), as_path(out)
    if format != BIN and (pairs is not None or seed):
        raise NonesuchError("--pairs and --seed go with --format bin, the only format of pairs")
    if pairs is not None and pairs % STEP:
        raise NonesuchError(f"--pairs {pairs}: not a multiple of {STEP}; ten folds have half of their pairs mated")
    check_new_folder(target)
    ours = manifests.is_dataset(source)
    manifest = manifests.read(source) if ours else None
    if manifest is not None and not manifest.complete:
        raise NonesuchError(f"{source}: not complete; run the command that made it again")
    photographs = find(source, label=label)
    if ours:
        photographs = _named(source, photographs)
    compared = None
    if format == BIN:
        photographs, compared = _compared(photographs, _PAIRS if pairs is None else pairs, seed)
    read: Callable[[Photograph], bytes] = _CheckedShards().read if ours else lambda item: item.read_bytes()
    done = 0

    def counted(photograph: Photograph) -> bytes:
        nonlocal done
        data = read(photograph)
        done += 1
        on_progress("exporting", done, len(photographs))
        return data

    wanted = ToWrite(photographs, counted, compared)
    with new_folder(target) as folder:
        WRITERS[format].write(folder, wanted)
    _tell_lost(source, target, format, wanted, ours)
    shows, told = (None, "") if manifest is None else (manifest.shows_real_people, manifest.description)
    return ExportedDataset(target, len(wanted), len(wanted.people), shows, told)


def _named(dataset: Path, photographs: Sequence[Photograph]) -> Sequence[Photograph]:
    """The images under their identities' names, where all have one and no two the same; sampled people have none."""
    table = read_columns(dataset / IDENTITIES, ["identity", "name"])
    names = dict(zip(table["identity"], table["name"], strict=True))
    if not all(names.values()) or len(set(names.values())) < len(names):
        return photographs
    return [replace(item, identity=names[str(int(item.identity))]) for item in photographs]


def _compared(
    photographs: Sequence[Photograph], pairs: int, seed: int
) -> tuple[Sequence[Photograph], NDArray[np.int64]]:
    """The images that a verification set shows, and (pairs, 2) the rows of them that it compares."""
    drawn = draw_pairs(classes_of(photographs)[1], pairs, seed)
    shown = np.zeros(len(photographs), dtype=bool)
    shown[drawn] = True
    return chosen(photographs, shown), np.cumsum(shown)[drawn] - 1


def _tell_lost(source: Path, target: Path, format: str, wanted: ToWrite, ours: bool) -> None:
    lacks = WRITERS[format].lacks
    if lacks:
        notice(f"{target}: {format} does not hold {lacks}")
    if ours:
        notice(f"{target}: manifest, licence, plan, vectors and columns stay in {source}")
    if known := sum(item.landmarks is not None for item in wanted.photographs):
        notice(f"{target}: does not say which face is meant in {known} images; 'nonesuch embed --crops' cuts it out")


class _CheckedShards:
    """Reads images of a dataset of ours, each compared with its hash in the shard's index."""

    def __init__(self) -> None:
        self._tar = Path()
        self._hashes: dict[str, bytes] = {}

    def read(self, photograph: Photograph) -> bytes:
        data = photograph.read_bytes()
        if photograph.container != self._tar:
            index = read_index(photograph.container.with_suffix(".parquet"))
            self._tar = photograph.container
            self._hashes = dict(zip(index["key"].to_pylist(), index["sha256"].to_pylist(), strict=True))
        if hashlib.sha256(data).digest() != self._hashes.get(key_of(photograph.name)):
            raise NonesuchError(
                f"{self._tar}: {photograph.name} is not what its index says; 'nonesuch verify' tells what is damaged"
            )
        return data
