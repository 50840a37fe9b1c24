"""How early an unfinished, simulated drawing finds the photograph that it was made from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.core import files
from nonesuch.core.arguments import DTYPE, SEED, Number, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path, path_or_none
from nonesuch.core.images import Pixels
from nonesuch.core.seeding import Stream, derive_seed, permutation, uniform
from nonesuch.flip.model import FlipModel
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.readers import find
from nonesuch.language.captioned_images import read_captioned
from nonesuch.language.sketches.layers import SketchLayers, encoded, trained_layers
from nonesuch.language.sketches.line_drawing import drawing_order, drawn_until
from nonesuch.language.sketches.sheet import FINDS, write_sheet
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.measures.early_retrieval import EarlyFigures, early_chance, early_figures, ranks_of
from nonesuch.measures.figure import plain
from nonesuch.models import load_flip

STEPS = Number(2, 1_000, whole=True)
_LEARNED, _DRAWINGS = 1_500, 4  # photographs of the train part at most, and drawings of each
_LEAST = 11  # photographs of either part: among ten, A@10 says nothing
_HELD_OUT = 0.1  # share of the people learned from, on whom the share of the caption is chosen
_SHARES = tuple(number / 20 for number in range(20))
_BLOCK = 16  # photographs that are in memory together


@dataclass(frozen=True)
class EvaluatedSketches:
    """What `evaluate_sketches` measured on photographs that nothing was learned from.

    Attributes:
        photographs, people: of the test part; each photograph is sought among all.
        steps: of each drawing.
        learned_from: photographs of the train part that the layers learned from.
        chance: expected of random orders.
        frozen: by the encoder's own vectors.
        trained: by the two layers.
        captions: by the caption alone, whatever is drawn; None without captions.
        with_captions: by drawing and caption together; None without captions.
        caption_share: the caption's share of those scores.
        sheet: the picture, if one was wanted.
    """

    photographs: int
    people: int
    steps: int
    learned_from: int
    chance: EarlyFigures
    frozen: EarlyFigures
    trained: EarlyFigures
    captions: EarlyFigures | None
    with_captions: EarlyFigures | None
    caption_share: float | None
    sheet: Path | None


@checked(steps=STEPS, seed=SEED, dtype=DTYPE)
def evaluate_sketches(
    source: AnyPath,
    *,
    captions: AnyPath | None = None,
    model: str = "flip_small",
    steps: int = 20,
    seed: int = 0,
    json: AnyPath | None = None,
    out: AnyPath | None = None,
    device: str = "auto",
    dtype: str = "float32",
    on_progress: OnProgress = no_progress,
) -> EvaluatedSketches:
    """Measure how early an unfinished drawing finds its photograph (sketch-less facial image retrieval).

    Drawings are simulated from the photographs themselves, see `nonesuch.language.sketches.line_drawing`. A frozen
    image encoder sees drawings and photographs; a linear layer each, learned on the train part, brings them together.
    With captions, the cosine of caption and photograph in the model's own space counts beside that of drawing and
    photograph, by a share that is chosen on a tenth of the train part's people, whom the layers do not learn from.

    Args:
        source: aligned 112x112 faces with a table beside them, whose column `split` says `train` or `test`.
        captions: table of `caption_faces` or `import_captions` with a caption of each photograph.
        model: the text-image model, by name or file.
        steps: of a drawing, at each of which it is searched with; 70 in published figures.
        seed: of everything random: what is learned from, in which order, and what `out` shows.
        json: file for the figures.
        out: picture to write, PNG: drawings of some test photographs at four steps, the rank of the right photograph,
            and the first finds.
        device, dtype: of the encoder.
        on_progress: told what is being done, and how far it is.

    Returns:
        The figures.

    Raises:
        NonesuchError: the source lacks one of the parts, has fewer than 11 photographs in one or too few people to
            learn from, a photograph is no aligned crop or has no caption, or a file cannot be written.

    Source:
        Task and figures: arXiv 2302.05576; frozen encoders and linear layers: FLIP, arXiv 2407.08515.

    Example:
        nonesuch.evaluate_sketches("celeba112.tar", captions="celeba.parquet").trained.m_a
    """
    path, table, picture, written = as_path(source), path_or_none(captions), path_or_none(out), path_or_none(json)
    for place in (picture, written):
        if place is not None and not place.parent.is_dir():
            raise NonesuchError(f"{place}: its folder does not exist; make it first")
    train, test = _parts(path)
    flip = load_flip(model, device, dtype)
    drawn = np.sort(permutation(derive_seed(seed), Stream.SPLIT, len(train))[:_LEARNED])
    learned, held_out = _by_people([train[row] for row in drawn], path, seed)
    held = _Sought(held_out, _texts(held_out, path, table, flip))
    sought = _Sought(test, _texts(test, path, table, flip))
    layers = _layers(learned, flip, steps, seed, on_progress)
    share = 0.0
    if table is not None:
        found = _ranks(held, flip, layers, _SHARES, steps, on_progress)
        # Of equal ones the smallest: a drawing needs no more of the caption than helps.
        share = _SHARES[int(np.argmax([(1.0 / ranks).mean() for ranks in found.by_share]))]
    found = _ranks(sought, flip, layers, (0.0, share), steps, on_progress)
    result = _figures(found, test, len(learned), share)
    if picture is not None:
        write_sheet(test, found.by_share[-1], found.first, seed, picture)
    if written is not None:
        told = {"model": flip.card.sha256, "drawings": "simulated", **plain(result)}
        files.write_json(written, {name: figure for name, figure in told.items() if name != "sheet"})
    return replace(result, sheet=picture)


def _parts(path: Path) -> tuple[list[Photograph], list[Photograph]]:
    """The train and the test part of a source."""
    train, test = list(find(path, "train")), list(find(path, "test"))
    if {item.name for item in train} & {item.name for item in test}:
        raise NonesuchError(f"{path}: has no parts; put a table beside it whose column split says train or test")
    for name, part in (("train", train), ("test", test)):
        if len(part) < _LEAST:
            raise NonesuchError(f"{path}: {len(part)} photographs in the split {name}; at least {_LEAST} are needed")
    return train, test


def _by_people(photographs: list[Photograph], path: Path, seed: int) -> tuple[list[Photograph], list[Photograph]]:
    """Those that the layers learn from, and those of a tenth of the people, at least one, who are held out."""
    people = sorted({item.identity for item in photographs})
    count = max(round(_HELD_OUT * len(people)), 1)
    kept = {people[row] for row in permutation(derive_seed(seed, 1), Stream.SPLIT, len(people))[count:]}
    learned = [item for item in photographs if item.identity in kept]
    if len(learned) < 2:
        raise NonesuchError(f"{path}: too few people in the split train; at least two photographs of others are needed")
    return learned, [item for item in photographs if item.identity not in kept]


def _texts(photographs: list[Photograph], path: Path, table: Path | None, flip: FlipModel) -> Tensor | None:
    """(N, dim) vectors of the photographs' captions; None without a table."""
    if table is None:
        return None
    told = read_captioned([path], [table], None)
    captions = {item.name: caption for item, caption in zip(told.photographs, told.captions, strict=True)}
    missing = [item.name for item in photographs if not captions.get(item.name)]
    if missing:
        more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        raise NonesuchError(
            f"{table}: has no caption of {missing[0]}{more}; caption them with 'nonesuch caption --least 1', or leave "
            "out --captions"
        )
    return torch.from_numpy(flip.text_vectors([captions[item.name] for item in photographs]))


