"""Searching images by words, by an image, or by both."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nonesuch.core import files
from nonesuch.core.arguments import AT_LEAST_1, DTYPE, Number, checked
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath, as_path, path_or_none
from nonesuch.core.images import Pixels
from nonesuch.core.notices import notice
from nonesuch.dataset.text_image_vectors import vectors_of_source
from nonesuch.flip.model import FlipModel
from nonesuch.formats import image_file
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.source import Source
from nonesuch.loop.progress import OnProgress, no_progress
from nonesuch.models import load_detector, load_flip
from nonesuch.pages.contact_sheet import write_contact_sheet
from nonesuch.perception.detection import Detector
from nonesuch.perception.faces import aligned_face

_ROW = 10  # images in a row of the sheet
_BLOCK = 1 << 18  # images whose scores are computed at once


@dataclass(frozen=True)
class Hit:
    """An image that was found.

    Attributes:
        rank: 1 for the best.
        file, identity: its name in the source, and whom it shows.
        score: cosine of what was sought and the image.
    """

    rank: int
    file: str
    identity: str
    score: float


@dataclass(frozen=True)
class SearchedFaces:
    """What `search_faces` found.

    Attributes:
        hits: the best first.
        images, faceless: images that were compared; others that show no face.
        strange: words of the query that the model cannot know.
        sheet: the picture of them, if one was wanted.
    """

    hits: list[Hit]
    images: int
    faceless: int
    strange: list[str]
    sheet: Path | None


@checked(top=AT_LEAST_1, text_share=Number(0, 1), dtype=DTYPE)
def search_faces(
    source: AnyPath,
    query: str = "",
    *,
    like: AnyPath | None = None,
    text_share: float = 0.5,
    top: int = 20,
    out: AnyPath | None = None,
    json: AnyPath | None = None,
    cache: AnyPath = "search_cache",
    model: str = "flip_small",
    device: str = "auto",
    dtype: str = "float32",
    on_progress: OnProgress = no_progress,
) -> SearchedFaces:
    """Find the images that a description fits best, those that look like an image, or both.

    Args:
        source: a dataset of ours, which keeps the vectors of its images; or any other source of images.
        query: a description, as "a young woman with glasses, smiling".
        like: an image, which may stand alone or beside the query.
        text_share: weight of the query where an image is given too, from 0 to 1.
        top: images to find.
        out: contact sheet to write, PNG, the best image first.
        json: file for the images in order, with their scores.
        cache: folder for the vectors of a source that is no dataset of ours, or cannot be written.
        model: the text-image model, by name or file.
        device, dtype: of the networks.
        on_progress: told how many images are looked at.

    Raises:
        NonesuchError: nothing is sought, no word of the query is known, a source or image cannot be read or shows no
            face, or a place cannot be written.

    Example:
        nonesuch.search_faces("faces", "a young woman with glasses, smiling").hits
    """
    if not query.strip() and like is None:
        raise NonesuchError("nothing to search for: give a description, or an image with --like")
    path, place = as_path(source), as_path(cache)
    flip, detector = load_flip(model, device, dtype), load_detector(device)
    wanted, strange = _wanted(flip, query, path_or_none(like), text_share, detector)
    found = vectors_of_source(
        Source.at(path, columns_in=place),
        flip,
        detector,
        lambda done, total: on_progress("looking", done, total),
    )
    order, scores = best(found.vectors, wanted, top)
    hits = [
        Hit(rank, found.photographs[row].name, found.photographs[row].identity, round(float(score), 4))
        for rank, (row, score) in enumerate(zip(order, scores, strict=True), 1)
    ]
    sheet = path_or_none(out)
    if sheet is not None:
        crops = [_crop(found.photographs[row], detector) for row in order]
        write_contact_sheet([crops[start : start + _ROW] for start in range(0, len(crops), _ROW)], sheet)
    if json is not None:
        files.write_json(
            as_path(json),
            {
                "query": query,
                "like": None if like is None else str(like),
                "model": flip.card.sha256,
                "images": [
                    {"rank": hit.rank, "file": hit.file, "identity": hit.identity, "score": hit.score} for hit in hits
                ],
            },
        )
    return SearchedFaces(hits, len(found.photographs), found.faceless, strange, sheet)


def best(
    vectors: NDArray[np.float32], wanted: NDArray[np.float32], top: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows of the (N, D) vectors with the highest products with (D,) `wanted`, the highest first, and the products.

    The search is exact. Of equal products the first row comes first.
    """
    scores = np.empty(len(vectors), dtype=np.float32)
    for start in range(0, len(vectors), _BLOCK):
        np.matmul(vectors[start : start + _BLOCK], wanted, out=scores[start : start + _BLOCK])
    top = min(top, len(scores))
    least = np.partition(scores, len(scores) - top)[len(scores) - top]
    rows = np.flatnonzero(scores >= least)
    rows = rows[np.argsort(-scores[rows], kind="stable")][:top]
    return rows, scores[rows]


def _wanted(
    model: FlipModel, query: str, like: Path | None, text_share: float, detector: Detector
) -> tuple[NDArray[np.float32], list[str]]:
    """The unit vector that is sought, and the words that the model cannot know."""
    parts: list[NDArray[np.float32]] = []
    strange: list[str] = []
    if query.strip():
        strange = model.pieces.strange_words(query)
        if len(strange) == len(model.pieces.words(query)):
            raise NonesuchError(f"{query!r}: {model.card.name} knows none of these words; describe a face in English")
        if model.pieces.is_cut(query):
            notice(f"the query is cut: {model.card.name} reads {model.pieces.longest - 2} pieces of words at most")
        parts.append((text_share if like is not None else 1.0) * model.text_vectors([query])[0])
    if like is not None:
        crop = _crop(_photograph(like), detector)
        parts.append((1.0 - text_share if query.strip() else 1.0) * model.image_vectors(crop[None])[0])
    total = np.sum(parts, axis=0)
    return total / np.linalg.norm(total), strange


def _photograph(path: Path) -> Photograph:
    if not path.is_file() or not image_file.takes(path):
        raise NonesuchError(f"--like {path}: not an image file")
    return image_file.find(path, None)[0]


def _crop(photograph: Photograph, detector: Detector) -> Pixels:
    crop, problem = aligned_face(photograph, detector)
    if crop is None:
        raise NonesuchError(problem)
    return crop
