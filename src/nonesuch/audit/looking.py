"""One look at every image of a dataset: embeddings, what it shows, its pixels. Columns keep it, so it is done once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from nonesuch.audit.judges.pixels import VERSION as PIXELS_VERSION
from nonesuch.audit.judges.pixels import measures
from nonesuch.captions.analysis.relevance import RelevanceJudge
from nonesuch.core import tables
from nonesuch.core.errors import NonesuchError
from nonesuch.core.images import CROP_SIZE, Pixels
from nonesuch.dataset.perceived_columns import GROUP as PERCEPTION
from nonesuch.embedders.embedder import Embedder
from nonesuch.formats.column_store import ColumnStore
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.source import Source
from nonesuch.measures.duplicates import perceptual_hash
from nonesuch.perception.detection import Detector
from nonesuch.perception.faces import BATCH, ELSEWHERE, LARGEST, read_faces, tell_several
from nonesuch.perception.perceiver import Perceiver

INCEPTION = "inception"
_ACQUIRED, _FACE, _PIXELS, _EMBEDDING = "acquired", "face", "pixels", "embedding_"
_ACQUIRED_VERSION, _FACE_VERSION = "2", "1"
_BLACK = np.zeros((1, CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)  # used for the crops of a batch that has none


@dataclass(frozen=True)
class Judge:
    """A measure of quality by files that a user supplies.

    Attributes:
        name: of its column.
        made_by: names the files, by their hashes.
        scores: (N, 112, 112, 3) uint8 crops -> (N,) numbers.
    """

    name: str
    made_by: str
    scores: Callable[[Pixels], NDArray[np.floating]]


@dataclass(frozen=True)
class Eyes:
    """What looks at images.

    Attributes:
        embedders: by name; at least one.
        detector: aligns images that are not aligned crops, and says whether crops show a face.
        detector_sha256: of its weights.
        perceiver: None where only embeddings are wanted.
        always_align: detect and align 112x112 images too, which otherwise count as aligned crops.
        judges: further measures of quality.
        inception: for the FID; its features are kept with the embeddings as `INCEPTION`.
        text_image: tells how well captions fit the images.
        pixels: with a perceiver: measure pixels too, and ask whether crops show a face.
    """

    embedders: Mapping[str, Embedder]
    detector: Detector
    detector_sha256: str
    perceiver: Perceiver | None = None
    always_align: bool = False
    judges: tuple[Judge, ...] = ()
    inception: Embedder | None = None
    text_image: RelevanceJudge | None = None
    pixels: bool = True

    def for_reference(self) -> "Eyes":
        """The same without what is needed only for the audited datasets."""
        return replace(self, pixels=False, judges=(), text_image=None)


@dataclass(frozen=True)
class Seen:
    """The images of a dataset that can be used, and what was seen in them.

    Attributes:
        photographs: the images, N of them.
        identities: (N,) int64 labels, places in `people`.
        people: names of the identities.
        vectors: by embedder, (N, D) float32 raw embeddings.
        columns: by name, (N,): what the images show (`nonesuch.perception.perceiver.COLUMNS`), measures of their
            pixels (`nonesuch.audit.judges.pixels.NAMES`), `phash` (uint64) and `face` (whether the detector finds one
            in the crop); none without a perceiver.
        problems: in words, why each image that is left out is.
        lost: identities that have no usable image.
    """

    photographs: list[Photograph]
    identities: NDArray[np.int64]
    people: list[str]
    vectors: dict[str, NDArray[np.float32]]
    columns: dict[str, NDArray[Any]]
    problems: list[str]
    lost: int

    def only(self, wanted: NDArray[np.bool_]) -> "Seen":
        """The images for which (N,) `wanted` is true, with new numbers for their identities.

        Raises:
            NonesuchError: there are none.
        """
        rows = np.flatnonzero(wanted)
        if not len(rows):
            raise NonesuchError("none of the images is left")
        numbers, identities = np.unique(self.identities[rows], return_inverse=True)
        return Seen(
            [self.photographs[row] for row in rows],
            identities.astype(np.int64),
            [self.people[number] for number in numbers],
            {name: found[rows] for name, found in self.vectors.items()},
            {name: found[rows] for name, found in self.columns.items()},
            self.problems,
            self.lost,
        )


def together(parts: Sequence[Seen]) -> Seen:
    """Several sources as one; people of different sources are different people, whatever they are called."""
    offsets = np.cumsum([0, *(len(part.people) for part in parts)])
    return Seen(
        [photograph for part in parts for photograph in part.photographs],
        np.concatenate([part.identities + offset for part, offset in zip(parts, offsets, strict=False)]),
        [person for part in parts for person in part.people],
        {name: np.concatenate([part.vectors[name] for part in parts]) for name in parts[0].vectors},
        {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns},
        [problem for part in parts for problem in part.problems],
        sum(part.lost for part in parts),
    )


@dataclass(frozen=True)
class _Group:
    """Columns that are made together."""

    name: str
    made_by: str
    make: Callable[[Pixels], pa.Table]


def look(
    source: Source,
    eyes: Eyes,
    on_image: Callable[[int], None] = lambda done: None,
) -> Seen:
    """Look at all images of a source, or read what the same models saw before; columns of the source keep it.

    Raises:
        NonesuchError: not one image can be used, a dataset of ours is incomplete or being written, or the disk is full;
            what was seen until then is kept.
    """
    for name in (photograph.name for photograph in source.photographs):
        if name.encode(errors="ignore") != name.encode(errors="surrogateescape"):
            raise NonesuchError(f"{source.path}: the name {name!a} is not UTF-8; rename the file or its folder")
    store = source.columns
    groups = _groups(eyes)
    if not source.is_dataset:  # whose crops may be the detector's
        groups = [replace(group, made_by=f"{group.made_by} {eyes.detector_sha256}") for group in groups]
    missing = {
        part: [group for group in groups if not store.has(group.name, part, group.made_by)]
        for part in range(len(store.spans))
    }
    if any(missing.values()):
        with store.locked():
            for part, wanted in missing.items():
                span = store.spans[part]
                if wanted:
                    _look_at_part(source, part, wanted, eyes, on_image)
                on_image(span.stop)
    found = {
        group.name: pa.concat_tables([store.read(group.name, part) for part in range(len(store.spans))])
        for group in groups
        if not group.name.startswith(_EMBEDDING)
    }
    names = [group.name.removeprefix(_EMBEDDING) for group in groups if group.name.startswith(_EMBEDDING)]
    vectors = {name: _vectors(store, name) for name in names}
    acquired = found[_ACQUIRED]
    tell_several(source.path, acquired["faces"].to_pylist(), acquired["unclear"].to_pylist(), LARGEST, ELSEWHERE)
    return _seen(source.photographs, found, vectors)


def _groups(eyes: Eyes) -> list[_Group]:
    """The groups of columns to make; images that show no face have nulls in all groups but the first."""
    how = "+aligned" if eyes.always_align else ""
    seen_by = f" {eyes.detector_sha256}{how}"
    groups = [_Group(_ACQUIRED, _ACQUIRED_VERSION + seen_by, lambda crops: pa.table({}))]
    for name, embedder in eyes.embedders.items():
        groups.append(
            _Group(_EMBEDDING + name, _made_by(embedder.card.sha256, embedder) + how, _embedding_of(embedder))
        )
    if eyes.inception is not None:
        groups.append(
            _Group(
                _EMBEDDING + INCEPTION,
                _made_by(eyes.inception.card.sha256, eyes.inception) + how,
                _embedding_of(eyes.inception),
            )
        )
    groups += [_Group(judge.name, judge.made_by + how, _scores_of(judge)) for judge in eyes.judges]
    if (perceiver := eyes.perceiver) is not None:
        made_by = _made_by(perceiver.card.sha256, perceiver.embedder) + how
        groups.append(_Group(PERCEPTION, made_by, _perception_by(perceiver)))
    if eyes.perceiver is not None and eyes.pixels:
        groups += [
            _Group(_PIXELS, PIXELS_VERSION + how, _pixel_table),
            _Group(_FACE, _FACE_VERSION + seen_by, _face_by(eyes.detector)),
        ]
    return groups


def _made_by(sha256: str, embedder: Embedder) -> str:
    """The name of a model, with its precision where that is not the usual one."""
    return sha256 if embedder.dtype == torch.float32 else f"{sha256} {embedder.dtype}"


def _look_at_part(
    source: Source,
    part: int,
    groups: list[_Group],
    eyes: Eyes,
    on_image: Callable[[int], None],
) -> None:
    """Read each image of a part once and keep what is missing of it."""
    found: dict[str, list[pa.Table]] = {group.name: [] for group in groups}
    span = source.columns.spans[part]
    photographs = source.photographs[span]
    for faces in read_faces(
        photographs, eyes.detector, eyes.always_align, on_image=lambda read: on_image(span.start + read)
    ):
        crops = faces.crops if len(faces.crops) else _BLACK
        for group in groups:
            if group.name == _ACQUIRED:
                told = pa.array([problem or None for problem in faces.problems], pa.string())
                counts = pa.array(faces.counts, pa.int32())
                found[group.name].append(pa.table({"problem": told, "faces": counts, "unclear": faces.unclear}))
            else:
                found[group.name].append(tables.with_nulls(group.make(crops), faces.found))
    for group in groups:
        source.columns.write(group.name, part, group.made_by, pa.concat_tables(found[group.name]))


def _embedding_of(embedder: Embedder) -> Callable[[Pixels], pa.Table]:
    def make(crops: Pixels) -> pa.Table:
        raw = np.asarray(embedder.embed(crops, BATCH), dtype=np.float32)
        flat = pa.FixedSizeListArray.from_arrays(pa.array(raw.ravel()), raw.shape[1])
        return pa.table({"embedding": flat})

    return make


def _scores_of(judge: Judge) -> Callable[[Pixels], pa.Table]:
    return lambda crops: pa.table({judge.name: np.asarray(judge.scores(crops), dtype=np.float32)})


def _pixel_table(crops: Pixels) -> pa.Table:
    hashes = pa.array([perceptual_hash(crop) for crop in crops], pa.uint64())
    return pa.table({**{name: pa.array(values) for name, values in measures(crops).items()}, "phash": hashes})


def _face_by(detector: Detector) -> Callable[[Pixels], pa.Table]:
    return lambda crops: pa.table({"face": [bool(detector.detect(crop)) for crop in crops]})


def _perception_by(perceiver: Perceiver) -> Callable[[Pixels], pa.Table]:
    return lambda crops: pa.table(perceiver.perceive(crops, BATCH))


def _seen(
    photographs: Sequence[Photograph], looked: Mapping[str, pa.Table], vectors: dict[str, NDArray[np.float32]]
) -> Seen:
    problems: list[str | None] = looked[_ACQUIRED]["problem"].to_pylist()
    for name, found in vectors.items():
        good = np.isfinite(found).all(1) & (found != 0).any(1)
        for row in np.flatnonzero(~good).tolist():
            problems[row] = problems[row] or f"{photographs[row].name}: {name}'s embedding is zero or not finite"
    kept = np.flatnonzero([problem is None for problem in problems])
    left_out = [problem for problem in problems if problem is not None]
    if not len(kept):
        raise NonesuchError(f"none of {len(photographs)} images can be used; the first: {left_out[0]}")
    used = [photographs[row] for row in kept.tolist()]
    people, identities = np.unique([photograph.identity for photograph in used], return_inverse=True)
    columns = {
        column: table[column].take(pa.array(kept)).to_numpy()
        for group, table in looked.items()
        if group != _ACQUIRED
        for column in table.column_names
    }
    return Seen(
        used,
        identities.astype(np.int64),
        people.tolist(),
        vectors if len(kept) == len(photographs) else {name: vectors.pop(name)[kept] for name in list(vectors)},
        columns,
        left_out,
        len({photograph.identity for photograph in photographs}) - len(people),
    )


def _vectors(store: ColumnStore, name: str) -> NDArray[np.float32]:
    """(N, D) of an embedder's column, NaN where there is no vector; read part by part, so that it is held once."""
    found = np.empty((0, 0), dtype=np.float32)
    for part, span in enumerate(store.spans):
        column = store.read(_EMBEDDING + name, part)["embedding"]
        if not span.start:
            found = np.empty((store.spans[-1].stop, column.type.list_size), dtype=np.float32)
        there = column.is_valid().to_numpy()
        found[span] = np.nan
        if there.any():
            found[span][there] = tables.embeddings(column.drop_null())
    return found