def _layers(
    photographs: list[Photograph], flip: FlipModel, steps: int, seed: int, on_progress: OnProgress
) -> SketchLayers:
    """The layers, learned from a few drawings of each photograph, one in each quarter of its steps."""
    seen, drawn = [], []
    for start, crops in _blocks(photographs):
        on_progress("encoding", start, len(photographs))
        order = drawing_order(crops)
        seen.append(encoded(flip, crops).features.half())
        each = []
        for row in range(len(crops)):
            draws = uniform(derive_seed(seed, start + row), Stream.OTHER, _DRAWINGS)
            at = np.floor((np.arange(_DRAWINGS) + draws) / _DRAWINGS * steps).astype(int) + 1
            each += [drawn_until(order[row : row + 1], int(step), steps) for step in at]
        drawn.append(encoded(flip, np.concatenate(each)).features.half().unflatten(0, (-1, _DRAWINGS)))
    return trained_layers(
        torch.cat(drawn), torch.cat(seen), seed, lambda done, total: on_progress("training", done, total)
    )


@dataclass(frozen=True)
class _Sought:
    """Photographs that are searched for among themselves, and (N, dim) vectors of their captions, if they have any."""

    photographs: list[Photograph]
    texts: Tensor | None


@dataclass(frozen=True)
class _Ranks:
    """Ranks (N, steps) of each photograph at each step of its drawing.

    Attributes:
        frozen: by the encoder's own vectors.
        captions: by captions alone; None without any.
        by_share: by the layers, for each share of the caption.
        first: (N, steps, 3) the first finds for the last share.
    """

    frozen: NDArray[np.int64]
    captions: NDArray[np.int64] | None
    by_share: list[NDArray[np.int64]]
    first: NDArray[np.int64]


def _ranks(
    sought: _Sought,
    flip: FlipModel,
    layers: SketchLayers,
    shares: Sequence[float],
    steps: int,
    on_progress: OnProgress,
) -> _Ranks:
    """Search with every drawing at every step; scores are cosines, those of the caption by their share."""
    count = len(sought.photographs)
    own, learned = [], []
    for _, crops in _blocks(sought.photographs):
        found = encoded(flip, crops)
        own.append(found.vectors)
        learned.append(layers.photographs(found.features))
    vectors, places = torch.cat(own), torch.cat(learned)
    by_text = None if sought.texts is None else (sought.texts @ vectors.T).numpy()
    captions = None
    if by_text is not None:
        captions = ranks_of(by_text, np.arange(count))[:, None].repeat(steps, axis=1)
    finds = min(FINDS, count)
    frozen, first = np.empty((count, steps), dtype=np.int64), np.empty((count, steps, finds), dtype=np.int64)
    by_share = [np.empty((count, steps), dtype=np.int64) for _ in shares]
    for start, crops in _blocks(sought.photographs):
        on_progress("searching", start, count)
        order = drawing_order(crops)
        drawings = np.stack([drawn_until(order, step, steps) for step in range(1, steps + 1)], axis=1)
        found = encoded(flip, drawings.reshape(-1, *crops.shape[1:]))
        rows, block = np.arange(start, start + len(crops)).repeat(steps), slice(start, start + len(crops))
        frozen[block] = ranks_of((found.vectors @ vectors.T).numpy(), rows).reshape(-1, steps)
        by_drawing = (layers.drawings(found.features) @ places.T).numpy()
        for share, ranks in zip(shares, by_share, strict=True):
            scores = by_drawing if by_text is None else (1.0 - share) * by_drawing + share * by_text[rows]
            ranks[block] = ranks_of(scores, rows).reshape(-1, steps)
        first[block] = np.argsort(-scores, axis=1, kind="stable")[:, :finds].reshape(-1, steps, finds)
    return _Ranks(frozen, captions, by_share, first)


def _blocks(photographs: list[Photograph]) -> Iterator[tuple[int, Pixels]]:
    """Crops (B, 112, 112, 3) of a few photographs at a time, and the number of the first."""
    for start in range(0, len(photographs), _BLOCK):
        yield start, np.stack([item.read_crop() for item in photographs[start : start + _BLOCK]])


def _figures(found: _Ranks, test: list[Photograph], learned_from: int, share: float) -> EvaluatedSketches:
    count = len(test)
    captioned = found.captions is not None
    return EvaluatedSketches(
        photographs=count,
        people=len({item.identity for item in test}),
        steps=found.frozen.shape[1],
        learned_from=learned_from,
        chance=early_chance(count, found.frozen.shape[1]),
        frozen=early_figures(found.frozen, count),
        trained=early_figures(found.by_share[0], count),
        captions=early_figures(found.captions, count) if found.captions is not None else None,
        with_captions=early_figures(found.by_share[-1], count) if captioned else None,
        caption_share=share if captioned else None,
        sheet=None,
    )
